//! When a log is erased.

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::journal::{RECORD_SIZE, Record};
use twinslot_tests::flash::{CacheLoss, SimFlash, Tear};
use twinslot_tests::geometry::NOR;
use twinslot_tests::on_every_geometry;
use twinslot_tests::storage::{Geometry, SimStorage};

use super::logs::{LOGS, POLICY, commit, floor, logs_of, open, record, state};

#[test]
fn a_full_log_is_erased_only_while_its_mirror_holds_the_newest_record() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry)
    where
        SimFlash<WRITE, ERASE>: NorFlash,
    {
        let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
        for floor_now in 1..=200 {
            commit(&mut storage, &state(floor_now)).expect("good flash");
            let erases = storage.flash.counters().erases;
            let mut next = storage.clone();
            // Every prefix of the next commit still holds this state in one log or the other.
            commit(&mut next, &state(floor_now + 1)).expect("good flash");
            if next.flash.counters().erases == erases {
                continue;
            }
            let operations = next.flash.counters().operations() - storage.flash.counters().operations();
            for at in 0..operations {
                let mut cut = storage.clone();
                cut.flash.cut_at(at, Tear::After, CacheLoss::All);
                let _ = commit(&mut cut, &state(floor_now + 1));
                cut.flash.power_on();
                assert!(floor(&mut cut).is_some_and(|left| left >= floor_now), "{} at {at}", geometry.name);
            }
        }
    }
    on_every_geometry!(check);
}

#[test]
fn a_log_whose_first_place_holds_no_record_is_erased_before_it_is_used() {
    let torn = [0x5a; RECORD_SIZE];
    for (damaged, log) in LOGS.into_iter().enumerate() {
        let good = [record(4, 4), record(5, 5)];
        let bad = [torn, record(5, 5)];
        let logs = if damaged == 0 { [&bad[..], &good[..]] } else { [&good[..], &bad[..]] };
        let mut storage = logs_of::<4, 4096>(NOR, logs);
        let erases = storage.flash.counters().erases;
        commit(&mut storage, &state(6)).expect("good flash");
        assert_eq!(storage.flash.counters().erases, erases + 1, "{log:?}");
        assert!(Record::decode(storage.bytes(log).first_chunk().expect("a place"), &POLICY).is_some(), "the new record lies in its first place");
    }
}

#[test]
fn a_log_that_lacks_the_newest_record_is_erased_before_it_is_used() {
    for (behind, log) in LOGS.into_iter().enumerate() {
        let (older, newer) = ([record(4, 4)], [record(4, 4), record(5, 5)]);
        let logs = if behind == 0 { [&older[..], &newer[..]] } else { [&newer[..], &older[..]] };
        let mut storage = logs_of::<4, 4096>(NOR, logs);
        let erases = storage.flash.counters().erases;
        commit(&mut storage, &state(6)).expect("good flash");
        assert_eq!(storage.flash.counters().erases, erases + 1);
        assert!(Record::decode(storage.bytes(log).first_chunk().expect("a place"), &POLICY).is_some_and(|record| record.state.floor == 6));
    }
}

#[test]
fn a_journal_that_is_clean_or_lost_is_not_repaired() {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    assert_eq!(open(&mut storage).repair(&mut storage, &POLICY), Ok(()));
    assert_eq!(storage.flash.counters().operations(), 0, "a lost journal is left as it is");
    commit(&mut storage, &state(1)).expect("good flash");
    let before = storage.flash.counters();
    assert_eq!(open(&mut storage).repair(&mut storage, &POLICY), Ok(()));
    assert_eq!(storage.flash.counters(), before, "a clean one as well");
}
