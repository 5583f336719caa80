//! The abstract input space of the decision, and an executor that only pretends.

use twinslot_bootloader::decide::{BootState, Fallback, Knowledge, Situation, Step, Verified, decide};
use twinslot_bootloader::image::manifest::Version;
use twinslot_bootloader::journal::{Phase, Policy, Revert, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_tests::model::{Case, End, Truth};

pub(crate) const POLICY: Policy = Policy::DEFAULT;
pub(crate) const SEQUENCE: u64 = 40;

/// Most commits of one boot: each of them fails in some case.
pub(crate) const MOST_COMMITS: u8 = 3;

/// What an examination finds.
const fn knowledge(truth: Truth) -> Knowledge {
    match truth {
        Truth::Right(image) | Truth::Other(image) => Knowledge::Verified(image),
        Truth::Refused => Knowledge::Refused(Rejection::DigestMismatch),
        Truth::Unreadable => Knowledge::ReadError,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) end: End,
    /// The journal's state at the end.
    pub(crate) state: Option<State>,
    /// Every state committed, the failing one included.
    pub(crate) commits: Vec<State>,
    pub(crate) examined: Vec<Slot>,
    /// Whether a commit failed.
    pub(crate) failed: bool,
}

impl Run {
    fn boot_state(&self) -> BootState<'_> {
        match &self.state {
            state if self.failed => BootState::ReadOnly(state.as_ref()),
            Some(state) => BootState::Known { state, next_sequence: SEQUENCE + self.commits.len() as u64 },
            None => BootState::Lost,
        }
    }
}

/// Runs the decision to its end.
pub(crate) fn run(case: &Case) -> Run {
    let mut run = Run { end: End::Recover, state: case.state, commits: Vec::new(), examined: Vec::new(), failed: false };
    let mut situation = situation(case);
    for _ in 0..16 {
        run.end = match decide(run.boot_state(), &situation, &POLICY) {
            Step::Commit(state) => {
                commit(case, &mut run, state);
                continue;
            }
            Step::Examine(slot) => {
                assert_eq!(*situation.slots.of(slot), Knowledge::NotRead, "examined twice: {case:?}");
                *situation.slots.of_mut(slot) = knowledge(*case.truths.of(slot));
                run.examined.push(slot);
                continue;
            }
            Step::Golden if case.golden == Some(true) => End::Golden,
            Step::Golden => {
                assert_eq!(situation.golden, Fallback::Untried, "golden tried twice: {case:?}");
                situation.golden = Fallback::Failed;
                continue;
            }
            Step::Boot(slot, why) => {
                assert!(matches!(situation.slots.of(slot), Knowledge::Verified(_)), "never_unverified: {case:?}");
                End::Boot(slot, why)
            }
            Step::Recover(_) => End::Recover,
            Step::Halt(reason) => End::Halt(reason),
        };
        return run;
    }
    panic!("no end after 16 steps: {case:?}");
}

fn commit(case: &Case, run: &mut Run, state: State) {
    assert!(!run.failed, "a write after a failed commit: {case:?}");
    assert!(state.is_possible(&POLICY), "an impossible state is committed: {case:?} {state:?}");
    run.commits.push(state);
    if case.failing_commit.map(usize::from) == Some(run.commits.len()) {
        run.failed = true;
        return;
    }
    run.state = Some(state);
}

fn situation(case: &Case) -> Situation {
    Situation {
        reset_cause: case.cause,
        slots: BySlot { a: Knowledge::NotRead, b: Knowledge::NotRead },
        golden: if case.golden.is_some() { Fallback::Untried } else { Fallback::Absent },
        recovery: if case.recovery { Fallback::Untried } else { Fallback::Absent },
    }
}

const CAUSES: [ResetCause; 5] = [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Software, ResetCause::Fault, ResetCause::Unknown];

/// Calls `check` with every case. The space is complete for phases, counters at their edges, what weighs in the last resort (a hang, the last slot
/// given up), flight, preference, truths, golden, recovery, reset causes, each commit that can fail and the three ways in which two images compare.
pub(crate) fn every_case(check: impl FnMut(&Case)) -> u64 {
    let fallbacks = [None, Some(false), Some(true)].map(|golden| [false, true].map(|recovery| (golden, recovery)));
    every_case_with(fallbacks.as_flattened(), check)
}

