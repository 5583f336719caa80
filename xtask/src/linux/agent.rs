//! The agent as one static program for a board.
//!
//! With musl it needs nothing but Rust's own linker. Where there is no musl it is glibc's static library from Debian's packages, which clang links.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::board::Board;
use super::debian::Packages;
use crate::cargo::{Compiler, build, cargo};
use crate::workspace::Workspace;

/// Builds the agent of a checkout.
pub(super) fn agent(workspace: &Workspace, board: Board) -> Result<PathBuf> {
    let mut command = cargo(workspace);
    command.args(["build", "--quiet", "--release", "--target", board.agent_target()]);
    if board == Board::Riscv64 {
        // Rust's own linker, by the name under which it takes what clang gives it.
        let linker = Compiler::find(workspace, None)?.tools().join("gcc-ld/ld.lld");
        command.env("CARGO_ENCODED_RUSTFLAGS", flags_with_glibc(Packages::gather(workspace, board)?.root(), &linker).join("\x1f"));
    }
    build(command, "twinslot-agent", "")
}

/// `root`: where the packages of the C library and of its compiler's run-time library are unpacked.
fn flags_with_glibc(root: &Path, linker: &Path) -> Vec<String> {
    let libraries = root.join("usr/lib/riscv64-linux-gnu");
    let given_to_clang = [
        "--target=riscv64-linux-gnu".to_owned(),
        format!("--sysroot={}", root.display()),
        format!("--ld-path={}", linker.display()),
        format!("-B{}", libraries.display()),
        format!("-L{}", libraries.display()),
    ];
    let flags = ["target-feature=+crt-static".to_owned(), "linker=clang".to_owned(), "strip=symbols".to_owned()];
    flags.into_iter().chain(given_to_clang.map(|argument| format!("link-arg={argument}"))).map(|flag| format!("-C{flag}")).collect()
}
