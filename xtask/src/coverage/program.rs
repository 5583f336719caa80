//! The test programs that reach the verifier.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::compiler::{Compiler, folder};
use crate::cargo::cargo;
use crate::process;
use crate::workspace::Workspace;

/// The tests of the verifier itself and those about it. What only needs more time (fuzzing, the second reader, published vectors) reaches nothing more.
const TESTS: [&str; 6] = ["journal", "install", "rules", "rejections", "formats", "regressions"];

/// One test program.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// Where its package is; tests run there.
    package: PathBuf,
}

/// What a run of a program left.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) program: PathBuf,
    pub(super) counts: PathBuf,
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    profile: Option<Built>,
}

#[derive(Deserialize)]
struct Built {
    test: bool,
}

/// Builds the test programs. With a target named, build scripts and macros are not instrumented.
pub(super) fn build(workspace: &Workspace, compiler: &Compiler) -> Result<Vec<Program>> {
    let mut command = cargo(workspace);
    command.args(["test", "--no-run", "--quiet", "--profile", "quick", "--message-format=json-render-diagnostics", "--target", &compiler.host]);
    command.args(["--package", "twinslot-bootloader", "--package", "twinslot-tests", "--lib"]);
    command.args(TESTS.iter().flat_map(|test| ["--test", test]));
    command.env("CARGO_TARGET_DIR", folder(workspace, compiler)).env("RUSTC", &compiler.rustc).env("RUSTFLAGS", compiler.flags);
    let messages = process::output_of(command.env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    let programs: Vec<Program> = String::from_utf8_lossy(&messages).lines().filter_map(program).collect();
    ensure!(programs.len() > TESTS.len(), "cargo built {} test programs, not one of each test and the libraries' own", programs.len());
    Ok(programs)
}

fn program(line: &str) -> Option<Program> {
    let message: Message = serde_json::from_str(line).ok()?;
    // A package's own programs are built beside its tests.
    message.profile.filter(|built| built.test)?;
    Some(Program { path: message.executable?, package: message.manifest_path?.parent()?.to_owned() })
}

impl Program {
    pub(super) fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Runs it; every test must pass.
    pub(super) fn run(&self, workspace: &Workspace, compiler: &Compiler) -> Result<Profile> {
        let counts = folder(workspace, compiler).join(format!("{}.profraw", self.name()));
        if counts.exists() {
            std::fs::remove_file(&counts).with_context(|| format!("can not remove {}", counts.display()))?;
        }
        process::output_of(Command::new(&self.path).arg("--quiet").current_dir(&self.package).env("LLVM_PROFILE_FILE", &counts))?;
        Ok(Profile { program: self.path.clone(), counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_what_cargo_says_it_linked() {
        let message = |test: bool, executable: &str| {
            program(&format!(r#"{{"manifest_path":"/x/tests/Cargo.toml","profile":{{"test":{test}}},"executable":{executable}}}"#))
        };
        let linked = message(true, r#""/t/deps/rules-1f""#).expect("a program");
        assert_eq!((linked.package, linked.path.as_path()), (PathBuf::from("/x/tests"), std::path::Path::new("/t/deps/rules-1f")));
        assert!(message(true, "null").is_none(), "a library");
        assert!(message(false, r#""/t/explore""#).is_none(), "a program of the package that is no test");
        assert!(program(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
