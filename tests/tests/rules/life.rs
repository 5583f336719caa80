//! The rules over the real boot, install and journal code, on every geometry.

use twinslot_bootloader::boot::{Arming, Event, Outcome, WatchdogUse};
use twinslot_bootloader::decide::{Fallback, Why};
use twinslot_bootloader::handoff::{Booted, Verdict};
use twinslot_bootloader::image::HEADER_SIZE;
use twinslot_bootloader::journal::{Phase, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::board::RAM_BASE;
use twinslot_tests::flash::SimFlash;
use twinslot_tests::host::{Boot, Host, Settings, image, signed};
use twinslot_tests::image::{Image, ImageBuilder};
use twinslot_tests::on_every_geometry;
use twinslot_tests::random::Random;
use twinslot_tests::storage::{Geometry, SimStorage};

pub(crate) const A: Region = Region::Slot(Slot::A);
pub(crate) const B: Region = Region::Slot(Slot::B);

type Damage<'d, const WRITE: usize, const ERASE: usize> = &'d dyn Fn(&mut Host<WRITE, ERASE>);

/// Slot A confirmed and running, slot B confirmed before it.
fn two_confirmed<const WRITE: usize, const ERASE: usize>(geometry: Geometry) -> (Host<WRITE, ERASE>, Image, Image) {
    let (a, b) = (image(1), image(2));
    let mut host = Host::running(geometry, &a);
    host.storage.put(B, &b.slot);
    let mut state = host.state().expect("a journal");
    state.slots.b = SlotState::confirmed(b.short_digest());
    host.set_state(&state);
    (host, a, b)
}

/// Slot A confirmed and running, a trial armed in slot B.
pub(crate) fn trial_armed<const WRITE: usize, const ERASE: usize>(geometry: Geometry) -> (Host<WRITE, ERASE>, Image, Image) {
    let (a, b) = (image(1), image(2));
    let mut host = Host::running(geometry, &a);
    host.install(&b).expect("an install on good flash");
    (host, a, b)
}

#[track_caller]
fn assert_runs<const WRITE: usize, const ERASE: usize>(host: &Host<WRITE, ERASE>, boot: &Boot, image: &Image, slot: Slot, why: Why) {
    assert_eq!(boot.slot(), Some((slot, why)), "{boot:?}");
    let part = &image.manifest.parts[0];
    let stored = &image.slot[part.offset as usize..(part.offset + part.len) as usize];
    assert_eq!(host.memory.peek(RAM_BASE, part.len), stored, "what runs is what was signed");
    assert_eq!(boot.handoff.digest, image.digest);
}

#[test]
fn never_unverified() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let a = image(1);
        let mut random = Random::new(1);
        let part = a.manifest.parts[0];
        for _ in 0..150 {
            let mut host = Host::<WRITE, ERASE>::running(geometry, &a);
            let inside = random.below(2) * part.offset + random.below(1024);
            let (at, bit) = (inside as u32, (random.below(8)) as u8);
            host.storage.flip(A, at, bit);
            let boot = host.boot(ResetCause::PowerOn);
            assert!(matches!(boot.outcome, Outcome::Halt(Reason::Refused(_))), "bit {bit} of byte {at} flipped: {boot:?}");
            assert_eq!(boot.operations, 0);
        }
        let (mut host, a, b) = two_confirmed::<WRITE, ERASE>(geometry);
        let boot = host.boot(ResetCause::PowerOn);
        assert_runs(&host, &boot, &a, Slot::A, Why::Confirmed);
        host.storage.flip(A, part.offset as u32 + 100, 0);
        let boot = host.boot(ResetCause::PowerOn);
        assert_runs(&host, &boot, &b, Slot::B, Why::Fallback);
    }
    on_every_geometry!(check);
}

