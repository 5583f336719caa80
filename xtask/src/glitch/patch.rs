//! What an attacker does to the bytes of an image in flash. Source of the offsets: docs/format.md, slot image.

use anyhow::{Context as _, Result, ensure};
use twinslot_config::layout::Span;

const HEADER_SIZE: usize = 1024;
/// The body; its length stands in the four bytes in front of it.
const BODY: usize = 16;
const FIRST_ENTRY: usize = 732;
/// Bytes of a signature entry: a key id, and a signature.
const ENTRY: usize = KEY_ID + SIGNATURE;
const KEY_ID: usize = 8;
/// Bytes of a signature.
pub(super) const SIGNATURE: usize = 64;
const CRC_AT: usize = 1020;
/// Where `hosttool pack` puts the first part.
const FIRST_PART: usize = 4096;
/// Behind the vector table.
const FIRST_CODE: usize = 64;
/// The image's first instruction, from the start of its slot.
pub(super) const FIRST_INSTRUCTION: u32 = (FIRST_PART + FIRST_CODE) as u32;

/// The first signature of a header.
pub(super) fn first_signature(header: &[u8]) -> Result<&[u8]> {
    ensure!(header.starts_with(b"TWINSLOT"), "there is no header");
    header.get(FIRST_ENTRY + KEY_ID..FIRST_ENTRY + KEY_ID + SIGNATURE).context("the image ends before its signature")
}

/// Replaces the first signature of the header at `header`; the CRC is made right.
pub(super) fn set_signature(flash: &mut [u8], header: usize, signature: &[u8]) -> Result<()> {
    ensure!(flash.get(header..).is_some_and(|bytes| bytes.starts_with(b"TWINSLOT")), "there is no header at {header:#x}");
    let start = header + FIRST_ENTRY + KEY_ID;
    flash.get_mut(start..start + SIGNATURE).context("the flash ends before the signature")?.copy_from_slice(signature);
    renew_crc(flash, header)
}

/// Makes all of a header that nobody signed say one word: the longest body there may be, and the signature entries behind the first one, each under a
/// key id of its own.
pub(super) fn fill_unsigned(flash: &mut [u8], header: usize, word: u32) -> Result<()> {
    let bytes = flash.get_mut(header..header + HEADER_SIZE).context("the flash ends before the header")?;
    let (signed, rest) = bytes.split_at_mut(FIRST_ENTRY);
    let body_len = u32::try_from(FIRST_ENTRY - BODY)?;
    signed[BODY - 4..BODY].copy_from_slice(&body_len.to_le_bytes());
    fill(&mut signed[BODY..], word);
    for (entry, id) in rest[ENTRY..CRC_AT - FIRST_ENTRY].chunks_exact_mut(ENTRY).zip(1..) {
        fill(entry, word);
        entry[0] ^= id << 1;
    }
    renew_crc(flash, header)
}

/// Makes a part of the flash say one word.
pub(super) fn fill(bytes: &mut [u8], word: u32) {
    for chunk in bytes.chunks_exact_mut(4) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
}

/// Flips one bit of the first part, behind its vector table.
pub(super) fn flip_payload(flash: &mut [u8], header: usize) -> Result<()> {
    *flash.get_mut(header + FIRST_PART + FIRST_CODE).context("the flash ends before the payload")? ^= 1;
    Ok(())
}

/// Makes a region blank.
pub(super) fn erase(flash: &mut [u8], span: Span) -> Result<()> {
    let (from, to) = (usize::try_from(span.offset)?, usize::try_from(span.end())?);
    flash.get_mut(from..to).context("the flash ends before the slot")?.fill(0xff);
    Ok(())
}

fn renew_crc(flash: &mut [u8], header: usize) -> Result<()> {
    let bytes = flash.get_mut(header..header + HEADER_SIZE).context("the flash ends before the header")?;
    let crc = crc32(&bytes[..CRC_AT]);
    bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// CRC-32 (ISO-HDLC), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the catalogue of CRC algorithms.
    #[test]
    fn the_crc_is_that_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_flash_without_a_header_is_refused() {
        assert!(set_signature(&mut [0xff; 2048], 0, &[0; SIGNATURE]).is_err());
    }
}
