//! A journal's state as data and in plain words.

use std::fmt;

use serde::Serialize;
use twinslot_bootloader::{
    journal::{Journal, Phase, SlotState, State},
    slot::Slot,
};

use crate::{
    handoff_view::{RevertView, phase_by_name},
    hex,
};

/// What the two logs hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalView {
    /// The newest sequence; 0 when the journal is lost.
    sequence: u64,
    /// Whether the next boot has nothing to repair.
    clean: bool,
    /// Whether both logs end in the newest record.
    mirrored: bool,
    /// Whether neither log holds a valid record.
    lost: bool,
    /// The newest state; nothing when the journal is lost.
    #[serde(flatten)]
    state: Option<StateView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct StateView {
    preferred: &'static str,
    slots: SlotViews,
    in_flight: Option<&'static str>,
    floor: u32,
    revoked: Vec<String>,
    last_revert: Option<RevertView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SlotViews {
    a: SlotView,
    b: SlotView,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SlotView {
    #[serde(serialize_with = "phase_by_name")]
    phase: Phase,
    attempts_left: u8,
    boots_left: u8,
    digest: String,
    reason: u8,
    reason_text: &'static str,
}

impl JournalView {
    /// Describes a journal that was opened.
    #[must_use]
    pub fn of(journal: &Journal) -> Self {
        Self {
            sequence: journal.sequence(),
            clean: journal.is_clean(),
            mirrored: journal.is_mirrored(),
            lost: journal.state().is_none(),
            state: journal.state().map(StateView::of),
        }
    }
}

impl StateView {
    fn of(state: &State) -> Self {
        Self {
            preferred: state.preferred.name(),
            slots: SlotViews { a: SlotView::of(&state.slots.a), b: SlotView::of(&state.slots.b) },
            in_flight: state.in_flight.map(Slot::name),
            floor: state.floor,
            revoked: state.revoked.iter().map(|id| hex::encode(id)).collect(),
            last_revert: state.last_revert.map(RevertView::of),
        }
    }
}

impl SlotView {
    fn of(slot: &SlotState) -> Self {
        Self {
            phase: slot.phase,
            attempts_left: slot.attempts_left,
            boots_left: slot.boots_left,
            digest: hex::encode(&slot.digest),
            reason: slot.reason.code(),
            reason_text: slot.reason.text(),
        }
    }
}

impl fmt::Display for JournalView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(state) = &self.state else {
            return writeln!(f, "journal lost: neither log holds a valid record");
        };
        let health = match (self.clean, self.mirrored) {
            (false, _) => "the logs do not agree: the next boot commits the newest record again",
            (true, true) => "both logs agree",
            (true, false) => "in one log only: the other one can not be read, and is left alone",
        };
        writeln!(f, "journal record {}, {health}", self.sequence)?;
        writeln!(f, "preferred     slot {}", state.preferred)?;
        writeln!(f, "slot a        {}", state.slots.a)?;
        writeln!(f, "slot b        {}", state.slots.b)?;
        writeln!(
            f,
            "in flight     {}",
            state.in_flight.map_or_else(|| "no trial".to_owned(), |slot| format!("slot {slot}: it was jumped to and has not confirmed"))
        )?;
        writeln!(f, "floor         {}", state.floor)?;
        writeln!(f, "revoked keys  {}", if state.revoked.is_empty() { "none".to_owned() } else { state.revoked.join(" ") })?;
        match &state.last_revert {
            Some(revert) => writeln!(f, "last revert   {revert}"),
            None => writeln!(f, "last revert   none"),
        }
    }
}

impl fmt::Display for SlotView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phase.name())?;
        if self.phase == Phase::Trial {
            write!(f, ", {} attempt(s) and {} boot(s) left", self.attempts_left, self.boots_left)?;
        }
        if self.phase != Phase::Empty {
            write!(f, ", image {}", self.digest)?;
        }
        if self.reason == 0 { Ok(()) } else { write!(f, ", {} (code {})", self.reason_text, self.reason) }
    }
}
