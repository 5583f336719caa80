//! The two logs: scanning, committing, repairing.

use core::fmt;

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use super::record::{RECORD_SIZE, Record, checksum, encode, sequence_of, stride};
use super::state::{Policy, State};
use crate::codec::NUMBER_LIMIT;
use crate::storage::{MAX_WRITE_SIZE, Region, Storage, StorageError, Window};

/// Where a journal that lost all records begins to count when a log could not even be read: above any sequence that log may hold.
const UNREADABLE_START: u64 = 1 << 32;

/// What was found in the two logs. Reading never writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Sequence 0 when there is none.
    newest: Record,
    logs: [Log; 2],
}

/// What was found in one log. Records ascend within a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Log {
    /// Record places in the log.
    capacity: u32,
    /// Index behind the last place that does not read blank.
    end: u32,
    /// Places behind the newest valid record that are not blank.
    torn_behind: u32,
    /// Whether all of those could not be read, and the one next to the record is blank: cells that no erase makes readable, as far as anybody can tell.
    bad_behind: bool,
    /// Highest sequence of a whole record of another layout behind the newest valid one.
    highest_foreign: u64,
    /// Sequence and checksum of the newest valid record; zero without one.
    tail: (u64, u32),
    /// Whether that record is the newest of both logs.
    current: bool,
    /// Whether the first place holds a valid record; otherwise the unit is erased before it is used.
    begun: bool,
    /// Whether the first place, or one behind the newest valid record, could not be read.
    read_error: bool,
}

