//! Reads a flash as the design describes it, with other code than the product's: postcard's own decoder, a CRC with a table, whole images compared
//! byte by byte.

use std::ops::Range;

use twinslot_bootloader::journal::{Phase, Policy, SlotState, State};
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_bootloader::storage::Region;

use crate::board::Board;
use crate::cast::Role;
use crate::content::Content;
use twinslot_tests::model::Truth;

/// Trials of explored lives may fail twice and start three times.
pub const POLICY: Policy = Policy { attempts: 2, boots: 3, ..Policy::DEFAULT };

/// Bytes of a record.
pub const RECORD: usize = 128;

/// Bytes of an image in front of its first part.
pub const HEADER: usize = 1024;

const CRC: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISO_HDLC);

/// A record that a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its sequence.
    pub sequence: u64,
    /// Its state.
    pub state: State,
}

/// The valid record with the highest sequence.
#[must_use]
pub fn newest(board: &Board, content: &Content, unreadable: Option<&Range<usize>>) -> Option<Found> {
    [Region::Log0, Region::Log1]
        .into_iter()
        .flat_map(|log| records(board, content, log, unreadable))
        .reduce(|newest, found| if found.sequence > newest.sequence { found } else { newest })
}

/// The valid records of a log, in the order of their places. A place that can not be read has none.
#[must_use]
pub fn records(board: &Board, content: &Content, log: Region, unreadable: Option<&Range<usize>>) -> Vec<Found> {
    let range = board.region(log);
    let bytes = content.bytes(range.clone());
    let readable = |at: usize| unreadable.is_none_or(|bad| range.start + at + RECORD <= bad.start || bad.end <= range.start + at);
    (0..bytes.len() / board.stride())
        .map(|place| place * board.stride())
        .filter(|at| readable(*at))
        .filter_map(|at| record(&bytes[at..at + RECORD]))
        .collect()
}

/// The record in [`RECORD`] bytes, if they are one.
#[must_use]
pub fn record(bytes: &[u8]) -> Option<Found> {
    if &bytes[..6] != b"TWJR\x01\x00" {
        return None;
    }
    let sequence = sequence(bytes)?;
    let (state, padding) = postcard::take_from_bytes::<State>(&bytes[14..RECORD - 4]).ok()?;
    let is_valid = padding.iter().all(|byte| *byte == 0) && is_possible(&state);
    is_valid.then_some(Found { sequence, state })
}

/// The sequence of a whole record of any layout.
fn sequence(bytes: &[u8]) -> Option<u64> {
    let stored = u32::from_le_bytes(bytes[RECORD - 4..RECORD].try_into().ok()?);
    let sequence = u64::from_le_bytes(bytes[6..14].try_into().ok()?);
    (CRC.checksum(&bytes[..RECORD - 4]) == stored && sequence != 0 && sequence < 1 << 48).then_some(sequence)
}

/// The sequence that bytes about to be written would have as a record.
#[must_use]
pub fn sequence_begun(bytes: &[u8]) -> Option<u64> {
    if bytes.len() >= RECORD && &bytes[..4] == b"TWJR" { sequence(bytes) } else { None }
}

fn is_possible(state: &State) -> bool {
    let slot_is_possible = |entry: &SlotState| {
        let no_counters = entry.attempts_left == 0 && entry.boots_left == 0;
        let known = entry.digest != [0; 16];
        match entry.phase {
            Phase::Empty => no_counters && !known,
            Phase::Trial => known && entry.attempts_left <= POLICY.attempts && entry.boots_left <= POLICY.boots,
            Phase::Confirmed => no_counters && known,
            Phase::Rejected => no_counters,
        }
    };
    let stranded = state.phase(state.preferred) == Phase::Empty && state.phase(state.preferred.other()) == Phase::Confirmed;
    let flight = state.in_flight.is_none_or(|slot| state.phase(slot) == Phase::Trial);
    slot_is_possible(&state.slots.a) && slot_is_possible(&state.slots.b) && !stranded && flight
}

/// The image that a slot holds whole.
#[must_use]
pub fn image_in(board: &Board, content: &Content, slot: Slot) -> Option<Role> {
    let at = board.region(Region::Slot(slot)).start;
    Role::ALL.into_iter().find(|role| content.holds(at, &role.image().slot))
}

/// What an examination of each slot must find under a boot state.
#[must_use]
pub fn truths(board: &Board, content: &Content, state: Option<&State>, unreadable: Option<&Range<usize>>) -> BySlot<Truth> {
    let truth = |slot| truth(board, content, slot, state, unreadable);
    BySlot { a: truth(Slot::A), b: truth(Slot::B) }
}

fn truth(board: &Board, content: &Content, slot: Slot, state: Option<&State>, unreadable: Option<&Range<usize>>) -> Truth {
    let start = board.region(Region::Slot(slot)).start;
    let touches = |range: Range<usize>| unreadable.is_some_and(|bad| bad.start < start + range.end && start + range.start < bad.end);
    let (floor, revoked) = state.map_or((0, &[][..]), |state| (state.floor, &state.revoked[..]));
    if touches(0..HEADER) {
        return Truth::Unreadable;
    }
    match image_in(board, content, slot) {
        Some(role) if !role.is_authentic(floor, revoked) => Truth::Refused,
        Some(role) if touches(HEADER..role.image().slot.len()) => Truth::Unreadable,
        Some(role) if state.is_none_or(|state| state.slots.of(slot).digest == role.digest()) => Truth::Right(role.verified()),
        Some(role) => Truth::Other(role.verified()),
        None => Truth::Refused,
    }
}
