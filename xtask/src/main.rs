//! `cargo xtask`: sets up, builds, boots in the emulator, tests and measures.
//!
//! Commands return what they found; this file prints it. Exit status 0 = all is well, 1 = something failed, 2 = wrong arguments.

mod application;
mod bench;
mod board;
mod budget;
mod cargo;
mod ci;
mod coverage;
mod cuts;
mod demo;
mod elf;
mod emulate;
mod explore;
mod firmware;
mod fuzz;
mod glitch;
mod linux;
mod mutants;
mod plugin;
mod process;
mod qemu;
mod scenario;
mod setup;
mod size;
mod test;
mod test_module;
mod tidy;
mod variant;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::bench::Extent;
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
    /// Show it all: build, pack, sign, boot, update, and a bad update that is caught, on two emulated boards
    Demo,
    /// Run all tests, on this machine and on the emulated boards
    Test,
    /// Run everything that must hold before a change lands
    Ci,
    /// Run the scenarios on the emulated boards
    Qemu(QemuArguments),
    /// Cut the power after every single store of commits and of a header's write, on an emulated board
    Cuts(cuts::CutsArguments),
    /// Boot the Linux loader on damaged headers, parts, journals, device trees and disks: each ends with a name
    Refusals(linux::RefusalsArguments),
    /// Cut the power in everything that an install and a confirm under Linux write to a disk, and boot the loader on what is left
    PowerLoss(linux::PowerLossArguments),
    /// Live the lives of simulated hosts with every power cut and fault in them, and judge each step by the rules of the design
    Explore(explore::ExploreArguments),
    /// Fuzz every parser for a minute, from the committed corpora
    Fuzz(fuzz::FuzzArguments),
    /// Measure the loaders' code and RAM against the budgets
    Size(JsonArgument),
    /// Measure boot instructions and packing against the budgets
    Bench(BenchArguments),
    /// Measure which regions of the verifier its tests reach; those of decision, journal, install and formats must be all
    Coverage(coverage::CoverageArguments),
    /// Check the table of mutants of the verifier, or make its rows anew
    Mutants(mutants::MutantsArguments),
    /// Check the rules of the house that a machine can check
    Tidy,
    /// Leave instructions of a loader out, one after the other: none may make it start an image that it must refuse
    Glitch(GlitchArguments),
    /// Make a deliberately broken copy of the sources (tests/variants/NAME.toml) and say where it is
    Variant(VariantArguments),
}

#[derive(Args)]
struct QemuArguments {
    /// One board only: mps2-an386, mps2-an505, virt-aarch64 or virt-riscv64; without it both microcontrollers
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

#[derive(Args)]
struct JsonArgument {
    /// Write the measures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Args)]
struct GlitchArguments {
    /// Try every fault (hours); without it, on each host what no other host has shown, and later executions that a seed chooses
    #[arg(long)]
    full: bool,
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Try one fault again and tell what happens: HOST:KIND:NUMBER, as a finding names it
    #[arg(long, value_name = "FAULT")]
    replay: Option<String>,
    /// One host only, like bad-signature/confirmed
    #[arg(long)]
    host: Option<String>,
}

#[derive(Args)]
struct VariantArguments {
    /// The name of a file in tests/variants, without its ending
    name: String,
}

#[derive(Args)]
struct BenchArguments {
    #[command(flatten)]
    json: JsonArgument,
    /// Pack 1 GiB instead of 256 MiB
    #[arg(long)]
    full: bool,
    /// Only what boots of Debian's kernel cost on the boards that boot Linux
    #[arg(long, conflicts_with = "full")]
    linux: bool,
}

impl BenchArguments {
    const fn extent(&self) -> Extent {
        if self.full { Extent::Full } else { Extent::Short }
    }
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
        Command::Demo => demo::demo(&workspace),
        Command::Test => test::test(&workspace),
        Command::Ci => ci::ci(&workspace),
        Command::Qemu(QemuArguments { board, scenario, json, keep }) => emulate::emulate(&workspace, &Request { board, scenario, json, keep }),
        Command::Cuts(arguments) => cuts::cuts(&workspace, &arguments.request()?),
        Command::Refusals(arguments) => linux::refusals(&workspace, &arguments),
        Command::PowerLoss(arguments) => linux::power_loss(&workspace, &arguments),
        Command::Explore(arguments) => explore::explore(&workspace, &arguments),
        Command::Fuzz(arguments) => fuzz::fuzz(&workspace, &arguments),
        Command::Size(JsonArgument { json }) => budget::report("size", &size::size(&workspace)?, json.as_deref()),
        Command::Bench(arguments) if arguments.linux => budget::report("bench", &bench::bench_linux(&workspace)?, arguments.json.json.as_deref()),
        Command::Bench(arguments) => budget::report("bench", &bench::bench(&workspace, arguments.extent())?, arguments.json.json.as_deref()),
        Command::Coverage(arguments) => coverage::coverage(&workspace, &arguments),
        Command::Mutants(arguments) => mutants::mutants(&workspace, &arguments).map(mutants::Verdict::words),
        Command::Tidy => tidy::tidy(&workspace),
        Command::Glitch(GlitchArguments { full, json, replay, host }) => {
            let extent = if full { glitch::Extent::Full } else { glitch::Extent::Short };
            glitch::glitch(&workspace, &glitch::Request { extent, json, replay, host })
        }
        Command::Variant(VariantArguments { name }) => {
            let made = variant::Variant::make(&workspace, &name)?;
            Ok(format!("{}\n{}", made.about, made.workspace.root().display()))
        }
    }
}
