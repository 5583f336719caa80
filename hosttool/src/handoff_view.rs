//! A hand-off as data and in plain words.

use std::fmt;

use serde::Serialize;
use twinslot_bootloader::{
    handoff::{Booted, Handoff, Verdict},
    journal::Revert,
    reason::Reason,
};

use crate::hex;

/// A hand-off in people's words.
#[derive(Debug, Serialize)]
pub struct HandoffView {
    loader_version: u16,
    reads: ReadsView,
    slot: &'static str,
    phase: &'static str,
    attempts_left: u8,
    why: &'static str,
    verdict_a: VerdictView,
    verdict_b: VerdictView,
    last_revert: Option<RevertView>,
    reset_cause: &'static str,
    halt_reason: ReasonView,
    digest: String,
    layout: String,
    marks: [u32; 4],
}

#[derive(Debug, Serialize)]
struct ReadsView {
    header_version: u16,
    journal_layout: u16,
    key_ids: Vec<String>,
}

#[derive(Debug, Serialize)]
struct VerdictView {
    verdict: &'static str,
    reason: ReasonView,
}

/// A reason, by code and in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReasonView {
    code: u8,
    text: &'static str,
}

/// A slot that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevertView {
    slot: &'static str,
    reason: ReasonView,
    sequence: u64,
}

impl HandoffView {
    /// Describes a hand-off.
    #[must_use]
    pub fn of(handoff: &Handoff) -> Self {
        Self {
            loader_version: handoff.loader_version,
            reads: ReadsView {
                header_version: handoff.reads.header,
                journal_layout: handoff.reads.journal,
                key_ids: handoff.reads.keys.iter().map(|id| hex::encode(id)).collect(),
            },
            slot: booted_name(handoff.booted),
            phase: handoff.phase.name(),
            attempts_left: handoff.attempts_left,
            why: handoff.why.name(),
            verdict_a: VerdictView::of(handoff.verdicts.a),
            verdict_b: VerdictView::of(handoff.verdicts.b),
            last_revert: handoff.last_revert.map(RevertView::of),
            reset_cause: handoff.reset_cause.name(),
            halt_reason: ReasonView::of(handoff.halt_reason),
            digest: hex::encode(&handoff.digest),
            layout: hex::encode(&handoff.layout),
            marks: handoff.marks,
        }
    }
}

const fn booted_name(booted: Booted) -> &'static str {
    match booted {
        Booted::Slot(slot) => slot.name(),
        Booted::Golden => "golden",
        Booted::Nothing => "nothing",
    }
}

impl VerdictView {
    const fn of(verdict: Verdict) -> Self {
        let (verdict, reason) = match verdict {
            Verdict::NotExamined => ("not examined", Reason::None),
            Verdict::Verified => ("verified", Reason::None),
            Verdict::Refused(reason) => ("refused", reason),
            Verdict::ReadError => ("could not be read", Reason::ReadError),
        };
        Self { verdict, reason: ReasonView::of(reason) }
    }
}

impl ReasonView {
    /// Describes a reason.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        Self { code: reason.code(), text: reason.text() }
    }
}

impl RevertView {
    /// Describes a revert.
    #[must_use]
    pub const fn of(revert: Revert) -> Self {
        Self { slot: revert.slot.name(), reason: ReasonView::of(revert.reason), sequence: revert.sequence }
    }
}

impl fmt::Display for ReasonView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.text, self.code)
    }
}

impl fmt::Display for RevertView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {}, {}, in record {}", self.slot, self.reason, self.sequence)
    }
}

impl fmt::Display for VerdictView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.code {
            0 => f.write_str(self.verdict),
            _ => write!(f, "{}: {}", self.verdict, self.reason),
        }
    }
}

impl fmt::Display for HandoffView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "hand-off of loader version {}", self.loader_version)?;
        self.booted(f)?;
        writeln!(f, "reset cause   {}", self.reset_cause)?;
        writeln!(f, "slot a        {}", self.verdict_a)?;
        writeln!(f, "slot b        {}", self.verdict_b)?;
        match &self.last_revert {
            Some(revert) => writeln!(f, "last revert   {revert}")?,
            None => writeln!(f, "last revert   none")?,
        }
        writeln!(f, "image digest  {}", self.digest)?;
        writeln!(f, "layout        {}", self.layout)?;
        let ReadsView { header_version, journal_layout, key_ids } = &self.reads;
        writeln!(f, "this loader reads header version {header_version}, journal layout {journal_layout}, and trusts {}", key_ids.join(" "))?;
        let [start, header, image, jump] = self.marks;
        writeln!(f, "marks         start {start}, header verified {header}, image verified {image}, jump {jump} (in the board's ticks)")
    }
}

impl HandoffView {
    fn booted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.slot {
            "nothing" => writeln!(f, "booted        nothing: {}", self.halt_reason),
            "golden" => writeln!(f, "booted        the golden image, because neither slot boots (rule last_resort_is_ordered)"),
            slot => {
                let attempts = if self.phase == "trial" { format!(", {} attempt(s) left", self.attempts_left) } else { String::new() };
                writeln!(f, "booted        slot {slot}, {}, as {}{attempts} (rule {})", self.phase, self.why, rule_of(self.why))
            }
        }
    }
}

/// The rule that leads to a boot for this reason.
fn rule_of(why: &str) -> &'static str {
    match why {
        "confirmed" => "confirmed_boot_is_write_free",
        "fallback" => "slots_are_independent",
        "trial" => "trial_is_bounded",
        _ => "last_resort_is_ordered",
    }
}
