//! The rules of the design, each under its name, over one step of a life.

use std::fmt;

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::install::InstallError;
use twinslot_bootloader::journal::{CommitError, Phase, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::slot::Slot;

use crate::act::{Act, Before, Expected, Rival, expected};
use crate::begun::Begun;
use crate::board::Board;
use crate::cast::Role;
use crate::content::Content;
use crate::medium::{Fault, Operation};
use crate::reader;
use crate::subject::{BootEnd, Ended, Performed};
use crate::view::{View, blurred, brief, is_clean};
use twinslot_tests::flash::Breach;
use twinslot_tests::model::{self, Case, End, Truth};

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The rule.
    pub rule: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.seen)
    }
}

/// Whether rules hold, or which ones do not.
pub type Verdict = Result<(), Vec<Broken>>;

/// Every rule that is checked, in the words of the design where it names one.
pub const RULES: [&str; 23] = [
    "never_unverified",
    "always_bootable",
    "intent_before_jump",
    "trial_is_bounded",
    "trial_has_a_deadline",
    "reverts_and_says_why",
    "slots_are_independent",
    "confirmed_boot_is_write_free",
    "floor_is_monotone",
    "revocation_never_orphans_itself",
    "last_confirmed_is_untouchable",
    "lost_state_is_cautious",
    "last_resort_is_ordered",
    "symmetric",
    "bad_neighbour_is_inert",
    "no_livelock",
    "commit_is_atomic",
    "sequence_grows",
    "trial_is_whole",
    "success_is_true",
    "refusals_write_nothing",
    "as_the_model_says",
    "flash_rules",
];

pub(crate) fn ensure(holds: bool, rule: &'static str, seen: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(vec![Broken { rule, seen: seen() }]) }
}

/// All of these verdicts as one: a rule that does not hold hides no other.
pub(crate) fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let broken: Vec<Broken> = verdicts.into_iter().filter_map(Result::err).flatten().collect();
    if broken.is_empty() { Ok(()) } else { Err(broken) }
}

/// Everything about a step before it is done.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The flash.
    pub board: &'static Board,
    /// What it holds.
    pub content: &'a Content,
    /// What can be seen in it.
    pub view: &'a View,
    /// The sequences that storage may still hold.
    pub begun: &'a Begun,
}

impl Moment<'_> {
    /// What the model says of a boot.
    fn boot(&self, cause: ResetCause) -> (End, Vec<State>, Option<State>) {
        let case = Case {
            state: self.view.state(),
            cause,
            truths: self.view.truths,
            golden: None,
            recovery: false,
            failing_commit: None,
            policy: reader::POLICY,
            sequence: self.view.sequence(),
        };
        let (end, world) = model::expected(&case);
        (end, world.tried, world.state)
    }
}

/// The states that may be found when the power is cut during a boot, beside the one before.
#[must_use]
pub fn states_of_boot(moment: &Moment<'_>, cause: ResetCause) -> Vec<State> {
    moment.boot(cause).1
}

/// What holds for every step, whatever its end and whatever the storage did.
pub fn check_step(moment: &Moment<'_>, after: &View, performed: &Performed) -> Verdict {
    all([moment.begun.check(moment.board, &performed.recorded), check_states(moment.view, after)])
}

/// On a flash that does what it says, its rules are kept. Where a record was seen that flickered away, or the newest one could not be read, an erase
/// that was cut meanwhile can not be told.
fn check_flash(moment: &Moment<'_>, performed: &Performed) -> Verdict {
    let is_excused = |breach: &Breach| moment.begun.may_hide_an_erase() && matches!(breach, Breach::WeakErase(_));
    ensure(performed.breaches.iter().all(is_excused), "flash_rules", || format!("{:?}", performed.breaches))
}

/// What no step may do to the boot state and to the slots.
fn check_states(before: &View, after: &View) -> Verdict {
    let only_confirmed = before.only_confirmed().filter(|slot| before.is_good_confirmed(*slot));
    let kept = only_confirmed.map_or(Ok(()), |slot| check_last_confirmed(slot, before, after));
    let [a, b] = Slot::BOTH.map(|slot| check_whole(slot, before, after));
    all([check_floor(before, after), kept, a, b])
}

