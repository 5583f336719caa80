//! Source files are short, and no file knows the machine it was written on.

use super::{TextFile, file_name};
use crate::workspace::Workspace;

/// Lines of a source file without its tests.
const LINE_LIMIT: usize = 500;

/// Beginnings of paths that exist on one machine only. Put together here so that this file does not find itself.
const MACHINE_PATHS: [&str; 4] = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("C:\\", "Users")];

pub(super) fn check(workspace: &Workspace, files: &[TextFile]) -> Vec<String> {
    let root = workspace.root().to_string_lossy().into_owned();
    files.iter().flat_map(|file| long_file(file).into_iter().chain(machine_path(file, &root))).collect()
}

fn long_file(file: &TextFile) -> Option<String> {
    if !file.path.ends_with(".rs") || is_test_file(&file.path) {
        return None;
    }
    let lines = lines_without_tests(&file.text);
    (lines > LINE_LIMIT).then(|| format!("{}: has {lines} lines without tests; split it, {LINE_LIMIT} is the limit", file.path))
}

fn is_test_file(path: &str) -> bool {
    file_name(path) == "tests.rs" || path.split('/').any(|folder| folder == "tests")
}

/// Lines before the first test module at the file's top level; tests stand last.
fn lines_without_tests(text: &str) -> usize {
    text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count()
}

fn machine_path(file: &TextFile, root: &str) -> Option<String> {
    let paths = MACHINE_PATHS.into_iter().chain(Some(root).filter(|root| root.len() > 1));
    let (number, line) = file.text.lines().enumerate().find(|(_, line)| paths.clone().any(|path| line.contains(path)))?;
    Some(format!("{}:{}: names a path of one machine: {}", file.path, number + 1, line.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: String) -> TextFile {
        TextFile { path: path.to_owned(), text }
    }

    #[test]
    fn tests_do_not_count_as_lines() {
        let text = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(500), "y\n".repeat(900));
        assert_eq!(long_file(&file("a/src/lib.rs", text)), None);
        assert!(long_file(&file("a/src/lib.rs", "x\n".repeat(501))).is_some());
        assert_eq!(long_file(&file("a/src/tests.rs", "x\n".repeat(501))), None);
        assert_eq!(long_file(&file("tests/src/model.rs", "x\n".repeat(501))), None);
    }

    #[test]
    fn a_machine_path_is_found_with_its_line() {
        let text = format!("first\n see {}someone/x\n", MACHINE_PATHS[0]);
        let finding = machine_path(&file("docs/x.md", text), "/checkout");
        assert!(finding.is_some_and(|finding| finding.starts_with("docs/x.md:2:")));
        assert_eq!(machine_path(&file("docs/x.md", "/etc/passwd".to_owned()), "/checkout"), None);
    }
}
