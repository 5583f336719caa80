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
const SEQUENCE_AT: usize = 6;
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
        encode(self.sequence, &self.state, &mut bytes).map(|()| bytes)
    }

    /// The record in these bytes, or `None` when they are torn, of another layout, or hold an impossible state or sequence.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_SIZE], policy: &Policy) -> Option<Self> {
        let sequence = sequence_of(bytes)?;
        if field(bytes, 4) != LAYOUT_VERSION.to_le_bytes() {
            return None;
        }
        let mut record = Self { sequence, state: State::new(0) };
        let padding = record.state.read(bytes.get(STATE_AT..CRC_AT).unwrap_or_default()).ok()?;
        let possible = sequence != 0 && padding.iter().all(|byte| *byte == 0) && record.state.is_possible(policy);
        possible.then_some(record)
    }
}

/// Writes a record into zeroed `bytes`; `None` when the state does not fit.
pub(super) fn encode(sequence: u64, state: &State, bytes: &mut [u8; RECORD_SIZE]) -> Option<()> {
    put(bytes, 0, MAGIC);
    put(bytes, 4, LAYOUT_VERSION.to_le_bytes());
    put(bytes, SEQUENCE_AT, sequence.to_le_bytes());
    let mut writer = Writer::new(bytes.get_mut(STATE_AT..CRC_AT).unwrap_or_default());
    state.write(&mut writer);
    let fits = writer.unused().map(|_| ());
    let crc = CRC32.checksum(bytes.get(..CRC_AT).unwrap_or_default());
    put(bytes, CRC_AT, crc.to_le_bytes());
    fits
}

/// The sequence of a record of any layout, when its magic and CRC hold. That of another layout must not be used again.
pub(super) fn sequence_of(bytes: &[u8; RECORD_SIZE]) -> Option<u64> {
    if field(bytes, 0) != MAGIC || CRC32.checksum(bytes.get(..CRC_AT).unwrap_or_default()) != checksum(bytes) {
        return None;
    }
    let sequence = u64::from_le_bytes(field(bytes, SEQUENCE_AT));
    (sequence < NUMBER_LIMIT).then_some(sequence)
}

/// The checksum that a record carries.
pub(super) fn checksum(bytes: &[u8; RECORD_SIZE]) -> u32 {
    u32::from_le_bytes(field(bytes, CRC_AT))
}

/// The bytes of a field; `at` and `N` are constants that lie inside the record.
fn field<const N: usize>(bytes: &[u8; RECORD_SIZE], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or([0; N], |field| *field)
}

/// Writes a field; as [`field`].
fn put<const N: usize>(bytes: &mut [u8; RECORD_SIZE], at: usize, field: [u8; N]) {
    let _ = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()).map(|target| *target = field);
}