/// Neither the floor nor a revocation is taken back.
fn check_floor(before: &View, after: &View) -> Verdict {
    let (Some(old), Some(new)) = (before.state(), after.state()) else { return Ok(()) };
    let kept = old.revoked.iter().all(|key| new.revoked.contains(key));
    ensure(new.floor >= old.floor && kept, "floor_is_monotone", || format!("{} became {}", brief(Some(old)), brief(Some(new))))
}

/// The only confirmed slot stays what it is, unless the record that cuts it off confirms the other one.
fn check_last_confirmed(slot: Slot, before: &View, after: &View) -> Verdict {
    let entry = |view: &View| view.state().map(|state| *state.slots.of(slot));
    let succeeded = after.state().is_some_and(|state| state.phase(slot.other()) == Phase::Confirmed);
    let same_bytes = before.images.of(slot) == after.images.of(slot);
    ensure(same_bytes && (succeeded || entry(before) == entry(after)), "last_confirmed_is_untouchable", || {
        format!("slot {slot:?}: {} became {}", brief(before.state()), brief(after.state()))
    })
}

/// A slot becomes a trial only when it holds the image whole.
fn check_whole(slot: Slot, before: &View, after: &View) -> Verdict {
    let entry = |view: &View| view.state().map(|state| *state.slots.of(slot));
    let Some(new) = entry(after).filter(|entry| matches!(entry.phase, Phase::Trial | Phase::Confirmed)) else { return Ok(()) };
    let holds = |view: &View| view.images.of(slot).is_some_and(|role| role.digest() == new.digest);
    // Cells that read right when they were verified, and wrong later, are the loader's to find.
    if !before.is_settled || !after.is_settled {
        return Ok(());
    }
    let was_so = entry(before).is_some_and(|old| old.digest == new.digest) && !holds(before);
    ensure(holds(after) || was_so, "trial_is_whole", || format!("slot {slot:?} is {new:?} and holds {:?}", after.images.of(slot)))
}

/// What must be found when the power was cut during a step that commits `states`.
pub fn check_cut(before: &View, states: &[State], after: &View) -> Verdict {
    let found = after.state().map(|state| blurred(&state));
    let is_one = before.state().map(|state| blurred(&state)) == found || states.iter().any(|state| Some(blurred(state)) == found);
    let atomic = ensure(is_one, "commit_is_atomic", || {
        let states: Vec<String> = states.iter().map(|state| brief(Some(*state))).collect();
        format!("{} before, {states:?} to come, {} found", brief(before.state()), brief(after.state()))
    });
    all([atomic, check_states(before, after)])
}

/// What holds for a boot on storage that works.
pub fn check_boot(moment: &Moment<'_>, cause: ResetCause, performed: &Performed, after: &View) -> Verdict {
    let Ended::Booted(boot) = &performed.ended else { return Ok(()) };
    all([
        check_flash(moment, performed),
        check_safe_boot(moment, boot, after),
        check_bootable(moment.view, boot),
        check_trial(moment, cause, boot, after),
        check_writes(moment, boot, performed),
        check_erases(moment.board, performed),
        check_clean(moment, boot, performed, after),
        check_model(moment, cause, boot, after),
    ])
}

/// What holds for a boot even on storage that fails.
pub fn check_safe_boot(moment: &Moment<'_>, boot: &BootEnd, after: &View) -> Verdict {
    let [a, b] = Slot::BOTH.map(|slot| check_independent(slot, moment.view, after));
    all([
        check_verified(boot, after),
        check_not_orphaned(boot, after),
        check_deadline(boot),
        check_intent(boot, after),
        check_reverts(moment.view, boot, after),
        check_lost(moment.view, after),
        a,
        b,
    ])
}

fn check_verified(boot: &BootEnd, after: &View) -> Verdict {
    let End::Boot(slot, _) = boot.end else { return Ok(()) };
    let (floor, revoked) = after.state().map_or((0, Vec::new()), |state| (state.floor, state.revoked.to_vec()));
    let is_good = after
        .images
        .of(slot)
        .is_some_and(|role| boot.runs == Some(role) && boot.handoff.digest == role.image().digest && role.is_authentic(floor, &revoked));
    ensure(is_good, "never_unverified", || format!("slot {slot:?} holds {:?}, {:?} runs", after.images.of(slot), boot.runs))
}