#[test]
fn intent_before_jump() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (mut host, _, b) = trial_armed::<WRITE, ERASE>(geometry);
        let boot = host.boot(ResetCause::Software);
        assert_runs(&host, &boot, &b, Slot::B, Why::Trial);
        let state = host.state().expect("a journal");
        assert_eq!((state.in_flight, state.slots.b.boots_left), (Some(Slot::B), host.settings.policy.boots - 1));

        for log in [Region::Log0, Region::Log1] {
            for swallowed in [false, true] {
                let (mut host, a, _) = trial_armed::<WRITE, ERASE>(geometry);
                let fail = if swallowed { SimStorage::swallow_writes } else { SimStorage::fail_writes };
                fail(&mut host.storage, log);
                let boot = host.boot(ResetCause::Software);
                assert_runs(&host, &boot, &a, Slot::A, Why::Fallback);
                assert_eq!(boot.events.iter().filter(|event| matches!(event, Event::CommitFailed(_))).count(), 1);
            }
        }
    }
    on_every_geometry!(check);
}

#[test]
fn trial_is_bounded() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let causes = [
            (ResetCause::Watchdog, Reason::Watchdog, 3),
            (ResetCause::Software, Reason::SoftwareReset, 3),
            (ResetCause::Fault, Reason::Fault, 3),
            (ResetCause::Unknown, Reason::UnknownReset, 3),
            (ResetCause::PowerOn, Reason::BootsUsedUp, 10),
        ];
        for (cause, reason, boots) in causes {
            let (mut host, a, b) = trial_armed::<WRITE, ERASE>(geometry);
            let boot = host.boot(ResetCause::Software);
            assert_runs(&host, &boot, &b, Slot::B, Why::Trial);
            assert_eq!(boot.handoff.attempts_left, 3);
            for _ in 1..boots {
                let boot = host.boot(cause);
                assert_runs(&host, &boot, &b, Slot::B, Why::Trial);
            }
            let boot = host.boot(cause);
            assert_runs(&host, &boot, &a, Slot::A, Why::Confirmed);
            assert_eq!(boot.handoff.last_revert.map(|revert| (revert.slot, revert.reason)), Some((Slot::B, reason)));
            assert_eq!(host.state().expect("a journal").slots.b.reason, reason);
            host.assert_flash_rules();
        }
        bounded_under_any_mixture::<WRITE, ERASE>(geometry);
    }
    on_every_geometry!(check);
}

fn bounded_under_any_mixture<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
    let mut random = Random::new(7);
    for _ in 0..20 {
        let (mut host, ..) = trial_armed::<WRITE, ERASE>(geometry);
        let (mut trials, mut blamed) = (0, 0);
        loop {
            let cause = if random.below(3) == 0 { ResetCause::Watchdog } else { ResetCause::PowerOn };
            let boot = host.boot(cause);
            blamed += u32::from(trials > 0 && cause == ResetCause::Watchdog);
            match boot.slot() {
                Some((Slot::B, Why::Trial)) => trials += 1,
                Some((Slot::A, Why::Confirmed)) => break,
                other => panic!("{other:?}"),
            }
        }
        assert!(trials == 10 || blamed == 3, "{trials} trials, {blamed} of them blamed");
        assert!(trials <= 10 && blamed <= 3);
    }
}