/// Why a commit did not happen. The state before it stands; after [`CommitError::Storage`] one log may hold the new one, which is then the state at the
/// next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommitError {
    /// Somebody else committed since the expected sequence was read.
    Stale,
    /// The state is impossible under the policy, or its floor or revoked keys fall behind those of the newest record.
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
    /// Nothing read yet: as if lost.
    pub(crate) fn unread() -> Self {
        Self { newest: Record { sequence: 0, state: State::new(0) }, logs: [Log::UNREAD; 2] }
    }

    /// Scans both logs.
    pub fn open<S: Storage>(storage: &mut S, policy: &Policy) -> Self {
        let mut journal = Self::unread();
        journal.read(storage, policy);
        journal
    }

    /// Scans both logs anew.
    pub(crate) fn read<S: Storage>(&mut self, storage: &mut S, policy: &Policy) {
        self.newest.sequence = 0;
        self.logs = [Log::UNREAD; 2];
        let mut tail = (0, 0);
        for (log, region) in self.logs.iter_mut().zip(LOGS) {
            log.scan(storage, region, policy, &mut self.newest);
            if log.tail.0 > tail.0 {
                tail = log.tail;
            }
        }
        for log in &mut self.logs {
            log.current = log.tail == tail && self.newest.sequence != 0;
        }
    }

    /// The newest state, or `None` when the journal is lost.
    #[must_use]
    pub const fn state(&self) -> Option<&State> {
        if self.is_lost() { None } else { Some(&self.newest.state) }
    }

    /// The newest sequence; 0 when the journal is lost.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.newest.sequence
    }

    const fn is_lost(&self) -> bool {
        self.newest.sequence == 0
    }

    /// Whether neither log could be read: the newest record may be in either, so that nothing is written over it.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        let [first, second] = &self.logs;
        self.is_lost() && first.read_error && second.read_error
    }

    /// The sequence that the next commit will have: greater than every sequence that the logs may still hold.
    ///
    /// Every torn record behind the newest one may have been begun with the next sequence of its time. A log that lacks the newest record counts as full
    /// of torn ones: how many are left depends on how far its erase went. Beside a place that can not be read every log may have lost as many as it has
    /// room for: it may have been the mirror of the record there.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        let mut base = self.sequence();
        let mut begun = 1_u32;
        let is_doubtful = self.logs.iter().any(|log| log.read_error);
        for log in &self.logs {
            if self.is_lost() && log.read_error {
                base = base.max(UNREADABLE_START);
            }
            base = base.max(log.highest_foreign);
            let torn = if log.current || is_doubtful { log.torn_behind } else { 0 };
            let lost = if log.current && !is_doubtful { 0 } else { log.capacity };
            begun = begun.saturating_add(torn).saturating_add(lost);
        }
        base.saturating_add(u64::from(begun))
    }

    /// Whether there is nothing to repair: each log ends in the newest record with nothing but bad cells behind it, or is left alone, since only an
    /// erase after a read error would make room in it.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        let [first, second] = &self.logs;
        first.is_settled() && second.is_settled()
    }

    /// Whether both logs end in the newest record. A pair that is clean without that has one log in use, and the other one is left alone.
    #[must_use]
    pub const fn is_mirrored(&self) -> bool {
        let [first, second] = &self.logs;
        first.current && second.current
    }

    /// Commits the newest record again to both logs when they do not agree. Nothing is decided before that.
    ///
    /// # Errors
    /// As [`Journal::commit`]; a lost journal is left as it is.
    pub fn repair<S: Storage>(&mut self, storage: &mut S, policy: &Policy) -> Result<(), CommitError> {
        if self.is_lost() || self.is_clean() {
            return Ok(());
        }
        let Record { sequence, state } = self.newest;
        self.commit(storage, policy, sequence, &state)
    }

    /// Commits `state` as the successor of `expected_sequence`, the sequence that it was derived from.
    ///
    /// # Errors
    /// Stale or impossible: nothing was written. Storage: one log may hold the new record, which is then the newest one at the next start; or the record
    /// that was known could not be read again, and stays known.
    pub fn commit<S: Storage>(&mut self, storage: &mut S, policy: &Policy, expected_sequence: u64, state: &State) -> Result<(), CommitError> {
        let seen = self.newest;
        self.read(storage, policy);
        if self.sequence() < seen.sequence {
            self.newest = seen;
            return Err(CommitError::Storage);
        }
        if self.sequence() != expected_sequence {
            return Err(CommitError::Stale);
        }
        if self.is_unreadable() {
            return Err(CommitError::Storage);
        }
        let sequence = self.next_sequence();
        if sequence >= NUMBER_LIMIT {
            return Err(CommitError::Exhausted);
        }
        let mut bytes = [0; RECORD_SIZE];
        encode(sequence, state, &mut bytes);
        if Record::decode(&bytes, policy).is_none_or(|record| !self.keeps_floor_and_keys(state, &record.state)) {
            return Err(CommitError::Impossible);
        }
        let written = self.write_both(storage, &bytes);
        self.read(storage, policy);
        written?;
        if self.sequence() == sequence { Ok(()) } else { Err(CommitError::Storage) }
    }

    /// Whether what was encoded of a state is as strict as the state and as the newest record, and its floor no higher. A fault may take from the
    /// encoding what the state has, and from the state what the newest record has: the checksum would be right all the same.
    fn keeps_floor_and_keys(&self, state: &State, encoded: &State) -> bool {
        encoded.floor <= state.floor && [state, self.state().unwrap_or(state)].iter().all(|other| encoded.is_as_strict_as(other))
    }

    /// Writes the record to the logs in a safe order: no log is erased that alone holds the newest record ([`Journal::order`] sees to it), and a log
    /// with a read error is not erased once the other one has taken the record.
    fn write_both<S: Storage>(&self, storage: &mut S, bytes: &[u8; RECORD_SIZE]) -> Result<(), StorageError> {
        let mut mirrored = false;
        for index in self.order() {
            let [first, second] = &self.logs;
            let (log, region) = if index == 0 { (first, Region::Log0) } else { (second, Region::Log1) };
            if log.needs_erase() {
                if log.read_error && mirrored {
                    continue;
                }
                let mut window = storage.region(region);
                let size = window.size();
                window.erase(0, size)?;
                // A cache may write out of order: the record would lie in front of older ones.
                storage.flush()?;
            }
            let place = if log.needs_erase() { 0 } else { log.end };
            append(storage, region, place, bytes)?;
            mirrored = true;
        }
        Ok(())
    }

    /// First the log that has room: before the other one is erased, the newest state lies in cells that were written and read back just now. Among equals
    /// the one that lacks the newest record; one with a read error last, unless the other one has to wait for it.
    fn order(&self) -> [usize; 2] {
        let [first, second] = &self.logs;
        let second_first = match (first.is_left_alone(), second.is_left_alone()) {
            (true, false) => !second.waits_for(first),
            (false, true) => first.waits_for(second),
            _ if first.needs_erase() != second.needs_erase() => first.needs_erase(),
            _ => first.current && !second.current,
        };
        if second_first { [1, 0] } else { [0, 1] }
    }
}

impl Log {
    const UNREAD: Self = Self {
        capacity: 0,
        end: 0,
        torn_behind: 0,
        bad_behind: false,
        highest_foreign: 0,
        tail: (0, 0),
        current: false,
        begun: false,
        read_error: false,
    };

    /// Reads the log from its end back to its newest valid record, which becomes `newest` when it is newer.
    fn scan<S: Storage>(&mut self, storage: &mut S, region: Region, policy: &Policy, newest: &mut Record) {
        let stride = place_size(storage);
        let mut window = storage.region(region);
        let mut bytes = [0; RECORD_SIZE];
        self.capacity = window.size().checked_div(stride).unwrap_or(0);
        let (mut unreadable, mut is_next_blank) = (0_u32, false);
        for index in (0..self.capacity).rev() {
            let is_blank = read_place(&mut window, index.saturating_mul(stride), &mut bytes);
            if is_blank == Ok(true) {
                is_next_blank = true;
                continue;
            }
            if self.end == 0 {
                self.end = index.saturating_add(1);
            }
            if is_blank.is_err() {
                self.read_error = true;
                unreadable = unreadable.saturating_add(1);
            } else if let Some(record) = Record::decode(&bytes, policy) {
                self.tail = (record.sequence, checksum(&bytes));
                if record.sequence > newest.sequence {
                    *newest = record;
                }
                let first = if index == 0 { Ok(false) } else { read_place(&mut window, 0, &mut bytes) };
                self.read_error |= first.is_err();
                self.bad_behind = is_next_blank && self.torn_behind == unreadable;
                self.begun = first.is_ok() && Record::decode(&bytes, policy).is_some();
                break;
            } else {
                self.highest_foreign = self.highest_foreign.max(sequence_of(&bytes).unwrap_or(0));
            }
            self.torn_behind = self.torn_behind.saturating_add(1);
            is_next_blank = false;
        }
    }