/// What runs does not itself revoke the keys that vouch for it: once confirmed it would be refused.
fn check_not_orphaned(boot: &BootEnd, after: &View) -> Verdict {
    let End::Boot(slot, _) = boot.end else { return Ok(()) };
    let orphans = after.images.of(slot).is_some_and(Role::orphans_itself);
    ensure(!orphans, "revocation_never_orphans_itself", || format!("slot {slot:?} holds {:?} and runs", after.images.of(slot)))
}

fn check_deadline(boot: &BootEnd) -> Verdict {
    let End::Boot(slot, Why::Trial) = boot.end else { return Ok(()) };
    ensure(boot.has_deadline, "trial_has_a_deadline", || format!("a trial in slot {slot:?}"))
}

fn check_intent(boot: &BootEnd, after: &View) -> Verdict {
    let End::Boot(slot, Why::Trial) = boot.end else { return Ok(()) };
    let flies = after.state().is_some_and(|state| state.in_flight == Some(slot));
    ensure(flies, "intent_before_jump", || format!("a trial in slot {slot:?} with {}", brief(after.state())))
}

fn check_lost(before: &View, after: &View) -> Verdict {
    let confirmed = after.state().is_some_and(|state| Slot::BOTH.into_iter().any(|slot| state.phase(slot) == Phase::Confirmed));
    ensure(before.newest.is_some() || !confirmed, "lost_state_is_cautious", || format!("{:?}", after.state()))
}

/// A trial that ends says why, and nothing but a trial is given up.
fn check_reverts(before: &View, boot: &BootEnd, after: &View) -> Verdict {
    let (Some(old), Some(new)) = (before.state(), after.state()) else { return Ok(()) };
    for slot in Slot::BOTH.into_iter().filter(|slot| old.phase(*slot) != new.phase(*slot)) {
        let says = new.last_revert.is_some_and(|revert| {
            revert.slot == slot && revert.reason == new.slots.of(slot).reason && revert.reason != Reason::None && revert.sequence > before.sequence()
        });
        let told = boot.handoff.last_revert == new.last_revert;
        let is_revert = old.phase(slot) == Phase::Trial && new.phase(slot) == Phase::Rejected;
        let both = Slot::BOTH.into_iter().all(|slot| old.phase(slot) == Phase::Trial && new.phase(slot) == Phase::Rejected);
        ensure(is_revert && told && (says || both), "reverts_and_says_why", || format!("{} became {}", brief(Some(old)), brief(Some(new))))?;
    }
    Ok(())
}

/// A boot leaves a confirmed slot as it is, and one that can not be read unless its counters ran out.
fn check_independent(slot: Slot, before: &View, after: &View) -> Verdict {
    let (Some(old), Some(new)) = (before.state(), after.state()) else { return Ok(()) };
    let (old_entry, new_entry) = (old.slots.of(slot), new.slots.of(slot));
    let is_kept = old_entry.phase != Phase::Confirmed || old_entry == new_entry;
    let is_given_up = old_entry.phase != Phase::Rejected && new_entry.phase == Phase::Rejected;
    let is_blamed = *before.truths.of(slot) == Truth::Unreadable && is_given_up && !is_of_counters(new_entry.reason);
    ensure(is_kept && !is_blamed, "slots_are_independent", || format!("{} became {}", brief(Some(old)), brief(Some(new))))
}

/// Whether a trial that ended with this reason had used its counters up.
const fn is_of_counters(reason: Reason) -> bool {
    matches!(reason, Reason::Watchdog | Reason::SoftwareReset | Reason::Fault | Reason::UnknownReset | Reason::BootsUsedUp)
}

/// With one good confirmed slot something good boots.
pub fn check_bootable(before: &View, boot: &BootEnd) -> Verdict {
    if !Slot::BOTH.into_iter().any(|slot| before.is_good_confirmed(slot)) {
        return Ok(());
    }
    let is_good = match boot.end {
        End::Boot(slot, Why::Confirmed | Why::Fallback) => before.is_good_confirmed(slot),
        End::Boot(slot, Why::Trial) => matches!(before.truths.of(slot), Truth::Right(_)),
        _ => false,
    };
    ensure(is_good, "always_bootable", || format!("{} ends in {:?}", brief(before.state()), boot.end))
}

