//! The two logs: scanning, committing, repairing.

use core::fmt;

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use super::record::{RECORD_SIZE, Record, foreign_sequence, stride};
use super::state::{Policy, SEQUENCE_LIMIT, State};
use crate::storage::{MAX_WRITE_SIZE, Region, Storage, StorageError, Window};

/// Where a journal that lost all records begins to count when a log could not even be read: above any sequence that log may hold.
const UNREADABLE_START: u64 = 1 << 32;

/// What was found in the two logs. Reading never writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    newest: Option<Record>,
    logs: [Log; 2],
    highest_foreign: u64,
}

/// What was found in one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Log {
    /// Sequence and checksum of its newest valid record.
    newest: Option<Tail>,
    /// Index behind the last record place that does not read blank.
    end: u32,
    /// Record places in the log.
    capacity: u32,
    /// Places behind the newest valid record that are not blank.
    torn_behind: u32,
    /// Whether the first place holds a valid record; otherwise the unit is erased before it is used.
    begun: bool,
    /// Whether any place could not be read.
    read_error: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tail {
    sequence: u64,
    crc: [u8; 4],
}

/// Why a commit did not happen. The state before it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommitError {
    /// Somebody else committed since the expected sequence was read.
    Stale,
    /// The state is impossible under the policy.
    Impossible,
    /// No sequence is left.
    Exhausted,
    /// Writing, erasing or reading back failed.
    Storage,
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "the journal has changed since it was read: read it again",
            Self::Impossible => "the state is one that no writer may commit",
            Self::Exhausted => "the journal has no sequence left",
            Self::Storage => "the journal could not be written and read back",
        })
    }
}

impl core::error::Error for CommitError {}

impl From<StorageError> for CommitError {
    fn from(_: StorageError) -> Self {
        Self::Storage
    }
}

impl Journal {
    /// Scans both logs.
    pub fn open<S: Storage>(storage: &mut S, policy: &Policy) -> Self {
        let mut journal = Self { newest: None, logs: [Log::default(); 2], highest_foreign: 0 };
        let [first, second] = LOGS.map(|region| scan(storage, region, policy, &mut journal));
        journal.logs = [first, second];
        journal
    }

    /// The newest state, or `None` when the journal is lost.
    #[must_use]
    pub const fn state(&self) -> Option<&State> {
        match &self.newest {
            Some(record) => Some(&record.state),
            None => None,
        }
    }

