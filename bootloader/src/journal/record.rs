//! One journal record: magic, layout version, sequence, state, zero padding, CRC-32.
//!
//! Magic, layout version, sequence and CRC stand at these places in every layout, so that a loader sees the sequence of a record it can not read.

use super::state::{Policy, State};
use crate::codec::{NUMBER_LIMIT, Writer};
use crate::image::CRC32;

/// Bytes of a record.
pub const RECORD_SIZE: usize = 128;

/// The journal layout that this crate reads and writes.
pub const LAYOUT_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"TWJR";
const STATE_AT: usize = 14;
const CRC_AT: usize = 124;

/// The distance between records: a record rounded up so that one torn write touches one record only.
#[must_use]
pub const fn stride(write_size: u32, tear_size: u32) -> u32 {
    let step = if tear_size > write_size { tear_size } else { write_size };
    let step = if step == 0 { 1 } else { step };
    (RECORD_SIZE as u32).next_multiple_of(step)
}

/// A valid record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Its place in the order of commits.
    pub sequence: u64,
    /// The state it commits.
    pub state: State,
}

impl Record {
    /// The record's bytes; `None` when the state does not fit, which no possible state does.
    #[must_use]
    pub fn encode(&self) -> Option<[u8; RECORD_SIZE]> {
        let mut bytes = [0; RECORD_SIZE];
        encode(self.sequence, &self.state, &mut bytes)?;
        Some(bytes)
    }

    /// The record in these bytes, or `None` when they are torn, of another layout, or hold an impossible state or sequence.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_SIZE], policy: &Policy) -> Option<Self> {
        let sequence = sequence_of(bytes)?;
        if bytes.get(4..6)? != LAYOUT_VERSION.to_le_bytes() {
            return None;
        }
        let mut record = Self { sequence, state: State::new(0) };
        let padding = record.state.read(bytes.get(STATE_AT..CRC_AT)?).ok()?;
        let possible = sequence != 0 && padding.iter().all(|byte| *byte == 0) && record.state.is_possible(policy);
        possible.then_some(record)
    }
}

/// Writes a record into zeroed `bytes`; `None` when the state does not fit.
pub(super) fn encode(sequence: u64, state: &State, bytes: &mut [u8; RECORD_SIZE]) -> Option<()> {
    bytes.get_mut(..4)?.copy_from_slice(&MAGIC);
    bytes.get_mut(4..6)?.copy_from_slice(&LAYOUT_VERSION.to_le_bytes());
    bytes.get_mut(6..STATE_AT)?.copy_from_slice(&sequence.to_le_bytes());
    let mut writer = Writer::new(bytes.get_mut(STATE_AT..CRC_AT)?);
    state.write(&mut writer);
    writer.unused()?;
    let crc = CRC32.checksum(bytes.get(..CRC_AT)?);
    bytes.get_mut(CRC_AT..)?.copy_from_slice(&crc.to_le_bytes());
    Some(())
}

/// The sequence of a record of any layout, when its magic and CRC hold. That of another layout must not be used again.
pub(super) fn sequence_of(bytes: &[u8; RECORD_SIZE]) -> Option<u64> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    if content.get(..4)? != MAGIC || CRC32.checksum(content) != u32::from_le_bytes(*crc) {
        return None;
    }
    let sequence = u64::from_le_bytes(*content.get(6..)?.first_chunk::<8>()?);
    (sequence < NUMBER_LIMIT).then_some(sequence)
}

/// The checksum that a record carries.
pub(super) fn checksum(bytes: &[u8; RECORD_SIZE]) -> u32 {
    bytes.last_chunk::<4>().map_or(0, |crc| u32::from_le_bytes(*crc))
}
