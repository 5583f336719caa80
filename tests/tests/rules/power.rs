//! `always_bootable`: a power cut at any operation, in any pattern, ends in a boot of a good image, and what was cut can be completed.

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::install::InstallError;
use twinslot_bootloader::journal::Phase;
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::flash::{CacheLoss, SimFlash, Tear};
use twinslot_tests::host::{Boot, Host, image, large_image, signed};
use twinslot_tests::image::{Image, ImageBuilder};
use twinslot_tests::on_every_geometry;
use twinslot_tests::random::Random;
use twinslot_tests::storage::Geometry;

type Story<'s, const WRITE: usize, const ERASE: usize> = &'s dyn Fn(&mut Host<WRITE, ERASE>);

const LOSSES: [CacheLoss; 3] = [CacheLoss::All, CacheLoss::AllButNewest, CacheLoss::Nothing];

/// Tells the story with a cut at each of its operations, and lets `judge` look at the host with its power back.
fn with_every_cut<const WRITE: usize, const ERASE: usize>(
    start: &Host<WRITE, ERASE>,
    story: Story<'_, WRITE, ERASE>,
    mut judge: impl FnMut(&mut Host<WRITE, ERASE>, &str),
) -> u64
where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    let mut whole = start.clone();
    let before = whole.storage.flash.counters().operations();
    story(&mut whole);
    let operations = whole.storage.flash.counters().operations() - before;
    let losses = if start.storage.geometry().cached { &LOSSES[..] } else { &LOSSES[..1] };
    for at in 0..operations {
        for tear in Tear::ALL {
            for loss in losses {
                let mut host = start.clone();
                host.storage.flash.cut_at(at, tear, *loss);
                story(&mut host);
                assert!(host.storage.flash.is_off(), "the story is the same up to the cut");
                host.power_on();
                judge(&mut host, &format!("{} cut at {at}, {tear:?}, {loss:?}", start.storage.geometry().name));
            }
        }
    }
    operations
}

#[track_caller]
fn assert_good(boot: &Boot, old: &Image, new: &Image, context: &str) {
    let digest = match boot.slot() {
        Some((Slot::A, Why::Confirmed | Why::Fallback)) => old.digest,
        Some((Slot::B, Why::Trial | Why::Confirmed)) => new.digest,
        other => panic!("{context}: {other:?} {boot:?}"),
    };
    assert_eq!(boot.handoff.digest, digest, "{context}");
}

/// Brings the update to its end however far it came.
fn complete<const WRITE: usize, const ERASE: usize>(host: &mut Host<WRITE, ERASE>, old: &Image, new: &Image, context: &str)
where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    let boot = host.boot(ResetCause::PowerOn);
    assert_good(&boot, old, new, context);
    match boot.slot() {
        Some((Slot::B, Why::Trial)) => host.confirm().unwrap_or_else(|error| panic!("{context}: {error}")),
        Some((Slot::B, _)) => {}
        _ => host.update(new).unwrap_or_else(|error| panic!("{context}: {error}")),
    }
    let boot = host.boot(ResetCause::Software);
    assert_eq!(boot.slot(), Some((Slot::B, Why::Confirmed)), "{context}");
    assert_eq!(boot.handoff.digest, new.digest, "{context}");
    assert_eq!(boot.operations, 0, "{context}: at rest nothing is written");
    assert!(host.storage.flash.breaches().is_empty(), "{context}: {:?}", host.storage.flash.breaches());
}

#[test]
fn always_bootable() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (old, new) = (image(1), image(2));
        let start = Host::<WRITE, ERASE>::running(geometry, &old);
        let story = |host: &mut Host<WRITE, ERASE>| {
            let _ = host.install(&new);
            host.boot(ResetCause::Software);
            let _ = host.confirm();
        };
        let operations = with_every_cut(&start, &story, |host, context| complete(host, &old, &new, context));
        assert!(operations > 20, "the story has shrunk to {operations} operations");
    }
    on_every_geometry!(check);
}

