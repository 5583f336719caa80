//! What can be seen in a flash at a moment of a life, as far as rules need it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use twinslot_bootloader::journal::{Phase, SlotState, State};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_bootloader::storage::Region;

use crate::board::Board;
use crate::cast::Role;
use crate::content::{Content, is_blank};
use crate::reader::{self, Found, RECORD};
use twinslot_tests::model::Truth;

/// How many flashes a thread remembers.
const REMEMBERED: usize = 100_000;

thread_local! {
    static SEEN: RefCell<HashMap<(&'static str, [u64; 2]), View>> = RefCell::new(HashMap::new());
}

/// What can be seen.
#[derive(Debug, Clone)]
pub struct View {
    /// The newest record.
    pub newest: Option<Found>,
    /// What an examination of each slot must find.
    pub truths: BySlot<Truth>,
    /// Which image each slot holds whole.
    pub images: BySlot<Option<Role>>,
    /// Whether everything will read the same at the next start.
    pub is_settled: bool,
}

impl View {
    /// Looks at a flash, a range of which can not be read. What was seen in a whole flash is remembered for a while: most cuts leave what another left.
    #[must_use]
    pub fn of(board: &Board, content: &Content, unreadable: Option<&Range<usize>>) -> Self {
        if unreadable.is_some() {
            return Self::look(board, content, unreadable);
        }
        let key = (board.name, content.key());
        SEEN.with_borrow_mut(|seen| {
            if seen.len() > REMEMBERED {
                seen.clear();
            }
            seen.entry(key).or_insert_with(|| Self::look(board, content, None)).clone()
        })
    }

    fn look(board: &Board, content: &Content, unreadable: Option<&Range<usize>>) -> Self {
        let newest = reader::newest(board, content, unreadable);
        let truths = reader::truths(board, content, newest.as_ref().map(|found| &found.state), unreadable);
        let image = |slot| reader::image_in(board, content, slot);
        let images = BySlot { a: image(Slot::A), b: image(Slot::B) };
        Self { newest, truths, images, is_settled: !content.is_flickering() }
    }

    /// The boot state.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.newest.map(|found| found.state)
    }

    /// The sequence of the newest record; 0 without one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.newest.map_or(0, |found| found.sequence)
    }

    /// Whether a slot holds the confirmed image that the journal speaks of.
    #[must_use]
    pub fn is_good_confirmed(&self, slot: Slot) -> bool {
        self.state().is_some_and(|state| state.phase(slot) == Phase::Confirmed) && matches!(self.truths.of(slot), Truth::Right(_))
    }

    /// The one confirmed slot, when there is one only.
    #[must_use]
    pub fn only_confirmed(&self) -> Option<Slot> {
        let state = self.state()?;
        let is_confirmed = |slot| state.phase(slot) == Phase::Confirmed;
        Slot::BOTH.into_iter().find(|slot| is_confirmed(*slot) && !is_confirmed(slot.other()))
    }
}

/// Whether both logs end in the newest record.
#[must_use]
pub fn is_clean(board: &Board, content: &Content, view: &View) -> bool {
    [Region::Log0, Region::Log1].into_iter().all(|log| {
        let bytes = content.bytes(board.region(log));
        let last = bytes.chunks(board.stride()).rev().find(|place| !is_blank(place));
        last.and_then(|place| reader::record(&place[..RECORD])).is_some_and(|found| Some(found) == view.newest)
    })
}

/// The state with what the model does not tell made equal: which refusal it was, and the sequence of a revert.
#[must_use]
pub fn blurred(state: &State) -> State {
    let blur = |reason| if matches!(reason, Reason::Refused(_)) { Reason::Refused(Rejection::DigestMismatch) } else { reason };
    let mut state = *state;
    state.slots.a.reason = blur(state.slots.a.reason);
    state.slots.b.reason = blur(state.slots.b.reason);
    if let Some(revert) = &mut state.last_revert {
        revert.sequence = 0;
        revert.reason = blur(revert.reason);
    }
    state
}

/// A state in one short line.
#[must_use]
pub fn brief(state: Option<State>) -> String {
    let Some(state) = state else { return "a lost journal".to_owned() };
    let slot = |entry: &SlotState| {
        let role = Role::ALL.into_iter().find(|role| role.digest() == entry.digest);
        let image = role.map_or_else(|| "-".to_owned(), |role| format!("{role:?}"));
        format!("{}({image} {}/{} {})", entry.phase.name(), entry.attempts_left, entry.boots_left, entry.reason.code())
    };
    let flight = state.in_flight.map_or_else(|| "nothing".to_owned(), |slot| format!("{slot:?}"));
    let revert = state.last_revert.map_or_else(|| "none".to_owned(), |revert| format!("{:?}:{}", revert.slot, revert.reason.code()));
    let (a, b) = (slot(&state.slots.a), slot(&state.slots.b));
    let (preferred, floor, revoked) = (state.preferred, state.floor, state.revoked.len());
    format!("[a={a} b={b} preferred={preferred:?} flies={flight} floor={floor} revoked={revoked} revert={revert}]")
}
