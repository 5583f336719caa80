//! `cargo xtask test`: every test that needs nothing but this machine and the emulator.

use anyhow::Result;

use crate::cargo::cargo;
use crate::emulate::{Request, emulate};
use crate::process;
use crate::setup::setup;
use crate::workspace::Workspace;

/// Sets up, runs the tests of all packages, then the scenarios on the emulated boards.
pub(crate) fn test(workspace: &Workspace) -> Result<String> {
    println!("{}", setup(workspace)?);
    let packages = packages(workspace)?;
    let scenarios = emulate(workspace, &Request::default())?;
    Ok(format!("{packages}\n{scenarios}\ntest: ok"))
}

/// `cargo test` of the workspace, with its own output.
pub(crate) fn packages(workspace: &Workspace) -> Result<String> {
    process::run(cargo(workspace).args(["test", "--workspace", "--quiet"]))?;
    Ok("packages: ok".to_owned())
}
