//! Deliberately broken variants of the sources: what a check must notice, or it checks nothing.
//!
//! A variant is a file `tests/variants/NAME.toml`: what it breaks (`about`), the rule of the explorer that must notice it where there is one (`rule`),
//! and the replacements that break it. [`Variant::make`] applies it to a copy
//! of all tracked files under `target/variants/NAME`, from which cargo builds as from the checkout. The builds of all variants share one target folder,
//! so what they have in common is built once; cargo takes the copies for one and goes by the times of files there, so what differs between variants is
//! new to it whenever another variant comes. A replacement that fits no place, or several, is an error: a variant that breaks nothing is none.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::process;
use crate::workspace::Workspace;

/// Where variants are described.
const FOLDER: &str = "tests/variants";

/// Cargo joins the settings of all folders above, and some must not be given twice.
const CARGO_SETTINGS: &str = ".cargo/config.toml";

/// What stands in a copy inside the checkout instead.
const SETTINGS_ABOVE: &str = "# The checkout's own settings apply here as well.\n";

/// A copy of the sources with something broken.
#[derive(Debug)]
pub(crate) struct Variant {
    /// What is broken.
    pub(crate) about: String,
    /// The copy, and the target folder that all variants share.
    pub(crate) workspace: Workspace,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    about: String,
    /// The rule of the explorer that must notice it.
    rule: Option<String>,
    edit: Vec<Edit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Path in the checkout.
    file: PathBuf,
    /// Text that stands in the file once.
    find: String,
    replace: String,
}

impl Variant {
    /// Copies the sources and breaks the copy. Files that are as they shall be are left alone, so that cargo builds only what differs.
    pub(crate) fn make(workspace: &Workspace, name: &str) -> Result<Self> {
        let description = Description::read(workspace, name)?;
        let root = workspace.target().join("variants").join(name);
        let tracked = tracked_files(workspace)?;
        for file in &tracked {
            if let Some(content) = content(workspace, name, &description, file, &root)? {
                write_if_different(&root.join(file), &content)?;
            }
        }
        remove_others(&root, &root, &tracked)?;
        let target = workspace.target().join("variants-target");
        renew(&target, name, &root, &edited_files(workspace)?)?;
        Ok(Self { about: description.about, workspace: workspace.at(root, target) })
    }
}

/// The file in the target folder that names the variant which was built there last.
const LAST: &str = "last-variant";

/// Makes the copies of these files newer than anything that another variant has left in the target folder.
fn renew(target: &Path, name: &str, root: &Path, files: &BTreeSet<PathBuf>) -> Result<()> {
    let last = target.join(LAST);
    if std::fs::read_to_string(&last).is_ok_and(|last| last == name) {
        return Ok(());
    }
    let now = SystemTime::now();
    for path in files.iter().map(|file| root.join(file)) {
        let renewed = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_modified(now));
        renewed.with_context(|| format!("can not touch {}", path.display()))?;
    }
    std::fs::create_dir_all(target).and_then(|()| std::fs::write(&last, name)).with_context(|| format!("can not write {}", last.display()))
}

/// The files that any variant edits.
fn edited_files(workspace: &Workspace) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for name in names(workspace)? {
        files.extend(Description::read(workspace, &name)?.edit.into_iter().map(|edit| edit.file));
    }
    Ok(files)
}

/// The variants that a rule of the explorer must notice, each with that rule, in the order of their names.
pub(crate) fn of_rules(workspace: &Workspace) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for name in names(workspace)? {
        found.extend(Description::read(workspace, &name)?.rule.map(|rule| (name, rule)));
    }
    Ok(found)
}

/// The names of all variants, in order.
fn names(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.path(FOLDER);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("can not read {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".toml").map(ToOwned::to_owned));
    }
    names.sort();
    Ok(names)
}

impl Description {
    fn read(workspace: &Workspace, name: &str) -> Result<Self> {
        let path = workspace.path(FOLDER).join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path).with_context(|| format!("there is no variant {name}: can not read {}", path.display()))?;
        let description: Self = toml::from_str(&text).with_context(|| format!("variant {name}"))?;
        ensure!(!description.edit.is_empty(), "variant {name} breaks nothing: it has no [[edit]]");
        for Edit { file, .. } in &description.edit {
            ensure!(workspace.root().join(file).is_file(), "variant {name} edits {}, which is not there", file.display());
        }
        Ok(description)
    }

    /// The text of a file with this variant's replacements in it.
    fn apply(&self, name: &str, file: &Path, mut text: String) -> Result<String> {
        for edit in self.edit.iter().filter(|edit| edit.file == file) {
            match text.matches(&edit.find).count() {
                1 => text = text.replacen(&edit.find, &edit.replace, 1),
                count => bail!("variant {name}: this must stand in {} once, and stands there {count} times:\n{}", file.display(), edit.find),
            }
        }
        Ok(text)
    }
}