    /// Whether it is erased before a record is written. A log that lacks the newest record may be one whose erase was cut: its front still holds
    /// records, and what reads blank behind them is not to be relied on.
    const fn needs_erase(&self) -> bool {
        !self.begun || self.end >= self.capacity || !self.current
    }

    const fn is_settled(&self) -> bool {
        (self.current && (self.torn_behind == 0 || self.bad_behind)) || self.is_left_alone()
    }

    /// Only an erase would make room, and a place could not be read.
    const fn is_left_alone(&self) -> bool {
        self.read_error && self.needs_erase()
    }

    /// Whether it may not be erased before `mirror` has taken a record.
    const fn waits_for(&self, mirror: &Self) -> bool {
        self.needs_erase() && self.current && !mirror.current
    }
}

const LOGS: [Region; 2] = [Region::Log0, Region::Log1];

/// Bytes of one record place.
fn place_size<S: Storage>(storage: &S) -> u32 {
    let write_size = u32::try_from(S::Flash::WRITE_SIZE).unwrap_or(u32::MAX);
    stride(write_size, storage.tear_size())
}

/// Whether nothing was ever written at a record place since its log was erased. Its first bytes are left in `bytes`.
fn read_place<F: NorFlash>(window: &mut Window<'_, F>, offset: u32, bytes: &mut [u8; RECORD_SIZE]) -> Result<bool, StorageError> {
    window.read(offset, bytes)?;
    Ok(is_blank(bytes) && padding_is_blank(window, offset))
}

fn is_blank(bytes: &[u8; RECORD_SIZE]) -> bool {
    bytes.iter().all(|byte| *byte == 0xff)
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
        if here.is_none_or(|here| window.read(here, &mut bytes).is_err()) || !is_blank(&bytes) {
            return false;
        }
        at = at.saturating_add(RECORD_SIZE);
    }
    true
}

/// Writes one record at a blank place, makes it durable and reads it back.
fn append<S: Storage>(storage: &mut S, region: Region, place: u32, bytes: &[u8; RECORD_SIZE]) -> Result<(), StorageError> {
    let offset = place.saturating_mul(place_size(storage));
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
    for (target, byte) in padded.iter_mut().zip(bytes) {
        *target = *byte;
    }
    window.write(offset, padded.get(..F::WRITE_SIZE).ok_or(StorageError)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log in one of the situations that a scan can find it in: room or none, the newest record or an older one, readable or not.
    fn log(bits: u8) -> Log {
        let is = |bit: u8| bits & bit != 0;
        Log { capacity: 4, end: if is(1) { 4 } else { 2 }, current: is(2), begun: is(4), read_error: is(8), ..Log::UNREAD }
    }

    /// Every pair of logs, as one journal.
    fn journals() -> impl Iterator<Item = Journal> {
        (0..16).flat_map(|first| (0..16).map(move |second| Journal { logs: [log(first), log(second)], ..Journal::unread() }))
    }

    #[test]
    fn no_log_is_erased_that_alone_holds_the_newest_record() {
        for journal in journals() {
            let [one, other] = journal.order().map(|index| journal.logs[index]);
            assert!(!one.needs_erase() || !one.current || other.current, "{journal:?}");
        }
    }

    #[test]
    fn a_log_that_could_not_be_read_is_erased_only_when_its_mirror_must_be_too() {
        for journal in journals() {
            let [one, other] = journal.order().map(|index| journal.logs[index]);
            let must_go_first = other.is_left_alone() || (other.needs_erase() && other.current && !one.current);
            assert!(!one.is_left_alone() || must_go_first, "{journal:?}");
        }
    }

    #[test]
    fn the_log_with_room_is_written_first_and_among_equals_the_one_that_lacks_the_newest_record() {
        for journal in journals().filter(|journal| !journal.logs.iter().any(|log| log.read_error)) {
            let [one, other] = journal.order().map(|index| journal.logs[index]);
            assert!(!one.needs_erase() || other.needs_erase(), "{journal:?}");
            assert!(one.needs_erase() != other.needs_erase() || !one.current || other.current, "{journal:?}");
        }
    }

    #[test]
    fn two_logs_alike_are_written_in_their_order() {
        assert!((0..16).all(|bits| Journal { logs: [log(bits); 2], ..Journal::unread() }.order() == [0, 1]));
    }
}
