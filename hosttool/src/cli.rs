//! The command line: one module for each command.

use clap::{Parser, Subcommand};

use crate::{commands, report::Outcome};

/// Packs, signs, verifies, inspects, assembles and flashes Twinslot images.
///
/// Exit codes: 0 done or accepted, 1 refused (with a stable code), 2 usage, input or output.
#[derive(Debug, Parser)]
#[command(name = "hosttool", version)]
pub struct Cli {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an Ed25519 key pair.
    Keygen(commands::keygen::Arguments),
    /// Write a trust file from public keys.
    Trust(commands::trust::Arguments),
    /// Pack parts into an unsigned slot image.
    Pack(commands::pack::Arguments),
    /// Add a signature to a slot image.
    Sign(commands::sign::Arguments),
    /// Ask the loader's own code whether it would accept a slot image.
    Verify(commands::verify::Arguments),
    /// Make the bundle of a slot image: what is shipped.
    Bundle(commands::bundle::Arguments),
    /// Print everything that a slot image, a bundle or a hand-off dump says, unverified.
    Inspect(commands::inspect::Arguments),
    /// Explain a header, a journal, a flash image or a hand-off dump in plain words, and what the next boot will do.
    Explain(commands::explain::Arguments),
    /// Assemble a whole flash image.
    Assemble(commands::assemble::Arguments),
    /// Erase, program, read back and verify a board's flash through a debug probe.
    Flash(commands::flash::Arguments),
    /// Show or change the boot state in a flash image.
    #[command(subcommand)]
    Journal(commands::journal::Arguments),
    /// Check a layout file.
    #[command(subcommand)]
    Layout(commands::layout::Arguments),
}

impl Command {
    /// Runs the command.
    ///
    /// # Errors
    /// The command refused what it read, or could not be carried out.
    pub fn run(&self) -> Outcome {
        match self {
            Self::Keygen(arguments) => commands::keygen::run(arguments),
            Self::Trust(arguments) => commands::trust::run(arguments),
            Self::Pack(arguments) => commands::pack::run(arguments),
            Self::Sign(arguments) => commands::sign::run(arguments),
            Self::Verify(arguments) => commands::verify::run(arguments),
            Self::Bundle(arguments) => commands::bundle::run(arguments),
            Self::Inspect(arguments) => commands::inspect::run(arguments),
            Self::Explain(arguments) => commands::explain::run(arguments),
            Self::Assemble(arguments) => commands::assemble::run(arguments),
            Self::Flash(arguments) => commands::flash::run(arguments),
            Self::Journal(arguments) => commands::journal::run(arguments),
            Self::Layout(arguments) => commands::layout::run(arguments),
        }
    }
}