/// A trial boot pays for itself, and for a reset that was its own.
fn check_trial(moment: &Moment<'_>, cause: ResetCause, boot: &BootEnd, after: &View) -> Verdict {
    let (End::Boot(slot, Why::Trial), Some(old), Some(new)) = (boot.end, moment.view.state(), after.state()) else { return Ok(()) };
    let (old_entry, new_entry) = (old.slots.of(slot), new.slots.of(slot));
    let paid = u8::from(old.in_flight == Some(slot) && cause != ResetCause::PowerOn);
    let holds = new_entry.boots_left + 1 == old_entry.boots_left
        && new_entry.attempts_left + paid == old_entry.attempts_left
        && new_entry.attempts_left > 0
        && boot.handoff.attempts_left == new_entry.attempts_left;
    ensure(holds, "trial_is_bounded", || format!("{old_entry:?} became {new_entry:?} after {cause:?}"))
}

fn check_writes(moment: &Moment<'_>, boot: &BootEnd, performed: &Performed) -> Verdict {
    let settled = moment.view.state().is_some_and(|state| state.in_flight.is_none() && state.phase(state.preferred) == Phase::Confirmed);
    if !settled || !matches!(boot.end, End::Boot(_, Why::Confirmed)) || performed.recorded.is_empty() {
        return Ok(());
    }
    let clean = is_clean(moment.board, moment.content, moment.view);
    ensure(!clean, "confirmed_boot_is_write_free", || format!("{} operations", performed.recorded.len()))
}

/// No boot erases more than each log once.
fn check_erases(board: &Board, performed: &Performed) -> Verdict {
    let erases = performed.recorded.iter().filter(|recorded| matches!(*recorded.operation, Operation::Erase { .. })).count();
    ensure(erases <= 2 * board.logs[0] / board.erase_size.min(board.logs[0]), "no_livelock", || format!("{erases} erases"))
}

/// After a boot that could write, both logs end in the newest record.
fn check_clean(moment: &Moment<'_>, boot: &BootEnd, performed: &Performed, after: &View) -> Verdict {
    let may_be_lost = after.newest.is_none() && !matches!(boot.end, End::Boot(..));
    let clean = may_be_lost || is_clean(moment.board, &performed.content, after);
    ensure(clean, "intent_before_jump", || "the logs differ after the boot".to_owned())
}

fn check_model(moment: &Moment<'_>, cause: ResetCause, boot: &BootEnd, after: &View) -> Verdict {
    let (end, _, state) = moment.boot(cause);
    let is_last = |end: &End| matches!(end, End::Boot(_, Why::LastResort) | End::Halt(_));
    let same_end = match (&end, &boot.end) {
        (End::Halt(Reason::Refused(_)), End::Halt(Reason::Refused(_))) => true,
        (model, real) => model == real,
    };
    let rule = match moment.view.newest {
        None => "lost_state_is_cautious",
        Some(_) if is_last(&end) || is_last(&boot.end) => "last_resort_is_ordered",
        Some(_) => "as_the_model_says",
    };
    let blurred = |state: Option<State>| state.map(|state| blurred(&state));
    let same_state = blurred(state) == blurred(after.state());
    ensure(same_end && same_state, rule, || {
        let (before, found) = (brief(moment.view.state()), brief(after.state()));
        format!("{before} after {cause:?} ends in {:?} with {found} instead of {end:?} with {}", boot.end, brief(state))
    })
}

/// What the design says must come of an act at this moment.
#[must_use]
pub fn expected_of(moment: &Moment<'_>, act: Act, handoff: &twinslot_bootloader::handoff::Handoff) -> Expected {
    expected(act, &Before { state: moment.view.state(), truths: moment.view.truths, handoff })
}

