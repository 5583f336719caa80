//! Any two logs as a journal: whole, torn, foreign, forged and unreadable records in any order.

use embedded_storage::nor_flash::NorFlash as _;
use twinslot_bootloader::image::manifest::NUMBER_LIMIT;
use twinslot_bootloader::journal::{CommitError, Journal, Phase, Policy, RECORD_SIZE, Record, Revert, SlotState, State, stride};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_bootloader::storage::Region;

use super::draw::Draw;
use super::{judged_state, sealed};
use crate::flash::SimFlash;
use crate::storage::{Geometry, SimStorage};

const LOGS: [Region; 2] = [Region::Log0, Region::Log1];

/// Two logs of a geometry and nothing else.
const fn logs_only(name: &'static str, tear_size: u32, log_size: u32) -> Geometry {
    Geometry { name, tear_size, log_size, slot_size: 0, cached: false }
}

/// Bytes as the records of two logs, on one of four flashes. Reading writes nothing and finds the newest record that a plain second reader finds; the
/// next sequence is above every one that the logs hold; a repair keeps the state, makes the logs agree, and has nothing left to do a second time; a
/// commit takes its state and that sequence or leaves the old state, and says which.
///
/// # Panics
/// When a property does not hold.
pub fn journal(data: &[u8]) {
    let mut draw = Draw::new(data);
    match draw.byte() % 4 {
        0 => check::<4, 1024>(logs_only("words", 4, 1024), &mut draw),
        1 => check::<1, 512>(logs_only("bytes", 1, 512), &mut draw),
        2 => check::<256, 2048>(logs_only("pages", 256, 2048), &mut draw),
        _ => check::<512, 4096>(logs_only("blocks", 1024, 8192), &mut draw),
    }
}

fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry, draw: &mut Draw<'_>)
where
    SimFlash<WRITE, ERASE>: embedded_storage::nor_flash::NorFlash,
{
    let [attempts, boots, wish] = draw.bytes();
    let policy = if Draw::is_odd(wish) { Policy { attempts, boots, ..Policy::DEFAULT } } else { Policy::DEFAULT };
    let wished = state(draw);
    let logs = written::<WRITE, ERASE>(geometry, draw);
    let before = logs.storage.flash.counters();
    let opened = Journal::open(&mut logs.storage.clone(), &policy);
    logs.assert_opened(&opened, &policy);
    let mut repaired = logs.storage.clone();
    let journal = Journal::open(&mut repaired, &policy);
    assert_eq!(repaired.flash.counters(), before, "opening writes");
    logs.assert_repair(journal, repaired, &policy);
    logs.assert_commit(opened, &wished, &policy);
}

/// Storage with two logs, and what was put there.
struct Logs<const WRITE: usize, const ERASE: usize> {
    storage: SimStorage<WRITE, ERASE>,
    /// The places of each log; `None` is one that can not be read.
    places: [Vec<Option<[u8; RECORD_SIZE]>>; 2],
}

