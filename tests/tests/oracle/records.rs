//! Journal records: possible and impossible states, each field changed, whole and broken frames, under several policies.

use twinslot_bootloader::journal::{Phase, Policy, RECORD_SIZE, Revert, SlotState, State};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_tests::random::Random;

use crate::case::{Case, Input};
use crate::headers::seal;
use crate::shapes::{one_in, pick};
use crate::wire::{self, Field, variations};

/// The policies that states are judged by.
const POLICIES: [Policy; 4] = [Policy::DEFAULT, policy(1, 1), policy(2, 200), policy(255, 255)];

const fn policy(attempts: u8, boots: u8) -> Policy {
    Policy { attempts, boots, ..Policy::DEFAULT }
}

/// Each field of a few states with each of its variations, and every policy over every pair of phases.
pub(crate) fn systematic(seed: u64) -> Vec<Case> {
    let state = possible(&Policy::DEFAULT, &mut Random::new(seed));
    let fields = wire::state(&state);
    let mut cases = Vec::new();
    for number in 0..fields.len() {
        for (change, value) in variations(&fields[number].value) {
            let label = format!("state {seed}, {} {change}", fields[number].name);
            let mut changed = fields.clone();
            changed[number].value = value;
            cases.push(sealed(label, Policy::DEFAULT, 1, &changed));
        }
    }
    for sequence in [0, 1, (1 << 48) - 1, 1 << 48, u64::MAX] {
        cases.push(sealed(format!("sequence {sequence}"), Policy::DEFAULT, sequence, &fields));
    }
    cases
}

/// Every pair of phases with counters and digests about their limits.
pub(crate) fn phases() -> Vec<Case> {
    let phases = [Phase::Empty, Phase::Trial, Phase::Confirmed, Phase::Rejected];
    let mut cases = Vec::new();
    let mut random = Random::new(0);
    for policy in POLICIES {
        for (a, b) in phases.iter().flat_map(|a| phases.map(|b| (*a, b))) {
            for in_flight in [None, Some(Slot::A), Some(Slot::B)] {
                let slots = BySlot { a: likely(a, &policy, &mut random), b: likely(b, &policy, &mut random) };
                let state = State { slots, in_flight, preferred: pick(&mut random, &Slot::BOTH), ..State::new(7) };
                cases.push(sealed(format!("{a:?} beside {b:?}, {in_flight:?} in flight"), policy, 9, &wire::state(&state)));
            }
        }
    }
    cases
}

/// A slot of this phase that is possible, but for one chance in four.
fn likely(phase: Phase, policy: &Policy, random: &mut Random) -> SlotState {
    let mut slot = slot(phase, policy, random);
    if one_in(random, 4) {
        slot.attempts_left = pick(random, &[0, 1, policy.attempts, policy.attempts.wrapping_add(1)]);
        slot.boots_left = pick(random, &[0, 1, policy.boots, policy.boots.wrapping_add(1)]);
        slot.digest = pick(random, &[[0; 16], [1; 16]]);
    }
    slot
}

fn slot(phase: Phase, policy: &Policy, random: &mut Random) -> SlotState {
    let digest = [random.byte() | 1; 16];
    let reason = pick(random, &[Reason::None, Reason::Watchdog, Reason::ReadError]);
    match phase {
        Phase::Empty => SlotState::empty(reason),
        Phase::Confirmed => SlotState { reason, ..SlotState::confirmed(digest) },
        Phase::Rejected => SlotState::confirmed(pick(random, &[digest, [0; 16]])).rejected(reason),
        Phase::Trial => SlotState {
            attempts_left: random.below(u64::from(policy.attempts) + 1) as u8,
            boots_left: random.below(u64::from(policy.boots) + 1) as u8,
            reason,
            ..SlotState::trial(digest, policy)
        },
    }
}

/// A state that a journal of this policy may hold.
pub(crate) fn possible(policy: &Policy, random: &mut Random) -> State {
    let phases = [Phase::Empty, Phase::Trial, Phase::Confirmed, Phase::Rejected];
    let [a, b] = [pick(random, &phases), pick(random, &phases)];
    let mut state = State::new(pick(random, &[0, 300, u32::MAX]));
    state.slots = BySlot { a: slot(a, policy, random), b: slot(b, policy, random) };
    let orphan = |preferred: Phase, other: Phase| preferred == Phase::Empty && other == Phase::Confirmed;
    state.preferred = if orphan(a, b) || (!orphan(b, a) && one_in(random, 2)) { Slot::B } else { Slot::A };
    let mut trials = Slot::BOTH.into_iter().filter(|slot| state.phase(*slot) == Phase::Trial);
    state.in_flight = trials.next_back().filter(|_| one_in(random, 2));
    for number in 0..random.below(7) as u8 {
        state.revoked.insert([number + 1; 8]).expect("room for six");
    }
    if one_in(random, 2) {
        let sequence = random.below(1 << 48);
        state.last_revert = Some(Revert { slot: pick(random, &Slot::BOTH), reason: Reason::HealthCheck, sequence });
    }
    state
}

/// A record of these fields with its frame in order. An encoding that is too long is cut.
pub(crate) fn sealed(label: String, policy: Policy, sequence: u64, fields: &[Field]) -> Case {
    Case { label, input: Input::Record(policy, record(sequence, fields)) }
}

/// The bytes of a record.
pub(crate) fn record(sequence: u64, fields: &[Field]) -> Box<[u8; RECORD_SIZE]> {
    let body = wire::encode(fields);
    let body = &body[..body.len().min(RECORD_SIZE - 18)];
    let mut bytes = Box::new([0; RECORD_SIZE]);
    bytes[..6].copy_from_slice(b"TWJR\x01\x00");
    bytes[6..14].copy_from_slice(&sequence.to_le_bytes());
    bytes[14..14 + body.len()].copy_from_slice(body);
    seal(&mut bytes[..]);
    bytes
}

/// A record with up to a few changes, anywhere.
pub(crate) fn random_case(random: &mut Random) -> Case {
    let policy = pick(random, &POLICIES);
    let made_for = if one_in(random, 3) { pick(random, &POLICIES) } else { policy };
    let mut state = possible(&made_for, random);
    let mut label = "record".to_owned();
    if one_in(random, 3) {
        let slot = pick(random, &Slot::BOTH);
        *state.slots.of_mut(slot) = likely(state.phase(slot), &made_for, random);
        label.push_str(", a slot replaced");
    }
    let mut fields = wire::state(&state);
    for _ in 0..pick(random, &[0, 0, 1, 1, 2]) {
        let number = random.below(fields.len() as u64) as usize;
        let all = variations(&fields[number].value);
        let (change, value) = all[random.below(all.len() as u64) as usize].clone();
        label = format!("{label}, {} {change}", fields[number].name);
        fields[number].value = value;
    }
    let sequence = pick(random, &[1, 2, 1 << 32, (1 << 48) - 1]);
    let mut bytes = record(sequence, &fields);
    if one_in(random, 4) {
        break_frame(&mut bytes, random);
        label.push_str(", frame changed");
    }
    Case { label, input: Input::Record(policy, bytes) }
}

fn break_frame(bytes: &mut [u8; RECORD_SIZE], random: &mut Random) {
    let at = random.below(RECORD_SIZE as u64) as usize;
    match random.below(5) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at..].fill(0xff),
        2 => bytes.fill_with(|| random.byte()),
        3 => bytes[random.below(14) as usize] = random.byte(),
        _ => bytes[RECORD_SIZE - 5 - random.below(40) as usize] = 1,
    }
    if !one_in(random, 4) {
        seal(bytes);
    }
}
