//! A bundle in a file, looked at without trusting it.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use anyhow::Context as _;
use serde::Serialize;
use twinslot_bootloader::{
    image::{
        HEADER_SIZE, HeaderBytes,
        bundle::{BundleLayout, StoredChunk, header_bytes, stored_chunks},
    },
    rejection::Rejection,
};

use crate::report::Failure;

/// The bytes before the chunk table: magic and header.
const FRONT: usize = 8 + HEADER_SIZE;

/// The front of a bundle and what its index says.
#[derive(Debug)]
pub struct BundleFile {
    file: File,
    header: [u8; HEADER_SIZE],
    /// What the index says.
    pub summary: BundleSummary,
}

/// How the chunks of a bundle are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleSummary {
    /// The bundle's length.
    pub bytes: u64,
    /// How many chunks there are.
    pub chunks: u64,
    /// How many of them are compressed.
    pub compressed_chunks: u64,
    /// Bytes of the image that the chunks decode to.
    pub image_bytes: u64,
}

impl BundleFile {
    /// Reads header and index, and checks that they fit each other and the file's length.
    ///
    /// # Errors
    /// The file can not be read or is no bundle.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = || format!("{}: can not be read", path.display());
        let file = File::open(path).with_context(unreadable)?;
        let len = file.metadata().with_context(unreadable)?.len();
        if len < FRONT as u64 {
            return Err(Rejection::BundleLengthWrong.into());
        }
        let mut front = [0; FRONT];
        file.read_exact_at(&mut front, 0).with_context(unreadable)?;
        let header = *header_bytes(&front)?;
        let image_bytes = HeaderBytes::parse(&header)?.unverified_manifest()?.image_len().ok_or(Rejection::Overflow)?;
        let layout = BundleLayout::new(image_bytes);
        if layout.chunks_at() > len {
            return Err(Rejection::BundleLengthWrong.into());
        }
        let mut index = vec![0; usize::try_from(layout.index_len()).map_err(|_| Rejection::Overflow)?];
        file.read_exact_at(&mut index, layout.index_at()).with_context(unreadable)?;
        Ok(Self { file, header, summary: summarize(layout, &index, len)? })
    }

    /// The open file alone.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file
    }

    /// The header, its framing checked.
    ///
    /// # Errors
    /// The first rule of the framing that does not hold.
    pub fn framed(&self) -> Result<HeaderBytes<'_>, Rejection> {
        HeaderBytes::parse(&self.header)
    }
}

fn summarize(layout: BundleLayout, index: &[u8], len: u64) -> Result<BundleSummary, Rejection> {
    let chunks = stored_chunks(layout, index).collect::<Result<Vec<StoredChunk>, _>>()?;
    let end = chunks.last().map_or(layout.chunks_at(), |chunk| chunk.offset + u64::from(chunk.len));
    if end != len {
        return Err(Rejection::BundleLengthWrong);
    }
    let compressed_chunks = chunks.iter().filter(|chunk| chunk.compressed).count() as u64;
    Ok(BundleSummary { bytes: len, chunks: layout.chunks, compressed_chunks, image_bytes: layout.image_len })
}
