//! Every single bit of both logs, in journals from a host's whole life: a changed one never gives a more privileged state, nor any other one, and the
//! real boot does the same as without it.

use twinslot_bootloader::boot::Outcome;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::Booted;
use twinslot_bootloader::image::manifest::Place;
use twinslot_bootloader::journal::{Journal, Phase, Policy, RECORD_SIZE, Record, State};
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::board::RAM_BASE;
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::flash::{CacheLoss, Tear};
use twinslot_tests::host::{Host, signed};
use twinslot_tests::image::{Image, ImageBuilder, PartDraft, Signer};
use twinslot_tests::random::Random;
use twinslot_tests::storage::{Geometry, SimStorage};

use crate::headers::seal;
use crate::is_full;
use crate::privilege::gained;

/// Logs of four records, so that most journals of a life have been through an erase.
const GEOMETRY: Geometry = Geometry { name: "four records", tear_size: 1, log_size: 512, slot_size: 4096, cached: false };

const LOGS: [Region; 2] = [Region::Log0, Region::Log1];

/// Bits of both logs.
const BITS: u32 = 2 * GEOMETRY.log_size * 8;

type Small = Host<1, 512>;
type Storage = SimStorage<1, 512>;

/// A moment in a host's life.
struct Moment {
    name: &'static str,
    host: Small,
    /// The state, and the sequence that the next commit will have.
    state: State,
    next_sequence: u64,
    /// The state that a commit had completed before the power was cut in the middle of the next one.
    unfinished_after: Option<State>,
}

/// An image of 300 bytes with a security counter.
fn image(seed: u16, counter: u32) -> Image {
    let firmware = PartDraft::firmware(seed.into(), 300, Place::At(RAM_BASE), RAM_BASE);
    let builder = ImageBuilder::new(seed).parts(vec![firmware]).align(1024).counter(counter);
    signed(if counter == 7 { builder.revoke(&[Signer::cheap(3).id(&mut CheapCrypto)]) } else { builder })
}

/// One life: every phase, both slots preferred, revocations, a raised floor, full logs, and a commit that a cut left unfinished.
fn moments() -> Vec<Moment> {
    let mut host = Small::running(GEOMETRY, &image(1, 5));
    let mut moments = Vec::new();
    let mut note = |name, host: &Small| moments.push(Moment::new(name, host.clone(), None));
    note("confirmed", &host);
    host.install(&image(2, 7)).expect("an install");
    note("armed", &host);
    assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)));
    note("in flight", &host);
    host.boot(ResetCause::Watchdog);
    note("an attempt less", &host);
    host.confirm().expect("a confirm");
    note("confirmed, floor raised, a key revoked", &host);
    host.install(&image(3, 8)).expect("an install");
    host.boot(ResetCause::Software);
    host.revert().expect("a revert");
    note("rejected", &host);
    host.boot(ResetCause::Software);
    note("after the revert", &host);
    moments.push(unfinished(&host));
    moments
}

/// The power was cut when one log had the record that begins an install and the other one did not.
fn unfinished(host: &Small) -> Moment {
    let completed = host.clone().state();
    let ahead = |host: &mut Small| {
        let [a, b] = LOGS.map(|log| host.storage.bytes(log).to_vec());
        host.state() != completed && a != b && !host.journal().is_clean()
    };
    let cut = (0..64).find_map(|at| {
        let mut host = host.clone();
        host.storage.flash.cut_at(at, Tear::Before, CacheLoss::All);
        let _ = host.install(&image(4, 9));
        host.power_on();
        ahead(&mut host).then_some(host)
    });
    Moment::new("an unfinished commit", cut.expect("one of the first operations"), completed)
}

fn flip(storage: &mut Storage, bit: u32) {
    let (log, bit) = (bit / (GEOMETRY.log_size * 8), bit % (GEOMETRY.log_size * 8));
    storage.flip(LOGS[log as usize], bit / 8, (bit % 8) as u8);
}

impl Moment {
    fn new(name: &'static str, mut host: Small, unfinished_after: Option<State>) -> Self {
        let journal = host.journal();
        let state = *journal.state().expect("a journal");
        Self { name, host, state, next_sequence: journal.next_sequence(), unfinished_after }
    }

    /// The state that stands with these bits changed must be the one that stands without. Only a record whose commit was not finished may be lost to
    /// it, which leaves what the cut could have left as well.
    fn assert_unmoved(&self, changed: &mut Storage, what: &str) {
        let journal = Journal::open(changed, &Policy::DEFAULT);
        let after = *journal.state().unwrap_or_else(|| panic!("{}, {what}: the journal is lost", self.name));
        if self.unfinished_after == Some(after) {
            return;
        }
        let before = self.state;
        assert_eq!(gained(&after, &before), None, "{}, {what}: more privileged than {before:?}: {after:?}", self.name);
        assert_eq!(after, before, "{}, {what}", self.name);
        assert!(journal.next_sequence() >= self.next_sequence, "{}, {what}: a sequence that was begun is used again", self.name);
    }