/// What holds for a writer's work on storage that works.
pub fn check_write(moment: &Moment<'_>, act: Act, expected: &Expected, performed: &Performed, after: &View) -> Verdict {
    let Ended::Wrote(result) = &performed.ended else { return Ok(()) };
    let refused = matches!(result, Err(InstallError::Refused(_)));
    let seen = || {
        let states: Vec<String> = expected.states().iter().map(|state| brief(Some(*state))).collect();
        format!("{act:?} on {} ended in {result:?}, expected {states:?}, found {}", brief(moment.view.state()), brief(after.state()))
    };
    let last = expected.states().last().map(blurred);
    let found = after.state().map(|state| blurred(&state));
    let (as_expected, silent) = match expected {
        Expected::Refused => (refused, performed.recorded.is_empty()),
        Expected::States(_) => (result.is_ok() && last == found, true),
        Expected::Late(_) => (is_late(result) && last == found, true),
    };
    all([
        check_flash(moment, performed),
        ensure(as_expected, "as_the_model_says", seen),
        ensure(silent, "refusals_write_nothing", seen),
        check_raise(moment, act, after),
        check_keeps(moment.view, act, after),
    ])
}

/// Whether a writer was told that another one has committed since: in general, or by the refusal that this commit has brought about.
fn is_late(result: &Result<(), InstallError>) -> bool {
    matches!(result, Err(InstallError::Commit(CommitError::Stale)))
}

/// Floor and revocations rise only on confirm.
fn check_raise(moment: &Moment<'_>, act: Act, after: &View) -> Verdict {
    let (Some(old), Some(new)) = (moment.view.state(), after.state()) else { return Ok(()) };
    let same = old.floor == new.floor && *old.revoked == *new.revoked;
    let confirms = matches!(act, Act::Confirm | Act::ConfirmAs(_) | Act::Race { first: Rival::Confirm, .. });
    ensure(same || confirms, "floor_is_monotone", || format!("{act:?}: {} became {}", brief(Some(old)), brief(Some(new))))
}

/// What a writer arms or confirms is not cut off by the floor and the revocations that it brings along.
fn check_keeps(before: &View, act: Act, after: &View) -> Verdict {
    let Some(new) = after.state() else { return Ok(()) };
    let entry = |view: &View, slot| view.state().map(|state| *state.slots.of(slot));
    let may_boot = |slot| matches!(new.phase(slot), Phase::Trial | Phase::Confirmed);
    let was_preferred = |slot| before.state().is_some_and(|old| old.preferred == slot);
    let is_new = |slot| (new.preferred == slot && !was_preferred(slot)) || entry(before, slot) != entry(after, slot);
    let is_chosen = |slot: &Slot| may_boot(*slot) && is_new(*slot);
    let is_accepted = |slot| after.images.of(slot).is_none_or(|role: Role| role.is_authentic(new.floor, &new.revoked));
    let keeps = Slot::BOTH.into_iter().filter(is_chosen).all(is_accepted);
    ensure(keeps, "revocation_never_orphans_itself", || format!("{act:?}: {}", brief(Some(new))))
}

/// What holds for a step during which the storage failed once.
pub fn check_fault(moment: &Moment<'_>, fault: &Fault, states: &[State], performed: &Performed, after: &View) -> Verdict {
    let ended = match &performed.ended {
        Ended::Booted(boot) => {
            let reads_are_true = !matches!(fault, Fault::OtherBytes(_));
            let bootable = if reads_are_true { check_bootable(moment.view, boot) } else { Ok(()) };
            all([check_safe_boot(moment, boot, after), bootable])
        }
        Ended::Wrote(Ok(())) => {
            let asked = states.last().copied().or_else(|| moment.view.state());
            ensure(is_done(asked, after.state()), "success_is_true", || format!("{fault:?}: {}", brief(after.state())))
        }
        Ended::Wrote(Err(_)) => check_cut(moment.view, states, after),
    };
    all([check_step(moment, after, performed), ended])
}

/// Whether what was asked for is there. A neighbour whose header could not be read is not cut off: the loader will refuse it.
fn is_done(asked: Option<State>, found: Option<State>) -> bool {
    let (Some(asked), Some(found)) = (asked, found) else { return false };
    let slot = asked.preferred;
    let same_slot = found.preferred == slot && blurred(&found).slots.of(slot) == blurred(&asked).slots.of(slot);
    same_slot && found.floor == asked.floor && *found.revoked == *asked.revoked
}
