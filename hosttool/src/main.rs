//! Reads the arguments, runs one command, prints its outcome once.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use hosttool::{
    cli::Cli,
    report::{Format, print},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = if cli.json { Format::Json } else { Format::Text };
    let printout = print(&cli.command.run(), format);
    let printed = std::io::stdout().write_all(printout.stdout.as_bytes()).and_then(|()| std::io::stderr().write_all(printout.stderr.as_bytes()));
    match printed {
        Ok(()) => ExitCode::from(printout.exit_code),
        Err(_) => ExitCode::from(2),
    }
}
