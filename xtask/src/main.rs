//! `cargo xtask`: sets up, builds, boots in the emulator, tests and measures.
//!
//! Commands return what they found; this file prints it. Exit status 0 = all is well, 1 = something failed, 2 = wrong arguments.

mod application;
mod board;
mod budget;
mod cargo;
mod elf;
mod emulate;
mod firmware;
mod plugin;
mod process;
mod qemu;
mod scenario;
mod setup;
mod tidy;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::emulate::Request;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Sets up, builds, boots in the emulator, tests and measures Twinslot", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check that everything needed is installed, and install what is missing
    Setup,
    /// Run the scenarios on the emulated boards
    Qemu(QemuArguments),
    /// Check the rules of the house that a machine can check
    Tidy,
}

#[derive(Args)]
struct QemuArguments {
    /// One board only: mps2-an386 or mps2-an505
    board: Option<String>,
    /// One scenario only
    scenario: Option<String>,
    /// Write the outcomes to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep images, flash files and logs in DIR
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
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

fn run(command: Command) -> Result<String> {
    let workspace = Workspace::discover()?;
    match command {
        Command::Setup => setup::setup(&workspace),
        Command::Qemu(QemuArguments { board, scenario, json, keep }) => emulate::emulate(&workspace, &Request { board, scenario, json, keep }),
        Command::Tidy => tidy::tidy(&workspace),
    }
}
