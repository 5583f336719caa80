//! Builds loaders, the demo application and the program of the vectors, each once per content.
//!
//! Cargo keeps one build of a package; a loader with another trust anchor would replace it. So every product is copied to
//! `target/xtask/firmware/` under a name that has the hash of all that goes into it: the sources, the lock file, the settings of the build.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::board::Board;
use crate::cargo::{build, cargo};
use crate::linux;
use crate::workspace::Workspace;

/// Whether a firmware writes its log to the second UART.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Logging {
    /// As it ships, and as it is measured.
    Off,
    On,
}

/// One firmware to build.
#[derive(Debug, Clone)]
struct Recipe {
    package: &'static str,
    target: &'static str,
    /// What the build scripts read.
    environment: Vec<(&'static str, String)>,
    /// Of the package.
    features: &'static str,
}

/// The loader of `board` that trusts what the file of that name in `qemu-boards/test-keys/` says.
pub(crate) fn loader(workspace: &Workspace, board: Board, trust: &str, logging: Logging) -> Result<PathBuf> {
    let trust = workspace.path("qemu-boards/test-keys").join(trust);
    let trust = trust.to_str().context("the checkout's path is not UTF-8")?.to_owned();
    product(
        workspace,
        &Recipe { package: board.name(), target: board.target(), environment: vec![("TWINSLOT_TRUST", trust), log_level(logging)], features: "" },
    )
}

/// The loader of a board that boots Linux, with the default test keys.
pub(crate) fn linux_loader(workspace: &Workspace, board: linux::Board) -> Result<PathBuf> {
    product(workspace, &Recipe { package: board.name(), target: board.target(), environment: Vec::new(), features: "" })
}

/// The same, which prints digests by the processor's instructions first.
pub(crate) fn hash_vectors(workspace: &Workspace, board: linux::Board) -> Result<PathBuf> {
    product(workspace, &Recipe { package: board.name(), target: board.target(), environment: Vec::new(), features: "hash-vectors" })
}

/// The demo application for `board`, linked to run at `place` (a word of the application's build script).
pub(crate) fn application(workspace: &Workspace, board: Board, place: &str) -> Result<PathBuf> {
    let environment = vec![("TWINSLOT_BOARD", board.name().to_owned()), ("TWINSLOT_PLACE", place.to_owned()), log_level(Logging::Off)];
    product(workspace, &Recipe { package: "demo-app", target: board.target(), environment, features: "" })
}

/// The program that runs the signature vectors in the place of `board`'s loader.
pub(crate) fn vectors(workspace: &Workspace, board: Board) -> Result<PathBuf> {
    let environment = vec![("TWINSLOT_BOARD", board.name().to_owned()), log_level(Logging::Off)];
    product(workspace, &Recipe { package: "signature-vectors", target: board.target(), environment, features: "" })
}

fn log_level(logging: Logging) -> (&'static str, String) {
    ("DEFMT_LOG", if logging == Logging::On { "info" } else { "off" }.to_owned())
}

fn product(workspace: &Workspace, recipe: &Recipe) -> Result<PathBuf> {
    let name = format!("{}-{}.elf", recipe.package, fingerprint(workspace, recipe)?);
    let path = workspace.products("firmware")?.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let mut command = cargo(workspace);
    command
        .args(["build", "--quiet", "--profile", "firmware", "--target", recipe.target, "--features", recipe.features])
        .envs(recipe.environment.iter().cloned());
    let built = build(command, recipe.package, "")?;
    let unfinished = path.with_extension("unfinished");
    std::fs::copy(&built, &unfinished).with_context(|| format!("can not copy {}", built.display()))?;
    std::fs::rename(&unfinished, &path).with_context(|| format!("can not write {}", path.display()))?;
    Ok(path)
}

/// 16 hexadecimal digits over everything that decides what the product is.
fn fingerprint(workspace: &Workspace, recipe: &Recipe) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{recipe:?}"));
    for source in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo", "bootloader", "qemu-boards", "tests/tests/vectors"] {
        add(&mut hash, &workspace.path(source))?;
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Adds a file, or all files below a folder in the order of their names.
fn add(hash: &mut Sha256, path: &Path) -> Result<()> {
    let unreadable = || format!("can not read {}", path.display());
    if !path.is_dir() {
        let bytes = std::fs::read(path).with_context(unreadable)?;
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(u64::try_from(bytes.len())?.to_le_bytes());
        hash.update(&bytes);
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(unreadable)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(unreadable)?;
    paths.sort();
    paths.iter().try_for_each(|path| add(hash, path))
}
