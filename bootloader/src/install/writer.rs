//! Writing one image into the inactive slot, chunk by chunk.

use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

use super::{InactiveSlot, InstallError, Refusal, Session};
use crate::anchor::KeyId;
use crate::crypto::Crypto;
use crate::image::chunks::{CHUNK_SIZE, ChunkTable};
use crate::image::{HEADER_SIZE, HEADER_SIZE_U64, Header, HeaderBytes};
use crate::journal::{CommitError, FloorRaise, Journal, Phase, SlotState, State};
use crate::load::{hash_range, verify_stored};
use crate::reason::Reason;
use crate::rejection::Rejection;
use crate::slot::Slot;
use crate::storage::{MAX_WRITE_SIZE, MonotonicCounter, Region, Storage, StorageError};

/// An install under way. Dropping it leaves the slot `Empty`; the next install of the same bundle resumes.
#[derive(Debug)]
pub struct Install<'s, 'a, S, C, N> {
    session: &'s mut Session<'a, S, C, N>,
    slot: Slot,
    bytes: [u8; HEADER_SIZE],
    header: Header,
    table: ChunkTable<'s>,
    /// The boot state while the slot is `Empty`.
    state: State,
    /// Bytes from the slot's start that hold verified content and are kept.
    kept: u64,
    /// Bytes from the slot's start that are erased or hold content of this install.
    erased: u64,
    /// The chunk to write next.
    next: u64,
    /// Whether the slot holds the header already.
    header_written: bool,
}

impl<'a, S: Storage, C: Crypto, N: MonotonicCounter> Session<'a, S, C, N> {
    /// Begins or resumes an install: verifies the header for this host and slot, pins the chunk table, marks the slot `Empty`.
    ///
    /// # Errors
    /// The image is refused, by the loader's own rules, before a byte is written. A failing commit or storage.
    pub fn install<'s>(
        &'s mut self,
        slot: InactiveSlot,
        header: &[u8; HEADER_SIZE],
        table: &'s [u8],
    ) -> Result<Install<'s, 'a, S, C, N>, InstallError> {
        // The state may have changed since the slot was named, and it may have been named by another session.
        let InactiveSlot { slot } = self.inactive_slot(slot.slot())?;
        let state = self.base_state();
        let floor = self.floor(&state)?;
        let verified = self.verify_header(header, slot, floor, &state)?;
        self.check_loader(&verified, header, &state)?;
        self.add_revocations(&verified, &mut state.clone())?;
        let table = ChunkTable::verify(&verified, table, self.crypto)?;
        let state = self.empty(slot, state)?;
        let mut install =
            Install { session: self, slot, bytes: *header, header: verified, table, state, kept: 0, erased: 0, next: 0, header_written: false };
        install.find_progress();
        Ok(install)
    }

    /// The loader on the host must be able to read and accept the image, not just this writer.
    fn check_loader(&self, header: &Header, bytes: &[u8; HEADER_SIZE], state: &State) -> Result<(), InstallError> {
        if header.manifest().min_loader > self.loader_version {
            return Err(Rejection::LoaderTooOld.into());
        }
        let counts = |key: &KeyId| self.reads.keys.contains(key) && !state.revoked.contains(key) && !header.manifest().revoke.contains(key);
        let known = HeaderBytes::parse(bytes).map_or(0, |framed| framed.signatures().filter(|entry| counts(&entry.key)).count());
        if known < usize::from(self.host.anchor.threshold()) {
            return Err(Refusal::LoaderLacksKeys.into());
        }
        Ok(())
    }

    /// Commits that the slot holds nothing, before anything in it changes; gives the state that says so.
    fn empty(&mut self, slot: Slot, mut state: State) -> Result<State, InstallError> {
        if state.phase(slot) == Phase::Empty && self.journal.state().is_some() {
            return self.ensure_not_stale().map(|()| state);
        }
        *state.slots.of_mut(slot) = SlotState::empty(Reason::None);
        if state.in_flight == Some(slot) {
            state.in_flight = None;
        }
        if state.preferred == slot {
            state.preferred = slot.other();
        }
        self.commit(&state)?;
        self.storage.flush()?;
        Ok(state)
    }

    /// No commit tells a writer that came late, so that it has to look: another one may have armed what lies in the slot.
    fn ensure_not_stale(&mut self) -> Result<(), InstallError> {
        let now = Journal::open(self.storage, &self.host.policy);
        if now.sequence() == self.journal.sequence() { Ok(()) } else { Err(InstallError::Commit(CommitError::Stale)) }
    }
}

