//! `twinslot-agent`: what the journal of this host says.
//!
//! Exit status 0 = done, 2 = wrong arguments, or storage that can not be read.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use lexopt::Arg;
use twinslot_agent::{FileStorage, status};
use twinslot_config::Layout;

const USAGE: &str = "usage: twinslot-agent status --layout LAYOUT.toml --storage DEVICE";

fn main() -> ExitCode {
    let printed = run(lexopt::Parser::from_env()).and_then(|text| writeln!(io::stdout(), "{text}").context("can not print the answer"));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("twinslot-agent: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what the arguments say and gives the text to print.
fn run(mut arguments: lexopt::Parser) -> Result<String> {
    match arguments.next()? {
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(USAGE.to_owned()),
        Some(Arg::Long("version") | Arg::Short('V')) => Ok(concat!("twinslot-agent ", env!("CARGO_PKG_VERSION")).to_owned()),
        Some(Arg::Value(command)) if command == "status" => run_status(arguments),
        Some(other) => bail!("{}; {USAGE}", other.unexpected()),
        None => bail!("what to do is missing; {USAGE}"),
    }
}

fn run_status(mut arguments: lexopt::Parser) -> Result<String> {
    let (mut layout, mut storage) = (None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("layout") => set(&mut layout, "--layout", arguments.value()?)?,
            Arg::Long("storage") => set(&mut storage, "--storage", arguments.value()?)?,
            Arg::Long("help") | Arg::Short('h') => return Ok(USAGE.to_owned()),
            other => bail!("{}; {USAGE}", other.unexpected()),
        }
    }
    let layout = layout.with_context(|| format!("--layout is missing; {USAGE}"))?;
    let storage = storage.with_context(|| format!("--storage is missing; {USAGE}"))?;
    let layout = Layout::read(&layout)?;
    let mut storage = FileStorage::open_read_only(&storage, &layout)?;
    let status = status(&mut storage, &layout.policy);
    Ok(match storage.failure() {
        Some(failure) => format!("{status}\nstorage: a read failed: {failure}"),
        None => status.to_string(),
    })
}

fn set(option: &mut Option<PathBuf>, name: &str, value: OsString) -> Result<()> {
    if option.replace(value.into()).is_some() {
        bail!("{name} stands twice; {USAGE}");
    }
    Ok(())
}