    /// The real boot from this storage, and the state that it leaves.
    fn boot(&self, storage: &Storage) -> (Option<(Slot, Why)>, bool, Option<State>) {
        let mut host = self.host.clone();
        host.storage = storage.clone();
        let boot = host.boot(ResetCause::Software);
        let jumped = matches!(boot.outcome, Outcome::Boot(_)) && matches!(boot.handoff.booted, Booted::Slot(_));
        // Sequences depend on how much there was to repair; nothing else may.
        let state = host.state().map(|state| State { last_revert: None, ..state });
        (boot.slot(), jumped, state)
    }
}

#[test]
fn no_changed_bit_of_a_journal_gives_another_state_or_another_boot() {
    let every = if is_full() { 1 } else { 16 };
    let mut boots = 0_u32;
    let moments = moments();
    for moment in &moments {
        let expected = moment.boot(&moment.host.storage);
        assert!(expected.1, "{}: it boots", moment.name);
        let before = moment.unfinished_after.map(|_| moment.boot(&without_the_newest(&moment.host.storage)));
        for bit in 0..BITS {
            let mut changed = moment.host.storage.clone();
            flip(&mut changed, bit);
            moment.assert_unmoved(&mut changed, &format!("bit {bit}"));
            if bit % every == 0 {
                boots += 1;
                let boot = moment.boot(&changed);
                assert!(boot == expected || Some(&boot) == before.as_ref(), "{}, bit {bit}: {boot:?}, not {expected:?}", moment.name);
            }
        }
    }
    assert_eq!((moments.len(), boots), (8, 8 * BITS / every));
    let phases = |phase| moments.iter().filter(|moment| moment.state.phase(Slot::A) == phase).count();
    assert!(phases(Phase::Confirmed) > 0 && phases(Phase::Rejected) > 0, "both are among them");
}

/// The storage as if the unfinished commit had not begun: its record gone from the log that has it.
fn without_the_newest(storage: &Storage) -> Storage {
    let mut changed = storage.clone();
    let newest = |bytes: &[u8]| {
        let records =
            bytes.as_chunks::<RECORD_SIZE>().0.iter().map(|bytes| Record::decode(bytes, &Policy::DEFAULT).map_or(0, |record| record.sequence));
        records.enumerate().max_by_key(|(_, sequence)| *sequence)
    };
    let [a, b] = LOGS.map(|log| newest(storage.bytes(log)).expect("a place"));
    let (log, (place, _)) = if a.1 > b.1 { (LOGS[0], a) } else { (LOGS[1], b) };
    changed.flip(log, (place * RECORD_SIZE) as u32, 0);
    changed
}

#[test]
fn no_two_changed_bits_of_one_record_give_another_state_or_another_boot() {
    let mut random = Random::new(8);
    let (pairs, boots) = if is_full() { (20_000, 2_000) } else { (2_000, 100) };
    for moment in moments() {
        let expected = moment.boot(&moment.host.storage);
        for number in 0..pairs {
            let place = random.below(u64::from(BITS) / 1024) as u32 * 1024;
            let [one, other] = [(); 2].map(|()| place + random.below(1024) as u32);
            if one == other {
                continue;
            }
            let mut changed = moment.host.storage.clone();
            flip(&mut changed, one);
            flip(&mut changed, other);
            moment.assert_unmoved(&mut changed, &format!("bits {one} and {other}"));
            if number < boots && moment.unfinished_after.is_none() {
                assert_eq!(moment.boot(&changed), expected, "{}, bits {one} and {other}", moment.name);
            }
        }
    }
}

/// A code of 32 bits tells every pair of changed bits in 1,024: here for all 523,776 of them.
#[test]
fn no_two_changed_bits_leave_a_record_valid() {
    let good = Record { sequence: 9, state: moments()[2].state }.encode().expect("a state that fits");
    let step = if is_full() { 1 } else { 37 };
    let flip = |bytes: &mut [u8; RECORD_SIZE], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
    for one in 0..RECORD_SIZE * 8 {
        for other in (one + 1..RECORD_SIZE * 8).step_by(step) {
            let mut changed = good;
            flip(&mut changed, one);
            flip(&mut changed, other);
            assert_eq!(Record::decode(&changed, &Policy::DEFAULT), None, "bits {one} and {other}");
        }
    }
}

/// A reader that believes a record whatever its checksum says: the order of privileges must tell.
#[test]
fn a_reader_that_believes_changed_records_is_found_out() {
    let every = if is_full() { 1 } else { 3 };
    let mut found = std::collections::BTreeSet::new();
    for moment in moments() {
        for bit in (0..BITS).step_by(every) {
            let mut changed = moment.host.storage.clone();
            flip(&mut changed, bit);
            let log = LOGS[(bit / (BITS / 2)) as usize];
            let mut bytes = changed.bytes(log).to_vec();
            bytes.as_chunks_mut::<RECORD_SIZE>().0.iter_mut().filter(|record| record.starts_with(b"TWJR")).for_each(|record| seal(record));
            changed.put(log, &bytes);
            let journal = Journal::open(&mut changed, &Policy::DEFAULT);
            found.extend(journal.state().and_then(|after| gained(after, &moment.state)));
        }
    }
    assert!(found.len() >= 6, "only these were found: {found:?}");
}