#[test]
fn trial_has_a_deadline() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (mut host, ..) = trial_armed::<WRITE, ERASE>(geometry);
        assert!(host.boot(ResetCause::Software).slot().is_some_and(|(_, why)| why == Why::Trial));
        assert_eq!(host.machine.armed, [Arming::Trial]);

        let (mut host, a, _) = trial_armed::<WRITE, ERASE>(geometry);
        host.machine.broken_watchdog = true;
        let boot = host.boot(ResetCause::Software);
        assert_runs(&host, &boot, &a, Slot::A, Why::Confirmed);
        assert!(boot.events.contains(&Event::NoWatchdog));
        assert_eq!(host.state().map(|state| state.slots.b.reason), Some(Reason::NoWatchdog));

        let (mut host, _, b) = trial_armed::<WRITE, ERASE>(geometry);
        host.settings.watchdog = WatchdogUse::TrialsMayHang;
        let boot = host.boot(ResetCause::Software);
        assert_runs(&host, &boot, &b, Slot::B, Why::Trial);
        assert!(host.machine.armed.is_empty(), "the board opted out by name");

        let mut host = Host::<WRITE, ERASE>::running(geometry, &image(1));
        assert!(host.machine.armed.is_empty(), "a confirmed boot needs no watchdog");
        host.settings.watchdog = WatchdogUse::EveryBoot;
        host.boot(ResetCause::PowerOn);
        assert_eq!(host.machine.armed, [Arming::EveryBoot]);
        host.machine.broken_watchdog = true;
        assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Confirmed)), "a confirmed image runs without one");
    }
    on_every_geometry!(check);
}

#[test]
fn reverts_and_says_why() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let other = image(9);
        let stale = signed(ImageBuilder::new(2).forge(|manifest| manifest.hw = 1));
        let damages: [(Damage<'_, WRITE, ERASE>, Rejection); 4] = [
            (&|host| host.storage.flip(B, 4096 + 50, 3), Rejection::DigestMismatch),
            (&|host| host.storage.flip(B, 40, 3), Rejection::CrcMismatch),
            (&|host| host.storage.put(B, &other.slot), Rejection::NotTheArmedImage),
            (&|host| host.storage.put(B, &stale.slot), Rejection::WrongHardware),
        ];
        for (damage, rejection) in damages {
            let (mut host, a, b) = trial_armed::<WRITE, ERASE>(geometry);
            damage(&mut host);
            let boot = host.boot(ResetCause::Software);
            assert_runs(&host, &boot, &a, Slot::A, Why::Confirmed);
            let revert = boot.handoff.last_revert.expect("a revert");
            assert_eq!((revert.slot, revert.reason), (Slot::B, Reason::Refused(rejection)));
            assert_eq!(revert.sequence, host.journal().sequence(), "the record that gave it up");
            assert!(boot.events.contains(&Event::Reverted(revert)));
            host.storage.put(B, &b.slot);
            for cause in [ResetCause::PowerOn, ResetCause::Watchdog] {
                let boot = host.boot(cause);
                assert_runs(&host, &boot, &a, Slot::A, Why::Confirmed);
                assert_eq!((boot.operations, boot.handoff.last_revert), (0, Some(revert)), "given up for good");
            }
            host.install(&b).expect("the good image again");
            let boot = host.boot(ResetCause::Software);
            assert_runs(&host, &boot, &b, Slot::B, Why::Trial);
            host.assert_flash_rules();
        }
    }
    on_every_geometry!(check);
}

#[test]
fn slots_are_independent() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        for (offset, len) in [(0, 1), (1000, 24), (4096, 1), (4096 + 4_999, 1)] {
            let (mut host, a, b) = two_confirmed::<WRITE, ERASE>(geometry);
            let before = host.state();
            let at = host.storage.address(A, offset);
            host.storage.flash.fail_reads(at..at + len);
            let boot = host.boot(ResetCause::PowerOn);
            assert_runs(&host, &boot, &b, Slot::B, Why::Fallback);
            assert_eq!((boot.handoff.verdicts.a, boot.operations), (Verdict::ReadError, 0));
            assert_eq!(host.state(), before, "a read error rejects nothing");
            host.storage.flash.heal();
            let boot = host.boot(ResetCause::PowerOn);
            assert_runs(&host, &boot, &a, Slot::A, Why::Confirmed);
        }
        let (mut host, a, b) = trial_armed::<WRITE, ERASE>(geometry);
        host.storage.fail_reads(B);
        let boot = host.boot(ResetCause::Software);
        assert_runs(&host, &boot, &a, Slot::A, Why::Fallback);
        assert_eq!(host.state().expect("a journal").slots.b, SlotState::trial(b.short_digest(), &host.settings.policy));
        host.storage.flash.heal();
        let boot = host.boot(ResetCause::PowerOn);
        assert_runs(&host, &boot, &b, Slot::B, Why::Trial);
    }
    on_every_geometry!(check);
}

