//! A slot image in a file.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use twinslot_bootloader::{
    image::{
        HEADER_SIZE, HeaderBytes,
        manifest::{EXTRA_RELEASE, Manifest},
    },
    rejection::Rejection,
    storage::{ReadAt, StorageError},
};

use crate::{refusal::Refusal, report::Failure};

/// An open slot image and its header bytes. Nothing in it is trusted.
#[derive(Debug)]
pub struct ImageFile {
    file: File,
    path: PathBuf,
    len: u64,
    header: [u8; HEADER_SIZE],
    ahead: ReadAhead,
}

/// Bytes that were read before they were asked for: the verifier reads in small steps.
#[derive(Debug, Default)]
struct ReadAhead {
    at: u64,
    bytes: Vec<u8>,
}

/// How many bytes are read at a time.
const READ_AHEAD: u64 = 256 * 1024;

/// What the file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To look at it.
    Reading,
    /// To add a signature, alone: another signer waits.
    Signing,
}

impl ImageFile {
    /// Opens a slot image and reads its header.
    ///
    /// # Errors
    /// The file can not be opened, or is shorter than a header.
    pub fn open(path: &Path, purpose: Use) -> Result<Self, Failure> {
        let file = OpenOptions::new()
            .read(true)
            .write(purpose == Use::Signing)
            .open(path)
            .with_context(|| format!("{}: can not be opened", path.display()))?;
        if purpose == Use::Signing {
            file.lock().with_context(|| format!("{}: can not be locked", path.display()))?;
        }
        let len = file.metadata().with_context(|| format!("{}: can not be read", path.display()))?.len();
        let mut header = [0; HEADER_SIZE];
        if len < HEADER_SIZE as u64 {
            return Err(Refusal::UnknownFile {
                path: path.to_owned(),
                reason: format!("{len} bytes are too few for a header: not a slot image (hosttool pack makes one)"),
            }
            .into());
        }
        file.read_exact_at(&mut header, 0).with_context(|| format!("{}: can not be read", path.display()))?;
        Ok(Self { file, path: path.to_owned(), len, header, ahead: ReadAhead::default() })
    }

    /// Where the image lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file itself.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The open file alone.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// The file's length.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes; it always has a header's.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The header's bytes.
    #[must_use]
    pub const fn header(&self) -> &[u8; HEADER_SIZE] {
        &self.header
    }

    /// The header, its framing checked.
    ///
    /// # Errors
    /// The first rule of the framing that does not hold.
    pub fn framed(&self) -> Result<HeaderBytes<'_>, Rejection> {
        HeaderBytes::parse(&self.header)
    }

    /// The manifest, unverified, of a file that has the length its manifest says.
    ///
    /// # Errors
    /// The header is no header of this format version, or the file has another length.
    pub fn manifest(&self) -> Result<Manifest, Refusal> {
        let manifest = self.framed()?.unverified_manifest()?;
        let expected = manifest.image_len().ok_or(Rejection::NoBootablePart)?;
        if self.len == expected { Ok(manifest) } else { Err(Refusal::WrongLength { path: self.path.clone(), len: self.len, expected }) }
    }
}

/// Whether a manifest carries the release mark.
#[must_use]
pub fn is_release(manifest: &Manifest) -> bool {
    manifest.extra.iter().any(|extra| extra.tag == EXTRA_RELEASE)
}

impl ReadAt for ImageFile {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        if self.ahead.copy_to(offset, bytes) {
            return Ok(());
        }
        let step = READ_AHEAD.max(bytes.len() as u64).min(self.len.saturating_sub(offset));
        self.ahead.bytes.resize(usize::try_from(step).map_err(|_| StorageError)?, 0);
        self.ahead.at = offset;
        self.file.read_exact_at(&mut self.ahead.bytes, offset).map_err(|_| StorageError)?;
        if self.ahead.copy_to(offset, bytes) { Ok(()) } else { Err(StorageError) }
    }

    fn size(&self) -> u64 {
        self.len
    }
}

impl ReadAhead {
    /// Fills `bytes` when everything from `offset` on is here.
    fn copy_to(&self, offset: u64, bytes: &mut [u8]) -> bool {
        let start = offset.checked_sub(self.at).and_then(|start| usize::try_from(start).ok());
        let held = start.and_then(|start| self.bytes.get(start..)?.get(..bytes.len()));
        if let Some(held) = held {
            bytes.copy_from_slice(held);
        }
        held.is_some()
    }
}
