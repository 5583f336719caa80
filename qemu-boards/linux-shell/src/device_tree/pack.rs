//! A flattened tree in as few bytes as it needs. QEMU pads its own to 1 MiB, and every edit would move all of that.
//!
//! Source of the layout: Devicetree Specification, release 0.4, chapter 5.

use dtoolkit::fdt::Fdt;
use twinslot_bootloader::load::Span;

use super::TreeError;

const MAGIC: u32 = 0xd00d_feed;
const HEADER: usize = 40;

/// Words of the header, by their number.
const TOTAL_SIZE: usize = 1;
const STRUCT_OFFSET: usize = 2;
const STRINGS_OFFSET: usize = 3;
const RESERVATIONS_OFFSET: usize = 4;
const STRINGS_SIZE: usize = 8;
const STRUCT_SIZE: usize = 9;

/// The size that a header claims; `None` without a header.
pub(super) fn total_size(bytes: &[u8]) -> Option<usize> {
    if word(bytes, 0)? != MAGIC {
        return None;
    }
    usize::try_from(word(bytes, TOTAL_SIZE)?).ok()
}

/// Copies the tree's blocks close together and adds `kept` to its reservations.
pub(super) fn pack(source: Fdt<'_>, kept: Span, target: &mut [u8]) -> Result<(), TreeError> {
    let bytes = source.data();
    let structure = block(bytes, STRUCT_OFFSET, STRUCT_SIZE)?;
    let strings = block(bytes, STRINGS_OFFSET, STRINGS_SIZE)?;
    let mut writer = Writer { target, at: 0 };
    writer.put(bytes.get(..HEADER).ok_or(TreeError::Malformed)?)?;
    for reservation in source.memory_reservations() {
        writer.reservation(reservation.address(), reservation.size())?;
    }
    writer.reservation(kept.start, kept.len)?;
    writer.reservation(0, 0)?;
    let structure_at = writer.put(structure)?;
    let strings_at = writer.put(strings)?;
    let total = writer.at;
    for (number, value) in [(TOTAL_SIZE, total), (STRUCT_OFFSET, structure_at), (STRINGS_OFFSET, strings_at), (RESERVATIONS_OFFSET, HEADER)] {
        writer.set(number, value)?;
    }
    Ok(())
}

/// A block, by the words of the header that have its offset and its size.
fn block(bytes: &[u8], offset: usize, size: usize) -> Result<&[u8], TreeError> {
    let number = |at| word(bytes, at).and_then(|value| usize::try_from(value).ok()).ok_or(TreeError::Malformed);
    let start = number(offset)?;
    let end = start.checked_add(number(size)?).ok_or(TreeError::Malformed)?;
    bytes.get(start..end).ok_or(TreeError::Malformed)
}

fn word(bytes: &[u8], number: usize) -> Option<u32> {
    bytes.as_chunks::<4>().0.get(number).map(|word| u32::from_be_bytes(*word))
}

struct Writer<'a> {
    target: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    /// Appends bytes and tells where they begin.
    fn put(&mut self, bytes: &[u8]) -> Result<usize, TreeError> {
        let start = self.at;
        let end = start.checked_add(bytes.len()).ok_or(TreeError::TooLarge)?;
        self.target.get_mut(start..end).ok_or(TreeError::TooLarge)?.copy_from_slice(bytes);
        self.at = end;
        Ok(start)
    }

    fn reservation(&mut self, address: u64, size: u64) -> Result<(), TreeError> {
        self.put(&address.to_be_bytes())?;
        self.put(&size.to_be_bytes()).map(|_| ())
    }

    fn set(&mut self, number: usize, value: usize) -> Result<(), TreeError> {
        let value = u32::try_from(value).map_err(|_| TreeError::TooLarge)?;
        let word = self.target.as_chunks_mut::<4>().0.get_mut(number).ok_or(TreeError::TooLarge)?;
        *word = value.to_be_bytes();
        Ok(())
    }
}