#[test]
fn confirmed_boot_is_write_free() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (mut host, ..) = two_confirmed::<WRITE, ERASE>(geometry);
        let confirmed = host.state().expect("a journal");
        for neighbour in [confirmed.slots.b, confirmed.slots.b.rejected(Reason::Fault), SlotState::empty(Reason::None)] {
            let mut state = confirmed;
            state.slots.b = neighbour;
            host.set_state(&state);
            let bytes = host.storage.flash.bytes().to_vec();
            for cause in [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Software, ResetCause::Fault, ResetCause::Unknown] {
                let boot = host.boot(cause);
                assert_eq!((boot.slot(), boot.operations), (Some((Slot::A, Why::Confirmed)), 0));
                assert_eq!(boot.handoff.verdicts.b, Verdict::NotExamined, "one slot is examined");
                assert!(!boot.events.iter().any(|event| matches!(event, Event::Committed { .. } | Event::JournalRepaired)));
            }
            assert!(bytes == host.storage.flash.bytes(), "not a bit has changed");
        }
    }
    on_every_geometry!(check);
}

#[test]
fn last_resort_is_ordered() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (mut host, a, b) = two_confirmed::<WRITE, ERASE>(geometry);
        host.settings = Settings { golden: Fallback::Untried, recovery: Fallback::Untried, ..host.settings };
        let golden = image(3);
        host.storage.put(Region::Golden, &golden.slot);
        assert_runs_next(&mut host, &a, Slot::A, Why::Confirmed);
        host.storage.flip(A, 4096, 0);
        assert_runs_next(&mut host, &b, Slot::B, Why::Fallback);
        let mut state = host.state().expect("a journal");
        state.slots.b = SlotState::trial(b.short_digest(), &host.settings.policy);
        host.set_state(&state);
        assert_runs_next(&mut host, &b, Slot::B, Why::Trial);
        state.slots.b = state.slots.b.rejected(Reason::HealthCheck);
        host.set_state(&state);
        let boot = host.boot(ResetCause::PowerOn);
        assert_eq!((boot.handoff.booted, boot.handoff.why, boot.operations), (Booted::Golden, Why::Golden, 0));
        assert_eq!(boot.handoff.digest, golden.digest);
        host.storage.flip(Region::Golden, 4096, 0);
        let boot = host.boot(ResetCause::PowerOn);
        assert_eq!((boot.outcome, boot.handoff.booted, boot.operations), (Outcome::Recover, Booted::Nothing, 0));
        host.settings.recovery = Fallback::Absent;
        for cause in [ResetCause::Watchdog, ResetCause::Fault] {
            let boot = host.boot(cause);
            assert_runs(&host, &boot, &b, Slot::B, Why::LastResort);
            assert_eq!((boot.handoff.phase, boot.operations), (Phase::Rejected, 0), "unbounded and write-free");
        }
        host.storage.flip(B, 4096, 0);
        let boot = host.boot(ResetCause::PowerOn);
        assert_eq!(boot.outcome, Outcome::Halt(Reason::Refused(Rejection::DigestMismatch)));
        assert_eq!(boot.handoff.halt_reason, Reason::Refused(Rejection::DigestMismatch));
    }
    on_every_geometry!(check);
}

fn assert_runs_next<const WRITE: usize, const ERASE: usize>(host: &mut Host<WRITE, ERASE>, image: &Image, slot: Slot, why: Why)
where
    SimFlash<WRITE, ERASE>: embedded_storage::nor_flash::NorFlash,
{
    let boot = host.boot(ResetCause::PowerOn);
    assert_runs(host, &boot, image, slot, why);
}

