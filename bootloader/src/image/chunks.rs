//! The chunk table: what lets an installer verify every byte before it writes it.

use core::ops::Range;

use super::{HEADER_SIZE_U64, Header};
use crate::crypto::{Crypto, Digest};
use crate::rejection::Rejection;

/// Bytes of one chunk; the last one may be shorter.
pub const CHUNK_SIZE: u64 = 256 * 1024;

/// Bytes of one table entry.
pub const ENTRY: usize = 32;

/// How many chunks an image of `image_len` bytes (from the slot's start) has. The first chunk begins at the header's end.
#[must_use]
pub const fn count(image_len: u64) -> u64 {
    image_len.saturating_sub(HEADER_SIZE_U64).div_ceil(CHUNK_SIZE)
}

/// The bytes of chunk `index`, counted from the slot's start; empty when the image has no such chunk.
#[must_use]
pub fn range(index: u64, image_len: u64) -> Range<u64> {
    let start = index.saturating_mul(CHUNK_SIZE).saturating_add(HEADER_SIZE_U64).min(image_len);
    let end = start.saturating_add(CHUNK_SIZE).min(image_len);
    start..end
}

/// A chunk table that a verified header pins.
#[derive(Debug, Clone, Copy)]
pub struct ChunkTable<'a> {
    digests: &'a [[u8; ENTRY]],
    image_len: u64,
}

impl<'a> ChunkTable<'a> {
    /// Accepts `bytes` as the chunk table of `header`.
    ///
    /// # Errors
    /// [`Rejection::ChunkTableMismatch`] when its length or its digest is not what the header pins.
    pub fn verify(header: &Header, bytes: &'a [u8], crypto: &mut impl Crypto) -> Result<Self, Rejection> {
        let image_len = header.manifest().image_len();
        let (digests, rest) = bytes.as_chunks::<ENTRY>();
        let has_its_length = rest.is_empty() && image_len.is_some_and(|image_len| u64::try_from(digests.len()) == Ok(count(image_len)));
        if !has_its_length || crypto.digest(bytes) != header.manifest().chunks {
            return Err(Rejection::ChunkTableMismatch);
        }
        Ok(Self { digests, image_len: image_len.unwrap_or_default() })
    }

    /// How many chunks there are.
    #[must_use]
    pub const fn count(&self) -> u64 {
        count(self.image_len)
    }

    /// The length of the image, from the slot's start.
    #[must_use]
    pub const fn image_len(&self) -> u64 {
        self.image_len
    }

    /// The bytes of chunk `index`, counted from the slot's start.
    #[must_use]
    pub fn range(&self, index: u64) -> Range<u64> {
        range(index, self.image_len)
    }

    /// The digest of chunk `index`.
    #[must_use]
    pub fn digest(&self, index: u64) -> Option<&'a Digest> {
        usize::try_from(index).ok().and_then(|index| self.digests.get(index))
    }
}