    /// The newest sequence; 0 when the journal is lost.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        match &self.newest {
            Some(record) => record.sequence,
            None => 0,
        }
    }

    /// The sequence that the next commit will have: greater than every sequence that the logs may still hold.
    ///
    /// Every torn record behind the newest one may have been begun with the next sequence of its time; a log that lacks the newest record may have
    /// lost as many torn ones as it has room for.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        let mut begun = 0_u64;
        for log in &self.logs {
            begun = begun.saturating_add(u64::from(log.torn_behind));
            if !self.holds_newest(log) {
                begun = begun.saturating_add(u64::from(log.capacity));
            }
        }
        let unreadable = self.newest.is_none() && self.logs.iter().any(|log| log.read_error);
        let base = if unreadable { UNREADABLE_START } else { self.sequence() };
        base.max(self.highest_foreign).saturating_add(begun).saturating_add(1)
    }

    /// Whether both logs end in the same record with nothing torn behind it. A log that can only be reclaimed by erasing it after a read error is left
    /// alone while its mirror is good.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let good = |log: &Log| self.holds_newest(log) && log.torn_behind == 0;
        let left_alone = |log: &Log| log.read_error && log.needs_erase();
        let [first, second] = &self.logs;
        self.newest.is_some() && ((good(first) && (good(second) || left_alone(second))) || (good(second) && left_alone(first)))
    }

    /// Commits the newest record again to both logs when they do not agree. Nothing is decided before that.
    ///
    /// # Errors
    /// As [`Journal::commit`]; a lost journal is left as it is.
    pub fn repair<S: Storage>(&mut self, storage: &mut S, policy: &Policy) -> Result<(), CommitError> {
        match &self.newest {
            Some(record) if !self.is_clean() => {
                let state = record.state;
                let sequence = record.sequence;
                self.commit(storage, policy, sequence, &state)
            }
            _ => Ok(()),
        }
    }

    /// Commits `state` as the successor of `expected_sequence`, the sequence that it was derived from.
    ///
    /// # Errors
    /// Stale or impossible: nothing was written. Storage: one log may hold the new record, which is then the newest one at the next start.
    pub fn commit<S: Storage>(&mut self, storage: &mut S, policy: &Policy, expected_sequence: u64, state: &State) -> Result<(), CommitError> {
        *self = Self::open(storage, policy);
        if self.sequence() != expected_sequence {
            return Err(CommitError::Stale);
        }
        let sequence = self.next_sequence();
        if sequence >= SEQUENCE_LIMIT {
            return Err(CommitError::Exhausted);
        }
        let record = Record { sequence, state: *state };
        let bytes = record.encode().filter(|_| state.is_possible(policy)).ok_or(CommitError::Impossible)?;
        let written = self.write_both(storage, &bytes);
        *self = Self::open(storage, policy);
        written?;
        if self.newest.as_ref() == Some(&record) { Ok(()) } else { Err(CommitError::Storage) }
    }

    fn holds_newest(&self, log: &Log) -> bool {
        match (&log.newest, &self.newest_tail()) {
            (Some(tail), Some(newest)) => tail == newest,
            _ => false,
        }
    }

    /// The greater of the two tails; the first log's on a tie, as for the record itself.
    fn newest_tail(&self) -> Option<Tail> {
        let [first, second] = self.logs.each_ref().map(|log| log.newest);
        match (first, second) {
            (Some(a), Some(b)) => Some(if b.sequence > a.sequence { b } else { a }),
            (a, b) => a.or(b),
        }
    }

    /// Writes the record to the logs in a safe order. A log is erased only while the other one holds the newest record, and a log with a read error
    /// is not erased while the other one takes the record.
    fn write_both<S: Storage>(&self, storage: &mut S, bytes: &[u8; RECORD_SIZE]) -> Result<(), StorageError> {
        let mut mirrored = false;
        for index in self.order() {
            let [first, second] = &self.logs;
            let (log, mirror) = if index == 0 { (first, second) } else { (second, first) };
            let region = if index == 0 { Region::Log0 } else { Region::Log1 };
            if log.needs_erase() {
                if log.read_error && mirrored {
                    continue;
                }
                let may_erase = mirrored || self.newest.is_none() || self.holds_newest(mirror);
                if !may_erase {
                    return Err(StorageError);
                }
                let mut window = storage.region(region);
                let size = window.size();
                window.erase(0, size)?;
            }
            let place = if log.needs_erase() { 0 } else { log.end };
            append(storage, region, place, bytes)?;
            mirrored = true;
        }
        Ok(())
    }

    /// First the log that can be written without giving up the newest record.
    fn order(&self) -> [usize; 2] {
        let [first, second] = &self.logs;
        let reluctant = |log: &Log| log.read_error && log.needs_erase();
        let second_first = if reluctant(first) != reluctant(second) {
            let (healthy, healthy_is_second) = if reluctant(first) { (second, true) } else { (first, false) };
            let healthy_must_wait = healthy.needs_erase() && self.holds_newest(healthy);
            healthy_is_second != healthy_must_wait
        } else {
            self.holds_newest(first) && !self.holds_newest(second)
        };
        if second_first { [1, 0] } else { [0, 1] }
    }
}

impl Log {
    const fn needs_erase(&self) -> bool {
        !self.begun || self.end >= self.capacity
    }
}

const LOGS: [Region; 2] = [Region::Log0, Region::Log1];

/// Bytes of one record place for `F`.
fn place_size<S: Storage>(storage: &S) -> u32 {
    let write_size = u32::try_from(S::Flash::WRITE_SIZE).unwrap_or(u32::MAX);
    stride(write_size, storage.tear_size())
}

