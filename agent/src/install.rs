//! Streams a bundle into the slot that does not run and arms the trial, through the verifier's own writer.
//!
//! Guarantee: every byte is verified before it is written, and read back from the medium before the trial is armed. An install that was cut goes on
//! where it was when it is given the same bundle again.

use std::fmt;

use twinslot_bootloader::crypto::Builtin;
use twinslot_bootloader::handoff::Handoff;
use twinslot_bootloader::image::manifest::Version;
use twinslot_bootloader::install::{InstallError, Session};
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{NoCounter, Storage};
use twinslot_config::{Layout, Trust};

use crate::bundle::{Bundle, BundleError};
use crate::verdict::host;

/// An image that is on trial from the next boot on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// Where it is.
    pub slot: Slot,
    /// What its signed header says it is.
    pub version: Version,
    /// How many chunks it has.
    pub chunks: u64,
    /// The first chunk that had to be written.
    pub resumed_at: u64,
    /// Whether nothing is left to go back to once it is confirmed.
    pub leaves_no_fallback: bool,
}

/// Installs a bundle.
///
/// # Errors
/// The verifier refuses it, or the bundle or the storage can not be read or written. The slot is empty then, or as it was.
pub fn install(storage: &mut impl Storage, layout: &Layout, trust: &Trust, handoff: &Handoff, bundle: &Bundle) -> Result<Installed, InstallFailure> {
    let anchor = trust.anchor();
    let (mut crypto, mut counter) = (Builtin, NoCounter);
    let mut session = Session::open(storage, &mut crypto, &mut counter, host(layout, &anchor), handoff)?;
    let slot = session.inactive()?;
    let mut install = session.install(slot, bundle.header(), bundle.table())?;
    let installed = Installed {
        slot: install.slot(),
        version: install.header().manifest().version,
        chunks: install.chunk_count(),
        resumed_at: install.next_chunk().unwrap_or(install.chunk_count()),
        leaves_no_fallback: install.leaves_no_fallback()?,
    };
    while let Some(number) = install.next_chunk() {
        install.write_chunk(&bundle.chunk(number)?)?;
    }
    install.finish()?;
    Ok(installed)
}

impl fmt::Display for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version { major, minor, patch, build } = self.version;
        write!(
            f,
            "installed: version {major}.{minor}.{patch}+{build} in slot {}, {} chunk{}",
            self.slot.name(),
            self.chunks,
            if self.chunks == 1 { "" } else { "s" }
        )?;
        match self.resumed_at {
            0 => {}
            1 if self.chunks == 1 => f.write_str(", which was there")?,
            1 => f.write_str(", the first of which was there")?,
            count => write!(f, ", the first {count} of which were there")?,
        }
        f.write_str("; the next boot tries it")?;
        if self.leaves_no_fallback {
            f.write_str("\nwarning: once it is confirmed there is no image to go back to until the next install")?;
        }
        Ok(())
    }
}

/// Why a bundle was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallFailure {
    /// The bundle can not be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The verifier's writer refuses, or the storage failed.
    #[error("{0}")]
    Writer(InstallError),
}

impl From<InstallError> for InstallFailure {
    fn from(error: InstallError) -> Self {
        Self::Writer(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_chunk_is_told_as_one_and_more_as_many() {
        let told = |chunks, resumed_at| {
            let version = Version { major: 1, minor: 2, patch: 3, build: 4 };
            Installed { slot: Slot::B, version, chunks, resumed_at, leaves_no_fallback: false }.to_string()
        };
        assert_eq!(told(1, 0), "installed: version 1.2.3+4 in slot b, 1 chunk; the next boot tries it");
        assert_eq!(told(5, 0), "installed: version 1.2.3+4 in slot b, 5 chunks; the next boot tries it");
        assert_eq!(told(5, 1), "installed: version 1.2.3+4 in slot b, 5 chunks, the first of which was there; the next boot tries it");
        assert_eq!(told(5, 2), "installed: version 1.2.3+4 in slot b, 5 chunks, the first 2 of which were there; the next boot tries it");
        assert_eq!(told(1, 1), "installed: version 1.2.3+4 in slot b, 1 chunk, which was there; the next boot tries it");
    }
}
