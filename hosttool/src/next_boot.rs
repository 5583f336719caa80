//! What the next boot will do: the loader's own decision, asked step by step, with the rule behind each step.
//!
//! Nothing is written: a commit that the loader would make is taken as done.

use std::fmt;

use serde::Serialize;
use twinslot_bootloader::{
    decide::{BootState, Fallback, Knowledge, Situation, Step, Why, decide},
    journal::{Journal, Phase, Policy, State},
    reason::ResetCause,
    slot::{BySlot, Slot},
};

/// More steps than any boot takes.
const MAX_STEPS: usize = 32;

/// The steps of a boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextBoot {
    /// Why the machine is taken to start.
    reset_cause: &'static str,
    /// What the slots' images are taken to be.
    images: &'static str,
    steps: Vec<ExplainedStep>,
}

/// One step and the rule that leads to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedStep {
    step: String,
    rule: &'static str,
}

/// What is known before the boot.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The journal as it was found.
    pub journal: &'a Journal,
    /// The board's policy.
    pub policy: &'a Policy,
    /// Why the machine starts.
    pub reset_cause: ResetCause,
    /// Whether the board has a golden image.
    pub golden: Fallback,
    /// What the slots' images are taken to be, in words.
    pub images: &'static str,
}

/// Follows the decision to its end. `examine` tells what the loader would find in a slot.
pub fn next_boot(start: Start<'_>, mut examine: impl FnMut(Slot, Option<&State>) -> Knowledge) -> NextBoot {
    let mut situation = situation(&start);
    let mut state = start.journal.state().copied();
    let mut next_sequence = start.journal.next_sequence();
    let mut steps = Vec::new();
    if state.is_some() && !start.journal.is_clean() {
        steps.push(explained("commit the newest record to both logs again".to_owned(), "always_bootable"));
    }
    for _ in 0..MAX_STEPS {
        let boot_state = state.as_ref().map_or(BootState::Lost, |state| BootState::Known { state, next_sequence });
        let step = decide(boot_state, &situation, start.policy);
        steps.push(explain(&step, state.as_ref(), situation.reset_cause));
        match step {
            Step::Commit(next) => {
                state = Some(next);
                next_sequence += 1;
            }
            Step::Examine(slot) => *situation.slots.of_mut(slot) = examine(slot, state.as_ref()),
            Step::Boot(..) | Step::Golden | Step::Recover(_) | Step::Halt(_) => break,
        }
    }
    NextBoot { reset_cause: start.reset_cause.name(), images: start.images, steps }
}

const fn situation(start: &Start<'_>) -> Situation {
    Situation {
        reset_cause: start.reset_cause,
        slots: BySlot { a: Knowledge::NotRead, b: Knowledge::NotRead },
        golden: start.golden,
        recovery: Fallback::Absent,
    }
}

fn explain(step: &Step, state: Option<&State>, cause: ResetCause) -> ExplainedStep {
    match step {
        Step::Commit(next) => explain_commit(state, next, cause),
        Step::Examine(slot) => explained(format!("verify the image in slot {}", slot.name()), "never_unverified"),
        Step::Boot(slot, why) => explain_boot(*slot, *why),
        Step::Golden => explained("boot the golden image, if it verifies".to_owned(), "last_resort_is_ordered"),
        Step::Recover(_) => explained("enter recovery".to_owned(), "last_resort_is_ordered"),
        Step::Halt(reason) => explained(format!("halt: {reason} (code {})", reason.code()), "last_resort_is_ordered"),
    }
}

/// Tells a commit by what it changes.
fn explain_commit(before: Option<&State>, next: &State, cause: ResetCause) -> ExplainedStep {
    let Some(before) = before else {
        return explained("commit a new state in which every authentic image is on trial".to_owned(), "lost_state_is_cautious");
    };
    if let Some(revert) = next.last_revert.filter(|_| next.last_revert != before.last_revert) {
        let text = format!("commit that slot {} is rejected: {} (code {})", revert.slot.name(), revert.reason, revert.reason.code());
        return explained(text, "reverts_and_says_why");
    }
    match (before.in_flight, next.in_flight) {
        (Some(slot), None) if cause == ResetCause::PowerOn => {
            explained(format!("commit that the trial of slot {} was cut by a power loss: it keeps its attempts", slot.name()), "trial_is_bounded")
        }
        (Some(slot), None) => {
            let left = next.slots.of(slot).attempts_left;
            explained(format!("commit that the trial of slot {} failed ({}): {left} attempt(s) left", slot.name(), cause.name()), "trial_is_bounded")
        }
        (_, Some(slot)) => {
            let left = next.slots.of(slot).boots_left;
            explained(format!("commit that the trial of slot {} is about to start: {left} boot(s) left", slot.name()), "intent_before_jump")
        }
        (None, None) => explained("commit a state".to_owned(), "always_bootable"),
    }
}

fn explain_boot(slot: Slot, why: Why) -> ExplainedStep {
    let slot = slot.name();
    match why {
        Why::Confirmed => explained(format!("boot slot {slot}: it is preferred and confirmed"), "confirmed_boot_is_write_free"),
        Why::Fallback => explained(format!("boot slot {slot}: it is confirmed, and the preferred one can not boot"), "slots_are_independent"),
        Why::Trial => explained(format!("arm the watchdog and boot slot {slot}: it is on trial"), "trial_has_a_deadline"),
        Why::LastResort | Why::Golden | Why::Nothing => {
            explained(format!("boot slot {slot}: nothing else is left, and it is authentic"), "last_resort_is_ordered")
        }
    }
}

const fn explained(step: String, rule: &'static str) -> ExplainedStep {
    ExplainedStep { step, rule }
}

/// What a slot's image is taken for when only the journal is known: the one that the journal speaks of, and good.
#[must_use]
pub fn assume_good(slot: Slot, state: Option<&State>) -> Knowledge {
    use twinslot_bootloader::{decide::Verified, image::manifest::Version, rejection::Rejection};
    match state.map(|state| (state.phase(slot), state.slots.of(slot).digest, state.floor)) {
        Some((phase, digest, floor)) if phase != Phase::Empty && digest != [0; 16] => {
            Knowledge::Verified(Verified { digest, security_counter: floor, version: Version::default() })
        }
        _ => Knowledge::Refused(Rejection::WrongMagic),
    }
}

impl fmt::Display for NextBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "next boot, after reset cause {}, {}:", self.reset_cause, self.images)?;
        for (number, ExplainedStep { step, rule }) in (1..).zip(&self.steps) {
            writeln!(f, "  {number}. {step} (rule {rule})")?;
        }
        Ok(())
    }
}
