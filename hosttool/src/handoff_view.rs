//! A hand-off as data and in plain words.

use std::fmt;

use serde::{Serialize, Serializer};
use twinslot_bootloader::{
    decide::Why,
    handoff::{Booted, Handoff, Verdict},
    journal::{Phase, Revert},
    reason::Reason,
};

use crate::hex;

/// A hand-off in people's words.
#[derive(Debug, Serialize)]
pub struct HandoffView {
    loader_version: u16,
    reads: ReadsView,
    #[serde(rename = "slot", serialize_with = "booted_by_name")]
    booted: Booted,
    #[serde(serialize_with = "phase_by_name")]
    phase: Phase,
    attempts_left: u8,
    #[serde(serialize_with = "why_by_name")]
    why: Why,
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
            booted: handoff.booted,
            phase: handoff.phase,
            attempts_left: handoff.attempts_left,
            why: handoff.why,
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

fn booted_by_name<S: Serializer>(booted: &Booted, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match booted {
        Booted::Slot(slot) => slot.name(),
        Booted::Golden => "golden",
        Booted::Nothing => "nothing",
    })
}

/// Writes a phase as its name.
pub(crate) fn phase_by_name<S: Serializer>(phase: &Phase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(phase.name())
}

fn why_by_name<S: Serializer>(why: &Why, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(why.name())
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
        match self.booted {
            Booted::Nothing => writeln!(f, "booted        nothing: {}", self.halt_reason),
            Booted::Golden => writeln!(f, "booted        the golden image, because neither slot boots (rule last_resort_is_ordered)"),
            Booted::Slot(slot) => {
                let (slot, phase, why) = (slot.name(), self.phase.name(), self.why.name());
                let attempts = if self.phase == Phase::Trial { format!(", {} attempt(s) left", self.attempts_left) } else { String::new() };
                writeln!(f, "booted        slot {slot}, {phase}, as {why}{attempts} (rule {})", rule_of(self.why))
            }
        }
    }
}

/// The rule that leads to a boot for this reason.
const fn rule_of(why: Why) -> &'static str {
    match why {
        Why::Confirmed => "confirmed_boot_is_write_free",
        Why::Fallback => "slots_are_independent",
        Why::Trial => "trial_is_bounded",
        Why::LastResort | Why::Golden | Why::Nothing => "last_resort_is_ordered",
    }
}
