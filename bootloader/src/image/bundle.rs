//! Bundle version 1: what is shipped. Magic, header, chunk table, unsigned index of stored lengths, then the chunks.
//!
//! The index is not signed and needs no trust: it only says where a chunk's stored bytes end, and the chunk table pins what they decode to.

use super::chunks::{self, ENTRY};
use super::{HEADER_SIZE, HEADER_SIZE_U64};
use crate::rejection::Rejection;

/// What a bundle begins with.
pub const MAGIC: [u8; 8] = *b"TWINBNDL";

/// Bytes of one index entry.
pub const INDEX_ENTRY: usize = 4;

/// The bit of an index entry that says the chunk is stored as its own zstd frame.
pub const COMPRESSED: u32 = 1 << 31;

/// Largest zstd window of a stored chunk, in bytes.
pub const MAX_WINDOW: u32 = 1 << 20;

/// How one chunk is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredChunk {
    /// Where it starts, in bytes from the bundle's start.
    pub offset: u64,
    /// Stored bytes.
    pub len: u32,
    /// Whether it is a zstd frame.
    pub compressed: bool,
}

/// The offsets inside a bundle, known as soon as the header is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleLayout {
    /// How many chunks there are.
    pub chunks: u64,
    /// The length of the slot image.
    pub image_len: u64,
}

impl BundleLayout {
    /// The offset of the header.
    pub const HEADER_AT: u64 = 8;

    /// The offset of the chunk table.
    pub const TABLE_AT: u64 = Self::HEADER_AT + HEADER_SIZE_U64;

    /// The layout of a bundle whose image is `image_len` bytes long.
    #[must_use]
    pub const fn new(image_len: u64) -> Self {
        Self { chunks: chunks::count(image_len), image_len }
    }

    /// Bytes of the chunk table.
    #[must_use]
    pub const fn table_len(&self) -> u64 {
        self.chunks.saturating_mul(ENTRY as u64)
    }

    /// The offset of the index.
    #[must_use]
    pub const fn index_at(&self) -> u64 {
        Self::TABLE_AT.saturating_add(self.table_len())
    }

    /// Bytes of the index.
    #[must_use]
    pub const fn index_len(&self) -> u64 {
        self.chunks.saturating_mul(INDEX_ENTRY as u64)
    }

    /// The offset of the first stored chunk.
    #[must_use]
    pub const fn chunks_at(&self) -> u64 {
        self.index_at().saturating_add(self.index_len())
    }
}

/// The header of a bundle, from its first 1032 bytes.
///
/// # Errors
/// [`Rejection::WrongBundleMagic`], or [`Rejection::BundleLengthWrong`] when the header is cut off.
pub fn header_bytes(start: &[u8]) -> Result<&[u8; HEADER_SIZE], Rejection> {
    let (magic, rest) = start.split_first_chunk::<8>().ok_or(Rejection::WrongBundleMagic)?;
    if *magic != MAGIC {
        return Err(Rejection::WrongBundleMagic);
    }
    rest.first_chunk::<HEADER_SIZE>().ok_or(Rejection::BundleLengthWrong)
}

/// The index entry of a chunk.
#[must_use]
pub const fn index_entry(stored_len: u32, compressed: bool) -> [u8; INDEX_ENTRY] {
    let flag = if compressed { COMPRESSED } else { 0 };
    (stored_len | flag).to_le_bytes()
}

/// The stored chunks in order, from the index bytes.
///
/// # Errors
/// The iterator yields [`Rejection::BundleIndexInvalid`] for a plain chunk of another length than the image's chunk, and for a stored length of zero
/// or of more than twice a chunk.
pub fn stored_chunks(layout: BundleLayout, index: &[u8]) -> impl Iterator<Item = Result<StoredChunk, Rejection>> {
    let mut offset = layout.chunks_at();
    let (entries, rest) = index.as_chunks::<INDEX_ENTRY>();
    let complete = rest.is_empty() && u64::try_from(entries.len()) == Ok(layout.chunks);
    let entries = if complete { entries } else { &[] };
    let missing = (!complete).then_some(Err(Rejection::BundleIndexInvalid));
    let chunks = entries.iter().zip(0_u64..).map(move |(entry, number)| {
        let raw = u32::from_le_bytes(*entry);
        let chunk = StoredChunk { offset, len: raw & !COMPRESSED, compressed: raw & COMPRESSED != 0 };
        let plain = chunks::range(number, layout.image_len);
        let plain_len = plain.end.saturating_sub(plain.start);
        let fits = if chunk.compressed {
            chunk.len > 0 && u64::from(chunk.len) <= chunks::CHUNK_SIZE.saturating_mul(2)
        } else {
            u64::from(chunk.len) == plain_len
        };
        offset = offset.saturating_add(u64::from(chunk.len));
        if fits { Ok(chunk) } else { Err(Rejection::BundleIndexInvalid) }
    });
    missing.into_iter().chain(chunks)
}
