//! `twinslot-agent`: what the journal of this host says, its root file system behind dm-verity, and verdicts on the running image.
//!
//! Exit status 0 = done, 1 = refused by the verifier, with its code, and nothing was written, 2 = wrong arguments, or something failed.
#![forbid(unsafe_code)]

mod arguments;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use arguments::{Command, Host, Parsed, USAGE};
use twinslot_agent::verdict::{Verdict, judge};
use twinslot_agent::{FileStorage, device_mapper, handoff, root_fs, status};
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_config::{Layout, Trust};

fn main() -> ExitCode {
    let done = arguments::parse(lexopt::Parser::from_env()).and_then(|parsed| answer(&parsed));
    let printed = done.and_then(|text| writeln!(io::stdout(), "{text}").context("can not print the answer"));
    let Err(error) = printed else { return ExitCode::SUCCESS };
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        eprintln!("twinslot-agent: refused: code={} {refusal}", refusal.code());
        return ExitCode::from(1);
    }
    eprintln!("twinslot-agent: {error:#}");
    ExitCode::from(2)
}

/// Does what was asked for and gives the text to print.
fn answer(parsed: &Parsed) -> Result<String> {
    match parsed {
        Parsed::Help => Ok(USAGE.to_owned()),
        Parsed::Version => Ok(concat!("twinslot-agent ", env!("CARGO_PKG_VERSION")).to_owned()),
        Parsed::Command { host, command: Command::Status } => tell_status(host),
        Parsed::Command { host, command: Command::MapRoot { handoff, command_line } } => map_root(host, handoff, command_line),
        Parsed::Command { host, command: Command::Judge { verdict, trust, handoff } } => give_verdict(host, *verdict, trust, handoff),
    }
}

fn tell_status(host: &Host) -> Result<String> {
    let layout = Layout::read(&host.layout)?;
    let mut storage = FileStorage::open_read_only(&host.storage, &layout)?;
    let status = status(&mut storage, &layout.policy);
    Ok(match storage.failure() {
        Some(failure) => format!("{status}\nstorage: a read failed: {failure}"),
        None => status.to_string(),
    })
}

/// The answer is the path of the device to mount, and nothing else: scripts read it.
fn map_root(host: &Host, handoff: &Path, command_line: &Path) -> Result<String> {
    let layout = Layout::read(&host.layout)?;
    let handoff = handoff::read(handoff)?;
    let command_line = std::fs::read(command_line).with_context(|| format!("can not read {}", command_line.display()))?;
    let mut storage = FileStorage::open_read_only(&host.storage, &layout)?;
    let root = root_fs(&mut storage, &layout, &handoff, &command_line)?;
    Ok(device_mapper::map(&host.storage, &root)?.display().to_string())
}

fn give_verdict(host: &Host, verdict: Verdict, trust: &Path, handoff: &Path) -> Result<String> {
    let layout = Layout::read(&host.layout)?;
    let trust = Trust::read(trust)?;
    let handoff = handoff::read(handoff)?;
    let mut storage = FileStorage::open(&host.storage, &layout)?;
    match judge(&mut storage, &layout, &trust, &handoff, verdict) {
        Ok(()) => Ok(status(&mut storage, &layout.policy).to_string()),
        Err(InstallError::Refused(refusal)) => Err(refusal.into()),
        Err(error) => match storage.failure() {
            Some(failure) => Err(error).with_context(|| failure.to_string()),
            None => Err(error.into()),
        },
    }
}
