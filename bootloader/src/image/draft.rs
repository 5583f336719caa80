//! The build side of a header: encode a manifest, let keys sign it, add their signatures.

use core::fmt;

use super::header::{HeaderBytes, SignatureEntry, crc_of};
use super::manifest::Manifest;
use super::{CRC_AT, ENTRY_SIZE, FORMAT_VERSION, HEADER_SIZE, MAGIC, MAX_BODY, MAX_SIGNATURES, PREFIX, SIGNED_SIZE};
use crate::rejection::Rejection;

/// Why a header can not be drafted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DraftError {
    /// The manifest's encoding is longer than 716 bytes.
    ManifestTooLong,
    /// Four signatures are there already.
    NoRoom,
    /// The key has signed already.
    AlreadySigned,
    /// A signature entry of zeros would end the list.
    ZeroEntry,
    /// What shall be signed is not a header.
    NotAHeader(Rejection),
}

impl fmt::Display for DraftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManifestTooLong => f.write_str("the manifest takes more than 716 bytes: use fewer parts, revocations or extras"),
            Self::NoRoom => f.write_str("the header has 4 signatures already, which is all it has room for"),
            Self::AlreadySigned => f.write_str("this key has signed the header already"),
            Self::ZeroEntry => f.write_str("a signature of zeros is no signature"),
            Self::NotAHeader(rejection) => write!(f, "not a header that could be signed: {rejection}"),
        }
    }
}

impl core::error::Error for DraftError {}

/// An unsigned header with this manifest.
///
/// # Errors
/// [`DraftError::ManifestTooLong`].
pub fn unsigned_header(manifest: &Manifest) -> Result<[u8; HEADER_SIZE], DraftError> {
    let mut body = [0; MAX_BODY];
    let used = postcard::to_slice(manifest, &mut body).map_err(|_| DraftError::ManifestTooLong)?.len();
    let mut header = [0; HEADER_SIZE];
    put(&mut header, 0, &MAGIC);
    put(&mut header, 8, &FORMAT_VERSION.to_le_bytes());
    put(&mut header, 10, &[1, 0]);
    put(&mut header, 12, &u32::try_from(used).unwrap_or_default().to_le_bytes());
    put(&mut header, PREFIX, &body);
    seal(&mut header);
    Ok(header)
}

/// Adds one signature behind those that are there. The header digest does not change.
///
/// # Errors
/// There is no room, the key has signed already, or `header` is not a header. It is unchanged then.
pub fn add_signature(header: &mut [u8; HEADER_SIZE], entry: &SignatureEntry) -> Result<(), DraftError> {
    let framed = HeaderBytes::parse(header).map_err(DraftError::NotAHeader)?;
    let count = framed.signatures().count();
    if framed.signatures().any(|earlier| earlier.key == entry.key) {
        return Err(DraftError::AlreadySigned);
    }
    if count >= MAX_SIGNATURES {
        return Err(DraftError::NoRoom);
    }
    if entry.key == [0; 8] && entry.signature == [0; 64] {
        return Err(DraftError::ZeroEntry);
    }
    let at = count.saturating_mul(ENTRY_SIZE).saturating_add(SIGNED_SIZE);
    put(header, at, &entry.key);
    put(header, at.saturating_add(8), &entry.signature);
    seal(header);
    Ok(())
}

/// Writes the CRC over everything before it.
fn seal(header: &mut [u8; HEADER_SIZE]) {
    let crc = crc_of(header).to_le_bytes();
    put(header, CRC_AT, &crc);
}

/// Copies `bytes` to `at`; every caller's constant offsets lie inside the header.
fn put(header: &mut [u8; HEADER_SIZE], at: usize, bytes: &[u8]) {
    for (target, byte) in header.iter_mut().skip(at).zip(bytes) {
        *target = *byte;
    }
}
