//! Why something is refused. Codes below 200 are the verifier's and the installer's own; from 200 on they are the host tool's. All are stable and append-only.

use std::{borrow::Cow, path::PathBuf};

use twinslot_bootloader::{install, rejection::Rejection};
use twinslot_config::{LayoutError, TrustError};

/// A refusal: what was read or asked for is not acceptable.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The verifier refuses the image, or would.
    #[error("{0}")]
    Image(#[from] Rejection),
    /// The verifier refuses one of several images.
    #[error("{what}: {rejection}")]
    OneImage {
        /// Which one.
        what: String,
        /// Why.
        rejection: Rejection,
    },
    /// The layout breaks a rule.
    #[error("{}: {error}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Which rule.
        error: LayoutError,
    },
    /// The trust file breaks a rule.
    #[error("{}: {error}", path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// Which rule.
        error: TrustError,
    },
    /// A release and a key whose private half is published.
    #[error("{what} is a published test key: anybody can sign with it; sign releases with a key of your own (hosttool keygen)")]
    TestKey {
        /// The key, and where it was met.
        what: String,
    },
    /// The key has signed the image already.
    #[error("key {key_id} has signed {} already: nothing to add", path.display())]
    AlreadySigned {
        /// The key's id.
        key_id: String,
        /// The image.
        path: PathBuf,
    },
    /// There is no room for a fifth signature.
    #[error("{} has 4 signatures already, which is all that a header has room for", path.display())]
    NoRoomForSignature {
        /// The image.
        path: PathBuf,
    },
    /// The signature does not hold over the image's signed bytes.
    #[error("the signature in {} does not hold over the signed bytes of {} under key {key_id}: sign what `sign --prepare` writes, with pure Ed25519", signature.display(), image.display())]
    WrongSignature {
        /// The signature's file.
        signature: PathBuf,
        /// The image.
        image: PathBuf,
        /// The key's id.
        key_id: String,
    },
    /// A key file that holds no usable key.
    #[error("{}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The manifest does not fit a header.
    #[error("the manifest takes more than 716 bytes: use fewer parts, revocations or a shorter product name")]
    ManifestTooLong,
    /// The file's length is not what its header says.
    #[error("{} is {len} bytes, but its header says {expected}: the file is cut short or has bytes behind the image", path.display())]
    WrongLength {
        /// The image.
        path: PathBuf,
        /// The file's length.
        len: u64,
        /// The header's.
        expected: u64,
    },
    /// Something does not fit its region.
    #[error("{what} is {len} bytes, but {region} has room for {room}: enlarge the region or shrink the file")]
    TooLarge {
        /// What.
        what: String,
        /// Its length.
        len: u64,
        /// Where it was to go.
        region: &'static str,
        /// The region's size.
        room: u64,
    },
    /// The layout lacks a region that was asked for.
    #[error("the layout has no {region} region: add it or leave {option} out")]
    NoRegion {
        /// Which region.
        region: &'static str,
        /// The option that asked for it.
        option: &'static str,
    },
    /// There is no room for a GPT around the regions.
    #[error("the disk can have no GPT: {reason}; leave its first and its last 1 MiB free, or leave --gpt out")]
    NoRoomForGpt {
        /// What is in the way.
        reason: String,
    },
    /// The file is none of the things the command knows.
    #[error("{}: {reason}", path.display())]
    UnknownFile {
        /// The file.
        path: PathBuf,
        /// What it was looked at as, and the remedy.
        reason: String,
    },
    /// The writer of the boot state refuses the change; its own code.
    #[error("{0}")]
    Journal(install::Refusal),
    /// The loader's ELF does not fit the board.
    #[error("loader {}: {reason}", path.display())]
    Loader {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// A root file system or its command line can not get a hash tree.
    #[error("{}: {reason}", path.display())]
    Verity {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// The flash does not hold what was programmed.
    #[error("read-back differs at {address:#x}: the flash is worn, protected or not the one of this layout")]
    ReadBack {
        /// The first address that differs.
        address: u64,
    },
}

impl Refusal {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Image(rejection) | Self::OneImage { rejection, .. } => u16::from(rejection.code()),
            Self::Layout { .. } => 201,
            Self::Trust { .. } => 202,
            Self::TestKey { .. } => 203,
            Self::AlreadySigned { .. } => 204,
            Self::NoRoomForSignature { .. } => 205,
            Self::WrongSignature { .. } => 206,
            Self::Key { .. } => 207,
            Self::ManifestTooLong => 208,
            Self::WrongLength { .. } => 209,
            Self::TooLarge { .. } => 210,
            Self::NoRegion { .. } => 211,
            Self::UnknownFile { .. } => 212,
            Self::Loader { .. } => 213,
            Self::ReadBack { .. } => 214,
            Self::NoRoomForGpt { .. } => 215,
            Self::Verity { .. } => 216,
            Self::Journal(refusal) => u16::from(refusal.code()),
        }
    }

    /// The refusal's name, as `--json` gives it.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        let name = match self {
            Self::Journal(install::Refusal::Image(rejection)) => rejection.name(),
            Self::Journal(refusal) => return format!("{refusal:?}").into(),
            Self::Image(rejection) | Self::OneImage { rejection, .. } => rejection.name(),
            Self::Layout { .. } => "LayoutInvalid",
            Self::Trust { .. } => "TrustInvalid",
            Self::TestKey { .. } => "TestKey",
            Self::AlreadySigned { .. } => "AlreadySigned",
            Self::NoRoomForSignature { .. } => "NoRoomForSignature",
            Self::WrongSignature { .. } => "WrongSignature",
            Self::Key { .. } => "KeyInvalid",
            Self::ManifestTooLong => "ManifestTooLong",
            Self::WrongLength { .. } => "WrongLength",
            Self::TooLarge { .. } => "TooLarge",
            Self::NoRegion { .. } => "NoRegion",
            Self::UnknownFile { .. } => "UnknownFile",
            Self::Loader { .. } => "LoaderInvalid",
            Self::ReadBack { .. } => "ReadBackDiffers",
            Self::NoRoomForGpt { .. } => "NoRoomForGpt",
            Self::Verity { .. } => "VerityImpossible",
        };
        name.into()
    }
}
