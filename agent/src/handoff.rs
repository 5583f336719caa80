//! What the loader of this host handed over.

use std::path::{Path, PathBuf};

use twinslot_bootloader::handoff::{HANDOFF_SIZE, Handoff, HandoffError};

/// Where Linux shows the record: the property `twinslot,handoff` of `/chosen` in the device tree.
pub const PROPERTY: &str = "/proc/device-tree/chosen/twinslot,handoff";

/// Reads a record from a file or property.
///
/// # Errors
/// It can not be read, or is no hand-off that this agent knows.
pub fn read(path: &Path) -> Result<Handoff, UnreadableHandoff> {
    let bytes = std::fs::read(path).map_err(|source| UnreadableHandoff::Io { path: path.to_owned(), source })?;
    let record = <&[u8; HANDOFF_SIZE]>::try_from(bytes.as_slice());
    let record = record.map_err(|_| UnreadableHandoff::WrongLength { path: path.to_owned(), len: bytes.len() })?;
    Handoff::decode(record).map_err(|source| UnreadableHandoff::NotOne { path: path.to_owned(), source })
}

/// Why there is no hand-off.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableHandoff {
    /// The operating system refused.
    #[error("{}: {source}; the loader of this host leaves the hand-off there", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not as long as one.
    #[error("{}: has {len} bytes, a hand-off has {HANDOFF_SIZE}", path.display())]
    WrongLength {
        /// The path.
        path: PathBuf,
        /// What there is.
        len: usize,
    },
    /// The verifier's decoder refuses it.
    #[error("{}: {source:?}; use the agent of the loader's release", path.display())]
    NotOne {
        /// The path.
        path: PathBuf,
        /// Why.
        source: HandoffError,
    },
}