/// Reads every record place of a log.
fn scan<S: Storage>(storage: &mut S, region: Region, policy: &Policy, journal: &mut Journal) -> Log {
    let stride = place_size(storage);
    let mut window = storage.region(region);
    let mut log = Log { capacity: window.size().checked_div(stride).unwrap_or(0), ..Log::default() };
    for index in 0..log.capacity {
        let place = read_place(&mut window, index.saturating_mul(stride), policy);
        if place != Place::Blank {
            log.end = index.saturating_add(1);
        }
        match place {
            Place::Blank => {}
            Place::Valid(record, crc) => {
                log.begun |= index == 0;
                let tail = Tail { sequence: record.sequence, crc };
                if log.newest.is_none_or(|newest| tail.sequence >= newest.sequence) {
                    log.newest = Some(tail);
                    log.torn_behind = 0;
                }
                if journal.newest.as_ref().is_none_or(|newest| record.sequence > newest.sequence) {
                    journal.newest = Some(record);
                }
            }
            Place::Torn(foreign) => {
                log.torn_behind = log.torn_behind.saturating_add(1);
                journal.highest_foreign = journal.highest_foreign.max(foreign);
            }
            Place::Unreadable => {
                log.torn_behind = log.torn_behind.saturating_add(1);
                log.read_error = true;
            }
        }
    }
    log
}

/// What one record place holds.
#[derive(PartialEq, Eq)]
enum Place {
    Blank,
    Valid(Record, [u8; 4]),
    /// With the sequence, when it is a whole record of another layout; else 0.
    Torn(u64),
    Unreadable,
}

fn read_place<F: NorFlash>(window: &mut Window<'_, F>, offset: u32, policy: &Policy) -> Place {
    let mut bytes = [0; RECORD_SIZE];
    if window.read(offset, &mut bytes).is_err() {
        return Place::Unreadable;
    }
    if bytes == [0xff; RECORD_SIZE] {
        return if padding_is_blank(window, offset) { Place::Blank } else { Place::Torn(0) };
    }
    match Record::decode(&bytes, policy) {
        Some(record) => Place::Valid(record, bytes.last_chunk::<4>().copied().unwrap_or_default()),
        None => Place::Torn(foreign_sequence(&bytes).unwrap_or(0)),
    }
}

/// Whether the rest of a write unit behind a blank record is blank too. Costs nothing where records fill their write units.
fn padding_is_blank<F: NorFlash>(window: &mut Window<'_, F>, offset: u32) -> bool {
    if F::WRITE_SIZE <= RECORD_SIZE {
        return true;
    }
    let mut at = RECORD_SIZE;
    while at < F::WRITE_SIZE {
        let mut bytes = [0; RECORD_SIZE];
        let here = u32::try_from(at).ok().and_then(|at| offset.checked_add(at));
        if here.is_none_or(|here| window.read(here, &mut bytes).is_err()) || bytes != [0xff; RECORD_SIZE] {
            return false;
        }
        at = at.saturating_add(RECORD_SIZE);
    }
    true
}

/// Writes one record at a blank place, makes it durable and reads it back.
fn append<S: Storage>(storage: &mut S, region: Region, place: u32, bytes: &[u8; RECORD_SIZE]) -> Result<(), StorageError> {
    let offset = place.checked_mul(place_size(storage)).ok_or(StorageError)?;
    write_padded(&mut storage.region(region), offset, bytes)?;
    storage.flush()?;
    let mut back = [0; RECORD_SIZE];
    storage.region(region).read(offset, &mut back)?;
    if back == *bytes { Ok(()) } else { Err(StorageError) }
}

fn write_padded<F: NorFlash>(window: &mut Window<'_, F>, offset: u32, bytes: &[u8; RECORD_SIZE]) -> Result<(), StorageError> {
    if F::WRITE_SIZE <= RECORD_SIZE {
        return window.write(offset, bytes);
    }
    let mut padded = [0xff; MAX_WRITE_SIZE];
    padded.first_chunk_mut::<RECORD_SIZE>().ok_or(StorageError)?.copy_from_slice(bytes);
    window.write(offset, padded.get(..F::WRITE_SIZE).ok_or(StorageError)?)
}