/// The same on a board without golden image and recovery, for rules about what comes before those.
pub(crate) fn every_case_without_fallbacks(check: impl FnMut(&Case)) -> u64 {
    every_case_with(&[(None, false)], check)
}

fn every_case_with(fallbacks: &[(Option<bool>, bool)], mut check: impl FnMut(&Case)) -> u64 {
    let mut count = 0;
    let states: Vec<Option<State>> = core::iter::once(None).chain(states().into_iter().map(Some)).collect();
    for state in states {
        for truths in truths() {
            let both_authentic = truths.a.authentic().is_some() && truths.b.authentic().is_some();
            if state.is_some_and(|state| state.last_revert.is_some()) && !both_authentic {
                // The last revert weighs between two authentic images, and nowhere else.
                continue;
            }
            for cause in CAUSES {
                if cause != ResetCause::PowerOn && state.is_none_or(|state| state.in_flight.is_none()) && cause != ResetCause::Watchdog {
                    // Without a trial in flight the cause is told on, not judged: two of them are enough.
                    continue;
                }
                for (golden, recovery) in fallbacks.iter().copied() {
                    for failing_commit in [None, Some(1), Some(2), Some(MOST_COMMITS)] {
                        check(&Case { state, cause, truths, golden, recovery, failing_commit, policy: POLICY, sequence: SEQUENCE });
                        count += 1;
                    }
                }
            }
        }
    }
    count
}

const SOME_SLOT: [Option<Slot>; 3] = [None, Some(Slot::A), Some(Slot::B)];

/// Every possible state of the two slots; an exhausted trial carries the reason that exhausted it.
pub(crate) fn states() -> Vec<State> {
    let mut states = Vec::new();
    for a in slot_states(1) {
        for b in slot_states(2) {
            for preferred in Slot::BOTH {
                for (in_flight, reverted) in SOME_SLOT.into_iter().flat_map(|slot| SOME_SLOT.map(|reverted| (slot, reverted))) {
                    let last_revert = reverted.map(|slot| Revert { slot, reason: Reason::Watchdog, sequence: 1 });
                    let state = State { preferred, slots: BySlot { a, b }, in_flight, last_revert, ..State::new(3) };
                    if state.is_possible(&POLICY) {
                        states.push(state);
                    }
                }
            }
        }
    }
    states
}

fn slot_states(digest: u8) -> Vec<SlotState> {
    let digest = [digest; 16];
    let confirmed = SlotState::confirmed(digest);
    let mut all = vec![SlotState::empty(Reason::None), confirmed, confirmed.rejected(Reason::Operator), confirmed.rejected(Reason::Watchdog)];
    for attempts_left in [0, 1, POLICY.attempts] {
        for boots_left in [0, 1, POLICY.boots] {
            all.push(SlotState { attempts_left, boots_left, reason: Reason::Fault, ..SlotState::trial(digest, &POLICY) });
        }
    }
    all
}

/// Every pair of truths; where both images are authentic, the better one is A, B, or neither.
fn truths() -> Vec<BySlot<Truth>> {
    let versions = [((5, 1), (5, 1)), ((5, 1), (6, 1)), ((6, 1), (5, 1)), ((5, 1), (5, 2)), ((5, 2), (5, 1))];
    let mut all = Vec::new();
    for (of_a, of_b) in versions {
        for a in slot_truths(1, of_a) {
            for b in slot_truths(2, of_b) {
                let pair = BySlot { a, b };
                if !all.contains(&pair) {
                    all.push(pair);
                }
            }
        }
    }
    all
}

fn slot_truths(digest: u8, (security_counter, minor): (u32, u16)) -> [Truth; 4] {
    let version = Version { minor, ..Version::default() };
    let image = |digest| Verified { digest, security_counter, version };
    [Truth::Right(image([digest; 16])), Truth::Other(image([0xee; 16])), Truth::Refused, Truth::Unreadable]
}

/// Whether the slot may boot by itself, that is not as a last resort.
pub(crate) fn is_good_confirmed(case: &Case, slot: Slot) -> bool {
    let confirmed = case.state.is_some_and(|state| state.phase(slot) == Phase::Confirmed);
    confirmed && matches!(case.truths.of(slot), Truth::Right(_))
}
