//! What a board must do in a scene, written from sections 3 and 4 of the design: which states its journal passes through, and what its hand-off says.

use std::fmt::Write as _;

use twinslot_bootloader::image::HeaderDigest;
use twinslot_bootloader::journal::{Phase, Policy, SlotState, State};
use twinslot_bootloader::slot::Slot;

/// What the image on trial does once it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// It tells the hand-off and waits: nothing is confirmed.
    Waits,
    /// It confirms itself. Its security counter is this.
    Confirms(u32),
    /// It runs and tells nothing.
    Rests,
}

/// Who plays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cast {
    pub(super) trial: Trial,
    /// The image that lies in staging: whoever runs in slot A installs it to slot B.
    pub(super) staged: Option<HeaderDigest>,
    pub(super) policy: Policy,
}

impl Cast {
    /// The states of the journal from a power-on with `found` until the board rests, `found` first. A power cut costs a trial nothing but the start that
    /// was paid for.
    pub(super) fn path(&self, found: &State) -> Vec<State> {
        let mut path = vec![*found];
        if found.phase(found.preferred) == Phase::Trial {
            self.run_trial(&mut path);
        } else if let Some(staged) = self.staged.filter(|staged| found.slots.b.digest != *staged) {
            self.install(staged, &mut path);
            self.run_trial(&mut path);
        }
        path
    }

    fn install(&self, staged: HeaderDigest, path: &mut Vec<State>) {
        let last = *path.last().expect("a path begins with what was found");
        let mut empty = last;
        empty.slots.b = SlotState { phase: Phase::Empty, attempts_left: 0, boots_left: 0, digest: [0; 16], ..SlotState::default() };
        if empty != last {
            path.push(empty);
        }
        let mut armed = empty;
        let Policy { attempts, boots, .. } = self.policy;
        armed.slots.b = SlotState { phase: Phase::Trial, attempts_left: attempts, boots_left: boots, digest: staged, ..SlotState::default() };
        armed.preferred = Slot::B;
        path.push(armed);
    }

    fn run_trial(&self, path: &mut Vec<State>) {
        let mut next = *path.last().expect("a path begins with what was found");
        if next.in_flight.take().is_some() {
            path.push(next);
        }
        let slot = next.preferred;
        next.in_flight = Some(slot);
        next.slots.of_mut(slot).boots_left -= 1;
        path.push(next);
        if let Trial::Confirms(security_counter) = self.trial {
            let entry = next.slots.of_mut(slot);
            *entry = SlotState { phase: Phase::Confirmed, attempts_left: 0, boots_left: 0, digest: entry.digest, ..SlotState::default() };
            next.in_flight = None;
            next.floor = next.floor.max(security_counter);
            path.push(next);
        }
    }
}

/// What the loader tells of the boot that begins with `found`: its console line, then the hand-off's fields as the application prints them.
pub(super) fn told(found: &State) -> (String, Vec<String>) {
    let slot = found.preferred;
    let entry = found.slots.of(slot);
    let why = if entry.phase == Phase::Trial { "trial" } else { "confirmed" };
    let verdict = |one| if one == slot { "verified" } else { "not-examined" };
    let last_revert =
        found.last_revert.map_or_else(|| "none".to_owned(), |last| format!("{}:{}:{}", last.slot.name(), last.reason.code(), last.sequence));
    let fields = [
        format!("slot={}", slot.name()),
        format!("phase={why}"),
        format!("attempts_left={}", entry.attempts_left),
        format!("why={why}"),
        format!("verdict_a={}", verdict(Slot::A)),
        format!("verdict_b={}", verdict(Slot::B)),
        format!("last_revert={last_revert}"),
        "reset_cause=power-on".to_owned(),
        format!("digest={}", hexadecimal(&entry.digest)),
    ];
    (format!("twinslot: boot slot={} why={why}", slot.name()), fields.iter().map(|field| format!("app: handoff {field}")).collect())
}

/// A state in words, the start of each digest only.
pub(super) fn words(state: &State) -> String {
    let slot = |name: &str, entry: &SlotState| {
        let SlotState { phase, attempts_left, boots_left, digest, reason } = entry;
        let digest = digest.first_chunk::<4>().map_or_else(String::new, |digest| hexadecimal(digest));
        format!("{name} {} of {digest} with {attempts_left} attempts and {boots_left} boots, reason {}", phase.name(), reason.code())
    };
    let State { preferred, slots, in_flight, floor, .. } = state;
    let [a, b] = [slot("a", &slots.a), slot("b", &slots.b)];
    let in_flight = in_flight.map_or("none", Slot::name);
    format!("({a}; {b}; preferred {}, in flight {in_flight}, floor {floor})", preferred.name())
}

/// The same for what a journal may lack.
pub(super) fn words_or_none(state: Option<&State>) -> String {
    state.map_or_else(|| "no valid record".to_owned(), words)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