/// Writes the records that the bytes stand for, each at the next place of its log, until both are full or the bytes have run out.
fn written<const WRITE: usize, const ERASE: usize>(geometry: Geometry, draw: &mut Draw<'_>) -> Logs<WRITE, ERASE>
where
    SimFlash<WRITE, ERASE>: embedded_storage::nor_flash::NorFlash,
{
    let step = stride(WRITE as u32, geometry.tear_size);
    let capacity = (geometry.log_size / step) as usize;
    let mut logs = Logs { storage: SimStorage::new(geometry), places: [const { Vec::new() }; 2] };
    logs.storage.flash.erase(0, geometry.flash_size()).expect("a good flash");
    let mut last = [0xff; RECORD_SIZE];
    while !draw.is_empty() {
        let choice = draw.byte();
        let log = usize::from(choice >> 7);
        if logs.places[log].len() == capacity {
            continue;
        }
        let address = logs.storage.address(LOGS[log], logs.places[log].len() as u32 * step);
        let place = if choice % 8 == 7 { None } else { Some(record(choice % 8, &last, draw)) };
        match place {
            None => logs.storage.flash.fail_reads(address..address + step),
            Some(bytes) if bytes != [0xff; RECORD_SIZE] => put::<WRITE, ERASE>(&mut logs.storage, address, &bytes),
            Some(_) => {}
        }
        last = place.unwrap_or(last);
        logs.places[log].push(place);
    }
    logs
}

/// A record in whole write units, as the journal writes it.
fn put<const WRITE: usize, const ERASE: usize>(storage: &mut SimStorage<WRITE, ERASE>, address: u32, record: &[u8; RECORD_SIZE]) {
    let mut padded = vec![0xff; RECORD_SIZE.next_multiple_of(WRITE)];
    padded[..RECORD_SIZE].copy_from_slice(record);
    storage.flash.put(address, &padded);
}

/// The bytes at one place.
fn record(kind: u8, last: &[u8; RECORD_SIZE], draw: &mut Draw<'_>) -> [u8; RECORD_SIZE] {
    match kind {
        0 => [0xff; RECORD_SIZE],
        1 => draw.bytes(),
        2 => sealed(&draw.bytes::<RECORD_SIZE>()),
        3 => *last,
        4 => {
            let mut torn = *last;
            let [at, bits] = draw.bytes();
            torn[usize::from(at) % RECORD_SIZE] ^= bits;
            torn
        }
        5 => {
            let mut foreign = *last;
            foreign[4..14].copy_from_slice(&[2, 0, draw.byte(), draw.byte(), 0, 0, 0, 0, 0, 0]);
            sealed(&foreign)
        }
        _ => {
            let [low, high, shift] = draw.bytes();
            let sequence = u64::from(u16::from_le_bytes([low, high])) << (shift % 33);
            Record { sequence, state: state(draw) }.encode().unwrap_or([0; RECORD_SIZE])
        }
    }
}

/// A state, possible or not.
fn state(draw: &mut Draw<'_>) -> State {
    let [slots, floor, revoked, revert] = draw.bytes();
    let either = |odd: bool| if odd { Slot::B } else { Slot::A };
    let mut state = State::new(u32::from(floor) << (floor % 25));
    state.slots = BySlot { a: slot(draw), b: slot(draw) };
    state.preferred = either(slots & 1 != 0);
    state.in_flight = (slots & 2 != 0).then_some(either(slots & 4 != 0));
    for number in 0..revoked % 7 {
        state.revoked.insert([revoked ^ number; 8]).expect("room for six");
    }
    let sequence = u64::from(revert) << (revert % 41);
    state.last_revert = (slots & 8 != 0).then_some(Revert { slot: either(slots & 16 != 0), reason: Reason::from_code(revert), sequence });
    state
}

fn slot(draw: &mut Draw<'_>) -> SlotState {
    let [phase, attempts_left, boots_left, digest] = draw.bytes();
    let reason = Reason::from_code(digest);
    match phase % 5 {
        0 => SlotState::empty(reason),
        1 => SlotState::confirmed([digest; 16]),
        2 => SlotState::confirmed([digest; 16]).rejected(reason),
        3 => SlotState { phase: Phase::Trial, attempts_left: attempts_left % 4, boots_left: boots_left % 11, digest: [digest; 16], reason },
        _ => SlotState { phase: Phase::Confirmed, attempts_left, boots_left, digest: [digest; 16], reason },
    }
}

impl<const WRITE: usize, const ERASE: usize> Logs<WRITE, ERASE>
where
    SimFlash<WRITE, ERASE>: embedded_storage::nor_flash::NorFlash,
{
    /// What the journal found is what a second reader finds, which knows the format and nothing else.
    fn assert_opened(&self, journal: &Journal, policy: &Policy) {
        let tails = self.places.each_ref().map(|log| log.iter().flatten().filter_map(|place| valid(place, policy)).next_back());
        let newest = tails.iter().flatten().max_by_key(|(sequence, _)| *sequence).map(|(sequence, _)| *sequence);
        assert_eq!(journal.sequence(), newest.unwrap_or(0));
        assert_eq!(journal.state().is_some(), newest.is_some());
        let found = |state: &State| tails.iter().flatten().any(|tail| *tail == (journal.sequence(), *state));
        assert!(journal.state().is_none_or(found), "{:?} is not a newest record", journal.state());
        for log in self.places.iter().filter(|log| ascends(log)) {
            for sequence in sequences(log) {
                assert!(journal.next_sequence() > sequence, "the next sequence {} is not above {sequence}", journal.next_sequence());
            }
        }
    }

    fn assert_repair(&self, mut journal: Journal, mut storage: SimStorage<WRITE, ERASE>, policy: &Policy) {
        let (state, next, was_clean) = (journal.state().copied(), journal.next_sequence(), journal.is_clean());
        let before = storage.flash.counters();
        let outcome = journal.repair(&mut storage, policy);
        let after = Journal::open(&mut storage, policy);
        assert_eq!(after.state().copied(), state, "a repair decides nothing: {outcome:?}");
        self.assert_flash_rules(&storage);
        if let Err(error) = outcome {
            self.assert_excused(error, next);
            return;
        }
        let written = storage.flash.counters() != before;
        assert_eq!(written, state.is_some() && !was_clean, "a repair writes when there is something to repair");
        assert_eq!(after.sequence(), if written { next } else { self.newest(policy) });
        assert!(state.is_none() || after.is_clean() || self.is_unreadable(), "the logs do not agree after a repair: {after:?}");
        self.assert_settles(journal, storage, policy);
    }

    /// A repair has nothing left to do a second time. A log in which an erase does not make a place readable may need two, each of both logs in turn.
    fn assert_settles(&self, mut journal: Journal, mut storage: SimStorage<WRITE, ERASE>, policy: &Policy) {
        for _ in 0..3 {
            if self.is_unreadable() && journal.repair(&mut storage, policy).is_err() {
                return;
            }
        }
        let repaired = storage.flash.counters();
        assert_eq!(journal.repair(&mut storage, policy), Ok(()));
        assert_eq!(storage.flash.counters(), repaired, "a repair after a repair writes");
    }

    /// Whether there is a place that can not be read, not even once it was erased.
    fn is_unreadable(&self) -> bool {
        self.places.iter().flatten().any(Option::is_none)
    }

    fn newest(&self, policy: &Policy) -> u64 {
        Journal::open(&mut self.storage.clone(), policy).sequence()
    }

    fn assert_commit(&self, mut journal: Journal, wished: &State, policy: &Policy) {
        let (state, expected, next) = (journal.state().copied(), journal.sequence(), journal.next_sequence());
        let mut storage = self.storage.clone();
        let before = storage.flash.counters();
        assert_eq!(journal.clone().commit(&mut storage, policy, expected ^ 1, wished), Err(CommitError::Stale));
        assert_eq!(storage.flash.counters(), before, "a stale commit writes");
        let outcome = journal.commit(&mut storage, policy, expected, wished);
        let after = Journal::open(&mut storage, policy);
        self.assert_flash_rules(&storage);
        match outcome {
            Ok(()) => {
                assert!(wished.is_possible(policy), "an impossible state is committed");
                assert!(!is_laxer(wished, state.as_ref()), "floor or revoked keys are lost");
                assert_eq!((after.sequence(), after.state()), (next, Some(wished)));
                assert!(after.is_clean() || self.is_unreadable(), "the logs do not agree after a commit: {after:?}");
            }
            Err(CommitError::Impossible) => {
                assert!(!wished.is_possible(policy) || is_laxer(wished, state.as_ref()), "a possible state is refused");
                assert_eq!((storage.flash.counters(), after.state().copied()), (before, state));
            }
            Err(error) => {
                self.assert_excused(error, next);
                let kept = after.state().copied() == state || after.state() == Some(wished);
                assert!(kept, "a commit that failed lost the state: {state:?}, then {:?}", after.state());
            }
        }
    }

    /// Only storage that can not be read and a number that has run out excuse a failure.
    fn assert_excused(&self, error: CommitError, next: u64) {
        let excused = match error {
            CommitError::Storage => self.is_unreadable(),
            CommitError::Exhausted => next >= NUMBER_LIMIT,
            CommitError::Stale | CommitError::Impossible => false,
        };
        assert!(excused, "{error:?} without a reason");
    }

    fn assert_flash_rules(&self, storage: &SimStorage<WRITE, ERASE>) {
        assert!(storage.flash.breaches().is_empty(), "flash rules broken: {:?}", storage.flash.breaches());
    }
}

/// Whether a state has a lower floor than the newest record's, or lacks one of its revoked keys in its place.
fn is_laxer(wished: &State, newest: Option<&State>) -> bool {
    newest.is_some_and(|newest| {
        let keeps_keys = newest.revoked.iter().enumerate().all(|(index, key)| wished.revoked.get(index) == Some(key));
        wished.floor < newest.floor || !keeps_keys
    })
}

/// Sequence and state of a valid record, as postcard reads it.
fn valid(bytes: &[u8; RECORD_SIZE], policy: &Policy) -> Option<(u64, State)> {
    let state = judged_state(bytes).filter(|state| *bytes == sealed(bytes) && state.is_possible(policy))?;
    Some((sequence_of(bytes)?, state))
}

fn sequence_of(bytes: &[u8; RECORD_SIZE]) -> Option<u64> {
    let sequence = u64::from_le_bytes(*bytes[6..].first_chunk()?);
    (bytes.starts_with(b"TWJR") && *bytes == sealed(bytes) && sequence < NUMBER_LIMIT).then_some(sequence)
}

/// The sequences of whole records of any layout that can be read.
fn sequences(log: &[Option<[u8; RECORD_SIZE]>]) -> impl Iterator<Item = u64> {
    log.iter().flatten().filter_map(sequence_of)
}

/// Whether the records of a log stand in the order in which writers append them.
fn ascends(log: &[Option<[u8; RECORD_SIZE]>]) -> bool {
    sequences(log).is_sorted()
}
