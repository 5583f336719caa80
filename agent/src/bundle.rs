//! A bundle in a file: header and chunk table at once, the chunks one by one.
//!
//! Nothing here is trusted. Whoever installs gives header, table and chunks to the verifier, which holds them to what was signed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use twinslot_bootloader::image::bundle::{BundleLayout, StoredChunk, header_bytes, stored_chunks};
use twinslot_bootloader::image::{HEADER_SIZE, HeaderBytes};
use twinslot_bootloader::install::Refusal;
use twinslot_bootloader::rejection::Rejection;
use twinslot_config::Layout;

use crate::open::open;

/// Magic and header.
const FRONT: usize = 8 + HEADER_SIZE;

/// A bundle whose parts fit each other and the file's length.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    file: File,
    header: [u8; HEADER_SIZE],
    table: Vec<u8>,
    chunks: Vec<StoredChunk>,
}

impl Bundle {
    /// Opens a bundle for a host with this layout, whose larger slot bounds what is read at once.
    ///
    /// # Errors
    /// The path names no regular file, the file can not be read, is no bundle, holds an image that fits into no slot, or compressed chunks.
    pub fn open(path: &Path, layout: &Layout) -> Result<Self, BundleError> {
        let io = |source| BundleError::Io { path: path.to_owned(), source };
        let refused = |source| BundleError::Refused { path: path.to_owned(), source };
        let file = open(path, OpenOptions::new().read(true), |kind| kind.is_file()).map_err(io)?;
        let file = file.ok_or_else(|| BundleError::NotAFile { path: path.to_owned() })?;
        let len = file.metadata().map_err(io)?.len();
        if len < FRONT as u64 {
            return Err(refused(Rejection::BundleLengthWrong));
        }
        let header = *header_bytes(&read(&file, 0, FRONT).map_err(io)?).map_err(refused)?;
        let image_len = image_len(&header).map_err(refused)?;
        if image_len > layout.slot_a.size.max(layout.slot_b.size) {
            return Err(refused(Rejection::PartOutsideSlot));
        }
        let bundle = BundleLayout::new(image_len);
        if bundle.chunks_at() > len {
            return Err(refused(Rejection::BundleLengthWrong));
        }
        let table = read(&file, BundleLayout::TABLE_AT, narrow(bundle.table_len())).map_err(io)?;
        let index = read(&file, bundle.index_at(), narrow(bundle.index_len())).map_err(io)?;
        let chunks = stored_chunks(bundle, &index).collect::<Result<Vec<_>, _>>().map_err(refused)?;
        let end = chunks.last().map_or(bundle.chunks_at(), |chunk| chunk.offset + u64::from(chunk.len));
        if end != len {
            return Err(refused(Rejection::BundleLengthWrong));
        }
        if chunks.iter().any(|chunk| chunk.compressed) {
            return Err(BundleError::Compressed { path: path.to_owned() });
        }
        Ok(Self { path: path.to_owned(), file, header, table, chunks })
    }

    /// The header, as it stands there.
    #[must_use]
    pub const fn header(&self) -> &[u8; HEADER_SIZE] {
        &self.header
    }

    /// The chunk table, as it stands there.
    #[must_use]
    pub fn table(&self) -> &[u8] {
        &self.table
    }

    /// The bytes of a chunk.
    ///
    /// # Errors
    /// There is none of this number, or the file can not be read.
    pub fn chunk(&self, number: u64) -> Result<Vec<u8>, BundleError> {
        let chunk = usize::try_from(number).ok().and_then(|number| self.chunks.get(number));
        let missing = || BundleError::Refused { path: self.path.clone(), source: Rejection::BundleIndexInvalid };
        let StoredChunk { offset, len, .. } = *chunk.ok_or_else(missing)?;
        read(&self.file, offset, narrow(len.into())).map_err(|source| BundleError::Io { path: self.path.clone(), source })
    }
}

/// Bytes of the image, by a header that nobody has verified yet.
fn image_len(header: &[u8; HEADER_SIZE]) -> Result<u64, Rejection> {
    HeaderBytes::parse(header)?.unverified_manifest()?.image_len().ok_or(Rejection::Overflow)
}

fn read(file: &File, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

/// A length that a slot's size bounds.
fn narrow(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// A bundle that can not be installed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is none, or not for this host.
    #[error("{}: {source}", path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// The verifier's own reason.
        source: Rejection,
    },
    /// Its chunks are compressed.
    #[error("{}: its chunks are compressed, which this agent does not decode yet; make the bundle without --zstd", path.display())]
    Compressed {
        /// The path.
        path: PathBuf,
    },
    /// It can not be read from any place, as chunks are.
    #[error("{}: is no regular file; copy the bundle into one", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BundleError {
    /// The verifier's refusal; `None` when nothing is known of the bundle.
    #[must_use]
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { source, .. } => Some(Refusal::Image(*source)),
            Self::Compressed { .. } => Some(Refusal::Image(Rejection::UnsupportedChunkEncoding)),
            Self::NotAFile { .. } | Self::Io { .. } => None,
        }
    }
}