#[test]
fn symmetric() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let images = [image(1), image(2)];
        let garbage = Random::new(3).bytes(8_000);
        for state in crate::cases::states() {
            for content in 0..4 {
                let ends = [false, true].map(|mirrored| {
                    let mut host = Host::<WRITE, ERASE>::new(geometry);
                    let mut state = with_digests(state, &images);
                    for (slot, bit) in [(Slot::A, 1), (Slot::B, 2)] {
                        let bytes = if content & bit == 0 { &images[slot as usize].slot } else { &garbage };
                        let lies_in = if mirrored { slot.other() } else { slot };
                        host.storage.put(Region::Slot(lies_in), bytes);
                    }
                    state = if mirrored { state.swapped() } else { state };
                    host.set_state(&state);
                    let boot = host.boot(ResetCause::Watchdog);
                    let slot = boot.slot().map(|(slot, why)| (if mirrored { slot.other() } else { slot }, why));
                    let after = host.state().map(|state| if mirrored { state.swapped() } else { state });
                    (slot, after, boot.handoff.halt_reason)
                });
                assert_eq!(ends[0], ends[1], "{state:?} {content}");
            }
        }
    }
    check::<4, 4096>(twinslot_tests::geometry::NOR);
}

fn with_digests(mut state: State, images: &[Image; 2]) -> State {
    for slot in Slot::BOTH {
        let entry = state.slots.of_mut(slot);
        if entry.phase != Phase::Empty {
            entry.digest = images[slot as usize].short_digest();
        }
    }
    state
}

#[test]
fn bad_neighbour_is_inert() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let a = image(1);
        let mut host = Host::<WRITE, ERASE>::running(geometry, &a);
        let reference = host.boot(ResetCause::PowerOn).handoff;
        let mut random = Random::new(11);
        for round in 0..40 {
            let mut bytes = if round % 2 == 0 { random.bytes(8_192) } else { image(2).slot };
            for _ in 0..8 {
                let at = random.below(HEADER_SIZE as u64) as usize;
                bytes[at] = random.byte();
            }
            host.storage.put(B, &bytes);
            let boot = host.boot(ResetCause::PowerOn);
            assert_runs(&host, &boot, &a, Slot::A, Why::Confirmed);
            assert_eq!((boot.handoff, boot.operations), (reference.clone(), 0));
        }
        host.storage.fail_reads(B);
        assert_eq!(host.boot(ResetCause::PowerOn).handoff, reference, "not even looked at");
    }
    on_every_geometry!(check);
}

#[test]
fn no_livelock() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let mut random = Random::new(5);
        for _ in 0..60 {
            let (mut host, ..) = trial_armed::<WRITE, ERASE>(geometry);
            match random.below(4) {
                0 => host.storage.fail_writes(if random.below(2) == 0 { Region::Log0 } else { Region::Log1 }),
                1 => host.storage.swallow_writes(if random.below(2) == 0 { Region::Log0 } else { Region::Log1 }),
                2 => host.storage.fail_reads(if random.below(2) == 0 { Region::Log0 } else { Region::Log1 }),
                _ => host.storage.flip(B, random.below(8192) as u32, 1),
            }
            let mut last = (None, 0);
            for _ in 0..16 {
                let boot = host.boot(ResetCause::Watchdog);
                let failed = boot.events.iter().filter(|event| matches!(event, Event::CommitFailed(_))).count();
                assert!(failed <= 1, "at most one commit fails: {:?}", boot.events);
                assert!(boot.slot().is_some(), "{boot:?}");
                last = (boot.slot(), failed);
            }
            let (slot, failed) = last;
            assert!(matches!(slot, Some((Slot::A, Why::Confirmed | Why::Fallback))), "the host comes to rest: {slot:?}");
            if failed == 0 {
                assert_eq!(host.boot(ResetCause::Watchdog).operations, 0, "at rest nothing is written");
            }
            host.assert_flash_rules();
        }
    }
    on_every_geometry!(check);
}