/// What a file of the copy holds; `None` for one that is tracked but not there.
fn content(workspace: &Workspace, name: &str, description: &Description, file: &Path, root: &Path) -> Result<Option<Vec<u8>>> {
    let path = workspace.root().join(file);
    if !path.is_file() {
        return Ok(None);
    }
    if file == Path::new(CARGO_SETTINGS) && root.starts_with(workspace.root()) {
        return Ok(Some(SETTINGS_ABOVE.into()));
    }
    let bytes = std::fs::read(&path).with_context(|| format!("can not read {}", path.display()))?;
    if !description.edit.iter().any(|edit| edit.file == file) {
        return Ok(Some(bytes));
    }
    let text = String::from_utf8(bytes).with_context(|| format!("variant {name} edits {}, which is no text", file.display()))?;
    description.apply(name, file, text).map(|text| Some(text.into_bytes()))
}

fn tracked_files(workspace: &Workspace) -> Result<BTreeSet<PathBuf>> {
    let listed = process::output_of(Command::new("git").current_dir(workspace.root()).args(["ls-files", "-z"]))?;
    let listed = String::from_utf8(listed).context("a tracked file has a name that is not UTF-8")?;
    let files: BTreeSet<PathBuf> = listed.split_terminator('\0').map(PathBuf::from).collect();
    ensure!(!files.is_empty(), "git tracks no file in {}", workspace.root().display());
    Ok(files)
}

fn write_if_different(path: &Path, content: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let folder = path.parent().context("a file has no folder")?;
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, content)).with_context(|| format!("can not write {}", path.display()))
}

/// Removes what an earlier copy had and this one has not. Cargo's lock file may have changed; that of the checkout is written over it each time.
fn remove_others(root: &Path, folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("can not read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, wanted)?;
        } else if !wanted.contains(path.strip_prefix(root)?) {
            std::fs::remove_file(&path).with_context(|| format!("can not remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(edits: &str) -> Description {
        toml::from_str(&format!("about = \"for a test\"\n{edits}")).expect("a description")
    }

    fn replacing(find: &str) -> Description {
        description(&format!("[[edit]]\nfile = \"a.rs\"\nfind = \"{find}\"\nreplace = \"two\""))
    }

    fn applied(find: &str, text: &str) -> Result<String> {
        replacing(find).apply("broken", Path::new("a.rs"), text.to_owned())
    }

    #[test]
    fn text_that_stands_once_is_replaced() {
        assert_eq!(applied("one", "zero one three").expect("an edit"), "zero two three");
    }

    #[test]
    fn text_that_stands_nowhere_or_twice_is_an_error_that_names_variant_and_file() {
        for text in ["zero", "one one"] {
            let error = applied("one", text).expect_err("no edit").to_string();
            assert!(error.contains("variant broken") && error.contains("a.rs"), "{error}");
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        assert_eq!(replacing("one").apply("broken", Path::new("b.rs"), "one one".to_owned()).expect("no edit"), "one one");
    }

    #[test]
    fn what_differs_is_new_to_cargo_when_another_variant_comes_and_only_then() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.rs");
        std::fs::write(&file, "").expect("a file");
        let is_new_for = |name| {
            let old = SystemTime::UNIX_EPOCH;
            OpenOptions::new().write(true).open(&file).and_then(|file| file.set_modified(old)).expect("an old file");
            renew(&folder.path().join("target"), name, folder.path(), &["a.rs".into()].into()).expect("it is there");
            file.metadata().and_then(|metadata| metadata.modified()).expect("a time") != old
        };
        assert_eq!(["one", "one", "other", "one"].map(is_new_for), [true, false, true, true]);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(toml::from_str::<Description>("about = \"x\"\n[[edit]]\nfile = \"a\"\nfnd = \"b\"\nreplace = \"c\"").is_err());
    }

    /// The checkout's variants: each must fit today's sources.
    #[test]
    fn every_committed_variant_fits_the_sources() {
        let workspace = Workspace::discover().expect("a checkout");
        for name in names(&workspace).expect("a folder of variants") {
            let description = Description::read(&workspace, &name).unwrap_or_else(|error| panic!("{error:#}"));
            for file in description.edit.iter().map(|edit| &edit.file) {
                let text = std::fs::read_to_string(workspace.root().join(file)).expect("text");
                description.apply(&name, file, text).unwrap_or_else(|error| panic!("{error:#}"));
            }
        }
    }
}