impl<S: Storage, C: Crypto, N: MonotonicCounter> Install<'_, '_, S, C, N> {
    /// Which slot is being written.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// The verified header of what is being written.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Whether there is no image to go back to from the confirm of this one until the next install: the other slot is not confirmed, or the floor or
    /// the revocations of this image cut it off. An operator should know.
    ///
    /// # Errors
    /// The storage failed.
    pub fn leaves_no_fallback(&mut self) -> Result<bool, InstallError> {
        let mut state = self.state;
        let other = self.slot.other();
        if state.phase(other) != Phase::Confirmed {
            return Ok(true);
        }
        let raised = match self.session.host.policy.floor_raise {
            FloorRaise::OnConfirm => self.header.manifest().security_counter,
            FloorRaise::WhenBothSlotsMeetIt => state.floor,
        };
        let judged = self.session.add_revocations(&self.header, &mut state).and_then(|()| self.session.read_header(other, raised, &state));
        match judged {
            Ok(_) => Ok(false),
            Err(InstallError::Refused(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The chunk to hand to [`Install::write_chunk`] next, or `None` when all are there.
    #[must_use]
    pub const fn next_chunk(&self) -> Option<u64> {
        if self.next < self.table.count() { Some(self.next) } else { None }
    }

    /// How many chunks the image has.
    #[must_use]
    pub const fn chunk_count(&self) -> u64 {
        self.table.count()
    }

    /// Verifies the plain bytes of the next chunk and writes them.
    ///
    /// # Errors
    /// [`Rejection::ChunkMismatch`] when they are not the chunk that the table pins: nothing was written, the right bytes may follow.
    pub fn write_chunk(&mut self, bytes: &[u8]) -> Result<(), InstallError> {
        let range = self.table.range(self.next);
        let pinned = self.table.digest(self.next).ok_or(Rejection::ChunkMismatch)?;
        let right_length = u64::try_from(bytes.len()) == Ok(range.end.saturating_sub(range.start));
        if !right_length || self.session.crypto.digest(bytes) != *pinned {
            return Err(Rejection::ChunkMismatch.into());
        }
        let skip = self.kept.clamp(range.start, range.end).saturating_sub(range.start);
        let new = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..)).unwrap_or_default();
        self.write(range.start.saturating_add(skip), new)?;
        self.next = self.next.saturating_add(1);
        Ok(())
    }

    /// Makes the parts durable, writes the header, reads everything back from the medium, verifies it and arms the trial.
    ///
    /// # Errors
    /// Chunks are missing, or the medium does not hold what was written: the slot stays `Empty`.
    pub fn finish(mut self) -> Result<(), InstallError> {
        if self.next_chunk().is_some() {
            return Err(Refusal::Incomplete.into());
        }
        self.session.storage.flush()?;
        if !self.header_written {
            write_padded(self.session.storage, self.slot, 0, &self.bytes)?;
            self.session.storage.flush()?;
        }
        self.verify_medium()?;
        let mut state = self.state;
        *state.slots.of_mut(self.slot) = SlotState::trial(self.header.short_digest(), &self.session.host.policy);
        state.preferred = self.slot;
        self.session.commit(&state)
    }

    /// Every byte of the medium: header, chunks, and the parts that the loader checks.
    fn verify_medium(&mut self) -> Result<(), InstallError> {
        if self.read_header()? != self.bytes {
            return Err(InstallError::Storage);
        }
        if let Some((_, why)) = self.first_bad_chunk() {
            return Err(why);
        }
        let mut window = self.session.storage.region(Region::Slot(self.slot));
        Ok(verify_stored(&self.header, &mut window, self.session.crypto)?)
    }

    /// Finds out how much of the image the slot holds already, by its content alone.
    ///
    /// A chunk's end shares its erase unit with the next chunk's start, so that work resumes at the start of the unit that holds the first bad byte:
    /// what lies before it is kept and not written again. When that is the header alone nothing is kept: a unit that reads blank need not be erased.
    fn find_progress(&mut self) {
        // What can not be read is not there: erasing and writing it again is all that can be done.
        let header = self.read_header();
        let blank = header == Ok([0xff; HEADER_SIZE]);
        let complete = header == Ok(self.bytes);
        if !blank && !complete {
            return;
        }
        match self.first_bad_chunk() {
            None if complete || !self.is_in_one_unit::<S::Flash>() => {
                self.next = self.table.count();
                self.header_written = complete;
            }
            Some((bad, _)) if blank => {
                let unit = S::Flash::ERASE_SIZE as u64;
                let start = self.table.range(bad).start;
                let kept = start.saturating_sub(start.checked_rem(unit).unwrap_or(0));
                self.kept = if kept > HEADER_SIZE_U64 { kept } else { 0 };
                self.next = self.kept.saturating_sub(HEADER_SIZE_U64).checked_div(CHUNK_SIZE).unwrap_or(0);
            }
            _ => {}
        }
        self.erased = self.kept;
    }

    /// Whether one erase takes header and chunks. Cut, it may leave chunks behind a header that reads blank, in a unit that is not to be relied on;
    /// where there are more units the header's is erased last.
    fn is_in_one_unit<F: NorFlash>(&self) -> bool {
        let last = self.table.count().saturating_sub(1);
        self.table.range(last).end <= F::ERASE_SIZE as u64
    }

    fn read_header(&mut self) -> Result<[u8; HEADER_SIZE], StorageError> {
        let mut bytes = [0; HEADER_SIZE];
        self.session.storage.region(Region::Slot(self.slot)).read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// The first chunk that the slot does not hold, or does not give back, and which of the two it is.
    fn first_bad_chunk(&mut self) -> Option<(u64, InstallError)> {
        let mut window = self.session.storage.region(Region::Slot(self.slot));
        (0..self.table.count()).find_map(|index| match hash_range(self.table.range(index), &mut window, self.session.crypto) {
            Ok(held) if self.table.digest(index).is_some_and(|pinned| held == *pinned) => None,
            Ok(_) => Some((index, Rejection::ChunkMismatch.into())),
            Err(error) => Some((index, error.into())),
        })
    }

    /// Erases up to `end`, the header's unit last: while that reads blank and its erase was cut, the first chunk is not there either.
    fn erase(&mut self, end: u64) -> Result<(), StorageError> {
        let first = if self.erased == 0 { HEADER_SIZE_U64.max(S::Flash::ERASE_SIZE as u64).min(end) } else { self.erased };
        let mut window = self.session.storage.region(Region::Slot(self.slot));
        window.erase(narrow(first), narrow(end))?;
        if self.erased == 0 {
            window.erase(0, narrow(first))?;
        }
        self.erased = end;
        Ok(())
    }

    /// Writes bytes of the slot in ascending order, erasing each unit as it is reached.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let end = at.saturating_add(bytes.len() as u64);
        let erase_end = end.checked_next_multiple_of(S::Flash::ERASE_SIZE as u64).unwrap_or(u64::MAX);
        if erase_end > self.erased {
            self.erase(erase_end)?;
        }
        write_padded(self.session.storage, self.slot, narrow(at), bytes)
    }
}

/// An offset in a region; one that is outside every region stays outside.
fn narrow(offset: u64) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Writes whole write units, and pads the last one with what erased flash holds.
fn write_padded<S: Storage>(storage: &mut S, slot: Slot, at: u32, bytes: &[u8]) -> Result<(), StorageError> {
    let unit = S::Flash::WRITE_SIZE;
    let mut window = storage.region(Region::Slot(slot));
    let tail_len = bytes.len().checked_rem(unit).unwrap_or(0);
    let (whole, tail) = bytes.split_at_checked(bytes.len().saturating_sub(tail_len)).unwrap_or_default();
    if !whole.is_empty() {
        window.write(at, whole)?;
    }
    if tail.is_empty() {
        return Ok(());
    }
    let mut padded = [0xff; MAX_WRITE_SIZE];
    for (target, byte) in padded.iter_mut().zip(tail) {
        *target = *byte;
    }
    // A unit larger than there may be is refused by the flash.
    window.write(at.saturating_add(narrow(whole.len() as u64)), padded.get(..unit).unwrap_or(&padded))
}
