//! `twinslot-agent`: what the journal of this host says, its root file system behind dm-verity, installs, and verdicts on the running image.
//!
//! Exit status 0 = done, 1 = refused by the verifier, with its code, 2 = wrong arguments, or something failed, 3 = the root file system is mapped,
//! but the answer, which names the device, can not be printed. An install or a verdict that is done is 0 even when its answer can not be printed;
//! what can not be printed stands on standard error. What is refused has written nothing; an install whose chunks turn out to be others than those
//! that the header pins has left its slot empty.
#![forbid(unsafe_code)]

mod arguments;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use arguments::{Command, Effect, Host, Parsed, USAGE};
use twinslot_agent::bundle::BundleError;
use twinslot_agent::install::InstallFailure;
use twinslot_agent::verdict::{Verdict, judge};
use twinslot_agent::{Bundle, FileStorage, device_mapper, handoff, install, root_fs, status};
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_config::{Layout, Trust};

fn main() -> ExitCode {
    match arguments::parse(lexopt::Parser::from_env()).and_then(|parsed| Ok((answer(&parsed)?, parsed.effect()))) {
        Ok((text, effect)) => tell(&text, effect),
        Err(error) => tell_failure(&error),
    }
}

/// Prints the answer. What was done to the host stays done, whether or not its words arrive.
fn tell(text: &str, effect: Effect) -> ExitCode {
    let Err(error) = writeln!(io::stdout(), "{text}") else { return ExitCode::SUCCESS };
    let status = match effect {
        Effect::None => return tell_failure(&anyhow::Error::from(error).context("can not print the answer")),
        Effect::Whole => 0,
        Effect::Needed => 3,
    };
    // There may be nobody to read this either.
    let _ = writeln!(io::stderr(), "twinslot-agent: it is done, but the answer can not be printed: {error}\n{text}");
    ExitCode::from(status)
}

fn tell_failure(error: &anyhow::Error) -> ExitCode {
    let words = words(error);
    let refusal = refusal(error);
    let _ = match refusal {
        Some(refusal) => writeln!(io::stderr(), "twinslot-agent: refused: code={} {words}", refusal.code()),
        None => writeln!(io::stderr(), "twinslot-agent: {words}"),
    };
    ExitCode::from(if refusal.is_some() { 1 } else { 2 })
}

/// The verifier's refusal, where there is one.
fn refusal(error: &anyhow::Error) -> Option<Refusal> {
    let of_bundle = || error.downcast_ref::<BundleError>().and_then(BundleError::refusal);
    error.downcast_ref::<Refusal>().copied().or_else(of_bundle)
}

/// The error with its causes. One that tells its cause in its own words is not followed by it again.
fn words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// Does what was asked for and gives the text to print.
fn answer(parsed: &Parsed) -> Result<String> {
    match parsed {
        Parsed::Help => Ok(USAGE.to_owned()),
        Parsed::Version => Ok(concat!("twinslot-agent ", env!("CARGO_PKG_VERSION")).to_owned()),
        Parsed::Command { host, command: Command::Status } => tell_status(host),
        Parsed::Command { host, command: Command::MapRoot { handoff, command_line } } => map_root(host, handoff, command_line),
        Parsed::Command { host, command: Command::Install { bundle, trust, handoff } } => install_bundle(host, bundle, trust, handoff),
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

/// The bundle is looked at first: one that is none of this agent's needs no storage.
fn install_bundle(host: &Host, bundle: &Path, trust: &Path, handoff: &Path) -> Result<String> {
    let layout = Layout::read(&host.layout)?;
    let trust = Trust::read(trust)?;
    let handoff = handoff::read(handoff)?;
    let bundle = Bundle::open(bundle, &layout)?;
    let mut storage = FileStorage::open(&host.storage, &layout)?;
    match install(&mut storage, &layout, &trust, &handoff, &bundle) {
        Ok(installed) => Ok(format!("{installed}\n{}", status(&mut storage, &layout.policy))),
        Err(InstallFailure::Bundle(error)) => Err(error.into()),
        Err(InstallFailure::Writer(error)) => Err(not_written(error, host, &storage)),
    }
}

fn give_verdict(host: &Host, verdict: Verdict, trust: &Path, handoff: &Path) -> Result<String> {
    let layout = Layout::read(&host.layout)?;
    let trust = Trust::read(trust)?;
    let handoff = handoff::read(handoff)?;
    let mut storage = FileStorage::open(&host.storage, &layout)?;
    match judge(&mut storage, &layout, &trust, &handoff, verdict) {
        Ok(()) => Ok(status(&mut storage, &layout.policy).to_string()),
        Err(error) => Err(not_written(error, host, &storage)),
    }
}

/// A refusal by its code, a failure with the device and what the operating system said.
fn not_written(error: InstallError, host: &Host, storage: &FileStorage) -> anyhow::Error {
    let device = host.storage.display();
    match (error, storage.failure()) {
        (InstallError::Refused(refusal), _) => refusal.into(),
        (error, Some(failure)) => anyhow::Error::from(error).context(format!("{device}: {failure}")),
        (error, None) => anyhow::Error::from(error).context(device.to_string()),
    }
}
