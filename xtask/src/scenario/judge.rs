//! Judges a step by what the board printed and by what its flash holds afterwards. Every complaint says what was expected and what was seen.

use serde::Deserialize;

use super::{After, Expect, Holds, Resets, Slot, Writes};
use crate::qemu::{Ended, Transcript};

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

fn resets(expect: &Expect, transcript: &Transcript) -> Option<String> {
    match expect.resets {
        Resets::Exactly(resets) if transcript.resets != resets => Some(format!("resets are {:?}, not {resets:?}", transcript.resets)),
        _ => None,
    }
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

    #[test]
    fn a_difference_is_found_where_it_begins() {
        assert_eq!(first_difference(b"abc", b"abc"), None);
        assert_eq!(first_difference(b"abc", b"abd"), Some(2));
        assert_eq!(first_difference(b"abc", b"ab"), Some(2));
    }
}
