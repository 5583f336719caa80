//! Judges a step by what the board printed and by what its flash holds afterwards. Every complaint says what was expected and what was seen.

use serde::Deserialize;

use super::{After, Expect, Holds, Resets, Slot, Writes};
use crate::qemu::{Ended, Reset, Transcript};

/// What a step left behind.
pub(super) struct Evidence<'a> {
    pub(super) transcript: &'a Transcript,
    /// `hosttool journal show --json`.
    pub(super) journal: &'a str,
    pub(super) slots: [SlotEvidence<'a>; 2],
    /// Whether the flash file as a whole is what it was.
    pub(super) flash_is_unchanged: bool,
}

/// One slot's bytes.
pub(super) struct SlotEvidence<'a> {
    pub(super) slot: Slot,
    pub(super) before: &'a [u8],
    pub(super) after: &'a [u8],
    /// The image of the bundle that lay in staging.
    pub(super) staged: Option<&'a [u8]>,
}

/// Everything that is not as expected.
pub(super) fn complaints(expect: &Expect, evidence: &Evidence) -> Vec<String> {
    let mut complaints = ending(evidence.transcript);
    complaints.extend(console(expect, &evidence.transcript.lines));
    complaints.extend(resets(expect, evidence.transcript));
    complaints.extend(journal(expect, evidence.journal));
    if expect.writes == Writes::None && !evidence.flash_is_unchanged {
        complaints.push("the flash was written, and nothing may be".to_owned());
    }
    for slot in &evidence.slots {
        complaints.extend(bytes(expect.after(slot.slot).holds, slot));
    }
    complaints
}

fn ending(transcript: &Transcript) -> Vec<String> {
    match transcript.ended {
        Ended::AtRest => Vec::new(),
        other => vec![format!("the board did not come to rest: {other:?}")],
    }
}

fn console(expect: &Expect, lines: &[String]) -> Vec<String> {
    let mut rest = lines.iter();
    let missing = expect.console.iter().find(|pattern| !rest.any(|line| matches(pattern, line)));
    let forbidden = expect.never.iter().filter_map(|pattern| lines.iter().find(|line| matches(pattern, line)));
    let mut complaints: Vec<String> = forbidden.map(|line| format!("this line must not be printed: {line:?}")).collect();
    complaints.extend(missing.map(|pattern| format!("this line is missing (or not in its place): {pattern:?}")));
    complaints
}

/// Every reset is counted; of those by the watchdog QEMU reports one a second at most, so that one report at least must be there, and none too many.
fn resets(expect: &Expect, transcript: &Transcript) -> Option<String> {
    let Resets::Exactly(expected) = expect.resets else { return None };
    let by_watchdog = expected.iter().filter(|reset| **reset == Reset::Watchdog).count();
    let reported = usize::from(by_watchdog > 0)..=by_watchdog;
    let as_expected = transcript.resets.len() == expected.len() && reported.contains(&transcript.watchdogs);
    let seen = || format!("resets are {:?} with {} reports of the watchdog, not {expected:?}", transcript.resets, transcript.watchdogs);
    (!as_expected).then(seen)
}

/// `*` stands for any text.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == line };
    let Some(rest) = line.strip_prefix(before) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(after, &rest[at..]))
}

fn bytes(holds: Holds, slot: &SlotEvidence) -> Option<String> {
    let name = slot.slot.name();
    match holds {
        Holds::Unchanged => first_difference(slot.before, slot.after).map(|at| format!("slot {name} was written, first at offset {at:#x}")),
        Holds::Staged => {
            let Some(staged) = slot.staged else { return Some(format!("slot {name} shall hold what is staged, and nothing is")) };
            let held = slot.after.get(..staged.len()).unwrap_or(slot.after);
            first_difference(staged, held).map(|at| format!("slot {name} does not hold the staged image: it differs first at offset {at:#x}"))
        }
    }
}

fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let differs = one.iter().zip(other).position(|(one, other)| one != other);
    differs.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))
}

/// The part of `journal show --json` that scenarios speak of.
#[derive(Debug, Deserialize)]
struct Journal {
    clean: bool,
    slots: Slots,
}

#[derive(Debug, Deserialize)]
struct Slots {
    a: SlotState,
    b: SlotState,
}

#[derive(Debug, Deserialize)]
struct SlotState {
    phase: String,
    reason: u8,
}

fn journal(expect: &Expect, text: &str) -> Vec<String> {
    let journal: Journal = match serde_json::from_str(text) {
        Ok(journal) => journal,
        Err(error) => return vec![format!("the journal can not be read ({error}): {text}")],
    };
    let torn = (!journal.clean).then(|| "the two logs do not agree, although the board is at rest".to_owned());
    let slots = [(Slot::A, journal.slots.a), (Slot::B, journal.slots.b)];
    torn.into_iter().chain(slots.iter().filter_map(|(slot, state)| phase(*slot, expect.after(*slot), state))).collect()
}