#[test]
fn always_bootable_through_a_confirm_that_cuts_the_old_image_off() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (old, new) = (image(1), signed(ImageBuilder::new(2).counter(9)));
        let mut start = Host::<WRITE, ERASE>::running(geometry, &old);
        start.install(&new).expect("an install");
        start.boot(ResetCause::Software);
        let story = |host: &mut Host<WRITE, ERASE>| {
            let _ = host.confirm();
        };
        with_every_cut(&start, &story, |host, context| {
            complete(host, &old, &new, context);
            let state = host.state().expect("a journal");
            assert_eq!((state.floor, state.slots.a.phase), (9, Phase::Rejected), "{context}");
        });
    }
    on_every_geometry!(check);
}

#[test]
fn always_bootable_through_a_revert() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (old, new) = (image(1), image(2));
        let mut start = Host::<WRITE, ERASE>::running(geometry, &old);
        start.install(&new).expect("an install");
        start.boot(ResetCause::Software);
        let story = |host: &mut Host<WRITE, ERASE>| {
            for _ in 0..4 {
                host.boot(ResetCause::Watchdog);
            }
        };
        with_every_cut(&start, &story, |host, context| {
            assert_good(&host.boot(ResetCause::PowerOn), &old, &new, context);
            let mut boots = 0;
            let revert = loop {
                let boot = host.boot(ResetCause::Watchdog);
                assert_good(&boot, &old, &new, context);
                boots += 1;
                if boot.slot().is_some_and(|(slot, _)| slot == Slot::A) {
                    break boot.handoff.last_revert.unwrap_or_else(|| panic!("{context}: no revert is told"));
                }
            };
            assert!(boots <= 4, "{context}: {boots} boots");
            assert_eq!((revert.slot, revert.reason), (Slot::B, Reason::Watchdog), "{context}");
            host.assert_flash_rules();
        });
    }
    on_every_geometry!(check);
}

#[test]
fn always_bootable_through_rollback_condemn_and_a_failed_health_check() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (old, new) = (image(1), image(2));
        let mut start = Host::<WRITE, ERASE>::running(geometry, &old);
        start.update(&new).expect("an update");
        start.boot(ResetCause::Software);
        let story = |host: &mut Host<WRITE, ERASE>| {
            let _ = host.write(|session| session.rollback());
            host.boot(ResetCause::Software);
            let _ = host.write(|session| session.rollback());
            host.boot(ResetCause::Software);
            let _ = host.write(|session| session.condemn());
            host.boot(ResetCause::Software);
            let _ = host.install(&new);
            host.boot(ResetCause::Software);
            let _ = host.revert();
            host.boot(ResetCause::Software);
        };
        with_every_cut(&start, &story, |host, context| {
            assert_good(&host.boot(ResetCause::PowerOn), &old, &new, context);
            assert_good(&host.boot(ResetCause::PowerOn), &old, &new, context);
            assert!(host.storage.flash.breaches().is_empty(), "{context}: {:?}", host.storage.flash.breaches());
        });
    }
    on_every_geometry!(check);
}

#[test]
fn always_bootable_while_a_lost_journal_is_written_anew() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (old, new) = (image(1), image(2));
        let mut start = Host::<WRITE, ERASE>::new(geometry);
        start.storage.put(Region::Slot(Slot::A), &old.slot);
        start.storage.put(Region::Slot(Slot::B), &new.slot);
        let story = |host: &mut Host<WRITE, ERASE>| {
            host.boot(ResetCause::PowerOn);
            let _ = host.confirm();
        };
        with_every_cut(&start, &story, |host, context| {
            let boot = host.boot(ResetCause::PowerOn);
            assert!(matches!(boot.slot(), Some((Slot::A, Why::Trial | Why::Confirmed))), "{context}: {boot:?}");
            if host.state().is_some_and(|state| state.phase(Slot::A) == Phase::Trial) {
                host.confirm().unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            let boot = host.boot(ResetCause::Watchdog);
            assert_eq!((boot.slot(), boot.operations), (Some((Slot::A, Why::Confirmed)), 0), "{context}");
            assert!(host.storage.flash.breaches().is_empty(), "{context}: {:?}", host.storage.flash.breaches());
        });
    }
    on_every_geometry!(check);
}

