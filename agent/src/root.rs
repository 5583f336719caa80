//! The root file system of the running image: where it lies, and what dm-verity must know of it.
//!
//! Guarantee: every number here is signed. The header is the one that the loader verified in this boot, by its digest in the hand-off; the root hash
//! on the command line is the header's.

use twinslot_bootloader::crypto::{Builtin, Crypto as _};
use twinslot_bootloader::handoff::{Booted, Handoff};
use twinslot_bootloader::image::manifest::{Kind, Part};
use twinslot_bootloader::image::{HEADER_SIZE, HeaderBytes};
use twinslot_bootloader::install::Refusal;
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::storage::{ReadAt as _, Region, Storage as _};
use twinslot_bootloader::verity::{Verity, VerityError};
use twinslot_config::Layout;

use crate::storage::FileStorage;

/// A root file system with its hash tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFs {
    /// Where it begins, in bytes from the start of the storage.
    pub offset: u64,
    /// Its bytes, the hash tree included.
    pub len: u64,
    /// What dm-verity must know.
    pub verity: Verity,
}

/// Finds the root file system of the running image. `command_line` is the kernel's.
///
/// # Errors
/// Nothing of this storage runs, it has no root file system, or what is said of it in two places differs.
pub fn root_fs(storage: &mut FileStorage, layout: &Layout, handoff: &Handoff, command_line: &[u8]) -> Result<RootFs, NoRootFs> {
    if handoff.layout != layout.digest() {
        return Err(NoRootFs::WrongLayout);
    }
    let region = match handoff.booted {
        Booted::Slot(slot) => Region::Slot(slot),
        Booted::Golden => Region::Golden,
        Booted::Nothing => return Err(NoRootFs::NothingRuns),
    };
    let part = part(storage, region, handoff)?;
    let verity = Verity::on_line(command_line)?;
    if verity.root_hash != part.sha256 {
        return Err(NoRootFs::OtherRootHash);
    }
    if verity.bytes() != part.len {
        return Err(NoRootFs::WrongLength { len: part.len, needed: verity.bytes() });
    }
    Ok(RootFs { offset: storage.offset(region) + part.offset, len: part.len, verity })
}

/// The part of the header that the loader verified.
fn part(storage: &mut FileStorage, region: Region, handoff: &Handoff) -> Result<Part, NoRootFs> {
    let mut bytes = [0; HEADER_SIZE];
    storage.region(region).read_at(0, &mut bytes).map_err(|_| NoRootFs::Unreadable)?;
    let header = HeaderBytes::parse(&bytes)?;
    if Builtin.digest(header.signed()) != handoff.digest {
        return Err(NoRootFs::OtherImage);
    }
    header.unverified_manifest()?.part(Kind::RootFs).cloned().ok_or(NoRootFs::None)
}

/// Why there is no root file system to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRootFs {
    /// The layout is not the loader's.
    #[error("{}", Refusal::WrongLayout.text())]
    WrongLayout,
    /// The loader started nothing.
    #[error("the hand-off says that nothing was booted")]
    NothingRuns,
    /// The storage failed.
    #[error("the header of the running image can not be read")]
    Unreadable,
    /// The bytes in the slot are no header.
    #[error("the slot of the running image holds no image any more: {0}")]
    NoImage(#[from] Rejection),
    /// They are another image's.
    #[error("the slot holds another image than the one that the loader verified: it was written since, or this is another storage")]
    OtherImage,
    /// The image has no such part.
    #[error("the running image has no root file system: pack it with --part rootfs=FILE --verity")]
    None,
    /// The command line does not say what is needed.
    #[error("{0}")]
    CommandLine(#[from] VerityError),
    /// It says something else than the header.
    #[error("the root hash on the command line is not the one in the header of the running image")]
    OtherRootHash,
    /// The part has another length than its blocks of data ask for.
    #[error("the root file system has {len} bytes, but its data and its hash tree need {needed}: pack it with --verity")]
    WrongLength {
        /// What there is.
        len: u64,
        /// What data and hash tree need.
        needed: u64,
    },
}
