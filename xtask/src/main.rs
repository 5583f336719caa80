//! `cargo xtask`: sets up, builds, boots in the emulator, tests and measures.
//!
//! Commands return what they found; this file prints it. Exit status 0 = all is well, 1 = something failed, 2 = wrong arguments.

mod board;
mod cargo;
mod process;
mod qemu;
mod setup;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Sets up, builds, boots in the emulator, tests and measures Twinslot",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check that everything needed is installed, and install what is missing
    Setup,
    /// Check the rules of the house that a machine can check
    Tidy,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<String> {
    let workspace = Workspace::discover()?;
    match command {
        Command::Setup => setup::setup(&workspace),
        Command::Tidy => tidy::tidy(&workspace),
    }
}
