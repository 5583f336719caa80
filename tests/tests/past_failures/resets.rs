//! 100,000 resets before the application ever runs (RAUC #683: boot counters that only the application sets back were used up by power cuts).
//!
//! What boots, and the wear of the flash, are bounded. A boot is a function of flash and reset cause: once one has changed nothing, all later ones
//! with that cause are the same boot, so a series ends there early. One series is run to its end all the same.

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::journal::{Phase, SlotState};
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::flash::{CacheLoss, Counters, SimFlash, Tear};
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, image};
use twinslot_tests::on_every_geometry;
use twinslot_tests::random::Random;
use twinslot_tests::storage::Geometry;

const RESETS: u32 = 100_000;

/// Causes that a board may tell every time, rightly or not.
const CAUSES: [ResetCause; 3] = [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Unknown];

/// Boots until nothing can change any more: two trials of ten boots each, and one more for each to give it up. More are a livelock.
const SETTLED_AFTER: u32 = 2 * 10 + 2;

/// What a series of resets came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Series {
    /// Boots until one changed nothing.
    boots: u32,
    wear: Counters,
    runs: Option<(Slot, Why)>,
}

/// Resets the host that often; the application never runs. Every boot must boot something.
fn resets<const WRITE: usize, const ERASE: usize>(host: &mut Host<WRITE, ERASE>, cause: ResetCause, context: &str) -> Series
where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    let start = host.storage.flash.counters();
    for boots in 1..=RESETS {
        let before = host.storage.flash.bytes().to_vec();
        let boot = host.boot(cause);
        assert!(boot.slot().is_some(), "{context}: after {boots} resets nothing boots: {boot:?}");
        if boot.operations == 0 {
            assert_eq!(host.storage.flash.bytes(), before, "{context}: what is not an operation changes nothing");
            let end = host.storage.flash.counters();
            let wear = Counters { programs: end.programs - start.programs, erases: end.erases - start.erases };
            host.assert_flash_rules();
            return Series { boots, wear, runs: boot.slot() };
        }
        assert!(boots < SETTLED_AFTER, "{context}: {boots} boots and it still writes to the flash");
    }
    unreachable!("{context}: a series ends before its assertion on livelocks does")
}

/// Resets a copy of the host with each cause, and has each series judged.
fn on_every_cause<const WRITE: usize, const ERASE: usize>(
    host: &Host<WRITE, ERASE>,
    geometry: Geometry,
    mut judge: impl FnMut(&mut Host<WRITE, ERASE>, Series, &str),
) where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    for cause in CAUSES {
        let context = format!("{}, cause always {cause:?}", geometry.name);
        let mut host = host.clone();
        let series = resets(&mut host, cause, &context);
        judge(&mut host, series, &context);
    }
}

/// Slot A confirmed, an update on trial in slot B.
fn with_a_trial<const WRITE: usize, const ERASE: usize>(geometry: Geometry) -> Host<WRITE, ERASE>
where
    SimFlash<WRITE, ERASE>: NorFlash,
{
    let mut host = Host::running(geometry, &image(1));
    host.install(&image(2)).expect("an install on good flash");
    host
}

#[test]
fn no_number_of_resets_uses_a_confirmed_image_up_or_wears_the_flash() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        on_every_cause(&Host::<WRITE, ERASE>::running(geometry, &image(1)), geometry, |_, series, context| {
            let nothing = Series { boots: 1, wear: Counters::default(), runs: Some((Slot::A, Why::Confirmed)) };
            assert_eq!(series, nothing, "{context}");
        });
    }
    on_every_geometry!(check);
}

/// The same, reset by reset: nothing but the bytes of the flash carries over from one boot to the next.
#[test]
fn a_confirmed_image_boots_100_000_times() {
    let mut host = Host::<4, 4096>::running(NOR, &image(1));
    let before = (host.storage.flash.bytes().to_vec(), host.storage.flash.counters());
    for reset in 0..RESETS {
        let cause = CAUSES[reset as usize % CAUSES.len()];
        assert_eq!(host.boot(cause).slot(), Some((Slot::A, Why::Confirmed)), "reset {reset}");
    }
    assert_eq!((host.storage.flash.bytes().to_vec(), host.storage.flash.counters()), before);
}

