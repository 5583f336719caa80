//! One module for each command: its arguments, what it does, and the report that it returns.

pub mod assemble;
pub mod bundle;
pub mod explain;
pub mod flash;
pub mod inspect;
pub mod journal;
pub mod keygen;
pub mod layout;
pub mod pack;
pub mod sign;
pub mod trust;
pub mod verify;

use anyhow::{Context as _, anyhow};
use std::path::Path;

use twinslot_bootloader::slot::Slot;
use twinslot_config::{Layout, LayoutError, Trust, TrustError};

use crate::{
    refusal::Refusal,
    report::{Failure, Outcome, Report},
};

/// Wraps a finished command's data.
fn done(report: impl Report + 'static) -> Outcome {
    Ok(Box::new(report))
}

/// Reads a layout: what can not be read is trouble, what breaks a rule is refused.
pub(crate) fn read_layout(path: &Path) -> Result<Layout, Failure> {
    Layout::read(path).map_err(|error| match error {
        unreadable @ LayoutError::Read { .. } => Failure::Trouble(anyhow!("{unreadable}")),
        error => Refusal::Layout { path: path.to_owned(), error }.into(),
    })
}

/// Reads a trust file: what can not be read is trouble, what breaks a rule is refused.
pub(crate) fn read_trust(path: &Path) -> Result<Trust, Failure> {
    Trust::read(path).map_err(|error| match error {
        unreadable @ TrustError::Read { .. } => Failure::Trouble(anyhow!("{unreadable}")),
        error => Refusal::Trust { path: path.to_owned(), error }.into(),
    })
}

/// Reads a whole small file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(std::fs::read(path).with_context(|| format!("{}: can not be read", path.display()))?)
}

/// A slot as command lines name it.
pub(crate) fn parse_slot(text: &str) -> Result<Slot, String> {
    Slot::BOTH.into_iter().find(|slot| slot.name() == text).ok_or_else(|| "expected a or b".to_owned())
}