fn phase(slot: Slot, after: After, state: &SlotState) -> Option<String> {
    let (phase, reason) = (after.phase.name(), after.reason);
    let is_expected = state.phase.eq_ignore_ascii_case(phase) && state.reason == reason;
    (!is_expected)
        .then(|| format!("the journal says slot {} is {} with reason {}, not {phase} with {reason}", slot.name(), state.phase, state.reason))
}

impl Expect {
    pub(super) const fn after(&self, slot: Slot) -> After {
        match slot {
            Slot::A => self.a,
            Slot::B => self.b,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("twinslot: boot slot=a *", "twinslot: boot slot=a why=fallback"));
        assert!(matches("*code=42", "twinslot: halt code=42"));
        assert!(matches("app: * code=*", "app: refused code=7"));
        assert!(!matches("app: idle", "app: idle "));
        assert!(!matches("*code=4", "twinslot: halt code=42"));
    }

    #[test]
    fn lines_must_come_in_order() {
        let lines = ["one", "two", "three"].map(str::to_owned);
        let expect = |console: &[&'static str]| Expect { console: console.to_vec(), ..super::super::table::tests_expect() };
        assert_eq!(console(&expect(&["one", "three"]), &lines), Vec::<String>::new());
        assert_eq!(console(&expect(&["two", "one"]), &lines).len(), 1);
    }

    const JOURNAL: &str = r#"{"clean":true,"slots":{"a":{"phase":"confirmed","reason":0},"b":{"phase":"empty","reason":0}}}"#;

    /// Judges a board that printed nothing and left its flash alone, with `change` made to the evidence.
    fn judged(expect: &Expect, change: impl FnOnce(&mut Transcript, &mut Evidence<'_>)) -> Vec<String> {
        let mut transcript = Transcript::new(std::path::PathBuf::new());
        transcript.ended = Ended::AtRest;
        let untouched = transcript.clone();
        let slot = |slot| SlotEvidence { slot, before: b"old", after: b"old", staged: None };
        let mut evidence = Evidence { transcript: &untouched, journal: JOURNAL, slots: [slot(Slot::A), slot(Slot::B)], flash_is_unchanged: true };
        change(&mut transcript, &mut evidence);
        complaints(expect, &Evidence { transcript: &transcript, ..evidence })
    }

    #[test]
    fn a_board_that_does_as_expected_gives_no_complaint() {
        assert_eq!(judged(&super::super::table::tests_expect(), |_, _| {}), Vec::<String>::new());
    }

    #[test]
    fn each_deviation_gives_its_complaint() {
        let expect = Expect { writes: Writes::None, console: vec!["app: idle"], ..super::super::table::tests_expect() };
        let complaint = |change: fn(&mut Transcript, &mut Evidence<'_>)| {
            judged(&expect, |transcript, evidence| {
                transcript.lines.push("app: idle".to_owned());
                change(transcript, evidence);
            })
        };
        assert!(complaint(|transcript, _| transcript.lines.clear())[0].contains("missing"));
        assert!(complaint(|transcript, _| transcript.lines.push("twinslot: halt code=1".to_owned()))[0].contains("must not be printed"));
        assert!(complaint(|transcript, _| transcript.resets.push(Reset::Guest))[0].contains("resets are"));
        assert!(complaint(|transcript, _| transcript.watchdogs = 1)[0].contains("resets are"));
        assert!(complaint(|transcript, _| transcript.ended = Ended::TimedOut)[0].contains("rest"));
        assert!(complaint(|_, evidence| evidence.flash_is_unchanged = false)[0].contains("nothing may be"));
        assert!(complaint(|_, evidence| evidence.slots[0].after = b"new")[0].contains("slot a was written"));
        assert!(complaint(|_, evidence| evidence.journal = "lost")[0].contains("can not be read"));
        let torn = r#"{"clean":false,"slots":{"a":{"phase":"confirmed","reason":7},"b":{"phase":"empty","reason":0}}}"#;
        assert_eq!(judged(&super::super::table::tests_expect(), |_, evidence| evidence.journal = torn).len(), 2);
    }

    #[test]
    fn a_slot_that_lacks_the_staged_image_is_found() {
        let expect = Expect { a: After { holds: Holds::Staged, ..super::super::table::tests_expect().a }, ..super::super::table::tests_expect() };
        assert!(judged(&expect, |_, _| {})[0].contains("nothing is"));
        assert_eq!(judged(&expect, |_, evidence| evidence.slots[0].staged = Some(b"ol")), Vec::<String>::new());
        assert!(judged(&expect, |_, evidence| evidence.slots[0].staged = Some(b"new"))[0].contains("does not hold the staged image"));
    }

    #[test]
    fn a_difference_is_found_where_it_begins() {
        assert_eq!(first_difference(b"abc", b"abc"), None);
        assert_eq!(first_difference(b"abc", b"abd"), Some(2));
        assert_eq!(first_difference(b"abc", b"ab"), Some(2));
    }
}