#[test]
fn resets_give_up_a_trial_and_never_the_confirmed_image() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        on_every_cause(&with_a_trial::<WRITE, ERASE>(geometry), geometry, |host, series, context| {
            assert_eq!(series.runs, Some((Slot::A, Why::Confirmed)), "{context}");
            assert_eq!(host.state().expect("a journal").phase(Slot::B), Phase::Rejected, "{context}");
            // At most two commits a boot, each a page in both logs; ten boots of the trial, and one that gives it up.
            assert!(series.wear.programs <= 2 * 2 * 11 && series.wear.erases <= series.wear.programs, "{context}: {:?}", series.wear);
        });
    }
    on_every_geometry!(check);
}

#[test]
fn resets_with_a_torn_journal_repair_it_once() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        for tear in Tear::ALL {
            for at in 0..2 {
                let mut torn = Host::<WRITE, ERASE>::running(geometry, &image(1));
                torn.storage.flash.cut_at(at, tear, CacheLoss::Nothing);
                assert!(torn.write(|session| session.reject(Slot::B)).is_err(), "the power is cut in a commit");
                torn.power_on();
                on_every_cause(&torn, geometry, |_, series, context| {
                    assert_eq!(series.runs, Some((Slot::A, Why::Confirmed)), "{context}, {tear:?} at {at}");
                    assert!(series.boots <= 2, "{context}, {tear:?} at {at}: one boot repairs, the next one has nothing to do: {series:?}");
                });
            }
        }
    }
    on_every_geometry!(check);
}

#[test]
fn resets_of_a_host_on_which_nothing_is_confirmed_end_in_a_boot_that_writes_nothing() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let both = [(Region::Slot(Slot::A), 1), (Region::Slot(Slot::B), 2)];
        for present in [&both[..], &both[..1], &both[1..]] {
            let mut host = Host::<WRITE, ERASE>::new(geometry);
            for (region, seed) in present {
                host.storage.put(*region, &image(*seed).slot);
            }
            on_every_cause(&host, geometry, |host, series, context| {
                assert!(matches!(series.runs, Some((_, Why::LastResort))), "{context}: {series:?}");
                let state = host.state().expect("a journal");
                assert!(Slot::BOTH.iter().all(|slot| state.phase(*slot) == Phase::Rejected), "{context}: {state:?}");
            });
        }
    }
    on_every_geometry!(check);
}

/// Resets that also cut the boot itself, at any of its flash operations. The trial ends, the confirmed image stays, nothing wears without end.
#[test]
fn resets_in_the_middle_of_boots_end_in_a_confirmed_boot() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        for cause in CAUSES {
            let mut random = Random::new(11);
            for storm in 0..20 {
                let context = format!("{}, cause always {cause:?}, storm {storm}", geometry.name);
                let mut host = with_a_trial::<WRITE, ERASE>(geometry);
                let mut count = 0;
                while host.state().is_none_or(|state| state.phase(Slot::B) == Phase::Trial) {
                    let tear = Tear::ALL[random.below(Tear::ALL.len() as u64) as usize];
                    host.storage.flash.cut_at(random.below(6), tear, CacheLoss::All);
                    host.boot(cause);
                    host.power_on();
                    count += 1;
                    assert!(count < 1000, "{context}: the trial never ends");
                }
                let series = resets(&mut host, cause, &context);
                assert_eq!(series.runs, Some((Slot::A, Why::Confirmed)), "{context}");
                assert_eq!(host.state().expect("a journal").slots.a, SlotState::confirmed(image(1).short_digest()), "{context}");
            }
        }
    }
    on_every_geometry!(check);
}