#[test]
fn always_bootable_when_journals_wrap() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (old, new) = (image(1), image(2));
        let mut start = Host::<WRITE, ERASE>::running(geometry, &old);
        let places = geometry.log_size / twinslot_bootloader::journal::stride(WRITE as u32, geometry.tear_size);
        let state = start.state().expect("a journal");
        // A full log is erased by one of the next commits, whatever the number of records there are now.
        for _ in 1..places.saturating_sub(4) {
            start.set_state(&state);
        }
        let story = |host: &mut Host<WRITE, ERASE>| {
            for slot in [Slot::B; 8] {
                let _ = host.write(|session| session.reject(slot));
            }
        };
        let operations = with_every_cut(&start, &story, |host, context| {
            let boot = host.boot(ResetCause::PowerOn);
            assert_eq!(boot.slot(), Some((Slot::A, Why::Confirmed)), "{context}");
            complete(host, &old, &new, context);
        });
        assert!(operations > 16, "at least one erase is among the {operations} operations");
    }
    on_every_geometry!(check);
}

#[test]
fn a_second_cut_during_recovery_changes_nothing() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let (old, new) = (image(1), image(2));
        let start = Host::<WRITE, ERASE>::running(geometry, &old);
        let story = |host: &mut Host<WRITE, ERASE>| {
            let _ = host.install(&new);
            host.boot(ResetCause::Software);
            let _ = host.confirm();
        };
        let mut random = Random::new(21);
        with_every_cut(&start, &story, |host, context| {
            for round in 0..3 {
                let tear = Tear::ALL[random.below(Tear::ALL.len() as u64) as usize];
                host.cut_at(random.below(12), tear);
                let boot = host.boot(ResetCause::PowerOn);
                if boot.slot().is_some_and(|(slot, _)| slot == Slot::A) {
                    let _ = host.install(&new);
                } else if !host.storage.flash.is_off() {
                    let _ = host.confirm();
                }
                host.power_on();
                assert_good(&host.clone().boot(ResetCause::PowerOn), &old, &new, &format!("{context}, round {round}"));
            }
            complete(host, &old, &new, context);
        });
    }
    on_every_geometry!(check);
}

#[test]
fn an_install_of_several_chunks_resumes_after_sampled_cuts() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let geometry = Geometry { slot_size: 768 * 1024, ..geometry };
        let (old, new) = (image(1), large_image(2, Region::Slot(Slot::B)));
        let start = Host::<WRITE, ERASE>::running(geometry, &old);
        let mut whole = start.clone();
        whole.install(&new).expect("an install");
        let programs = |host: &Host<WRITE, ERASE>| host.storage.flash.counters().programs;
        let all = programs(&whole) - programs(&start);
        let operations = whole.storage.flash.counters().operations() - start.storage.flash.counters().operations();
        let mut random = Random::new(3);
        for _ in 0..8 {
            let mut host = start.clone();
            let at = random.below(operations);
            let tear = Tear::ALL[random.below(6) as usize];
            host.storage.flash.cut_at(at, tear, LOSSES[random.below(3) as usize]);
            assert_eq!(host.install(&new).map_err(|error| matches!(error, InstallError::Storage | InstallError::Commit(_))), Err(true));
            host.power_on();
            let context = format!("{} cut at {at}, {tear:?}", geometry.name);
            assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Confirmed)), "{context}");
            let before = programs(&host);
            host.install(&new).unwrap_or_else(|error| panic!("{context}: {error}"));
            // A torn header shares its erase unit with the first chunk, which makes the install start over.
            let header_torn = programs_before_header(all, WRITE) < before - programs(&start) && tear != Tear::After;
            if !geometry.cached && !header_torn {
                let (done, written) = (before - programs(&start), programs(&host) - before);
                let chunk = (256 * 1024 + ERASE.max(4096) * 2).div_ceil(256.max(WRITE)) as u64;
                assert!(written <= all - done + chunk, "{context}: {written} pages written again of {all}, {done} were done");
            }
            assert_eq!(host.boot(ResetCause::Software).slot(), Some((Slot::B, Why::Trial)), "{context}");
            host.assert_flash_rules();
        }
    }
    on_every_geometry!(check);
}

/// How many of an install's pages are written before those of the header.
fn programs_before_header(all: u64, write_size: usize) -> u64 {
    let journal_and_header = 2 + 1024_usize.div_ceil(256.max(write_size)) as u64;
    all - journal_and_header
}
