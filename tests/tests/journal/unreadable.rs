//! Places and logs that can not be read.

use twinslot_bootloader::journal::{CommitError, RECORD_SIZE, stride};
use twinslot_bootloader::storage::Region;
use twinslot_tests::flash::{CacheLoss, Tear};
use twinslot_tests::geometry::NOR;
use twinslot_tests::on_every_geometry;
use twinslot_tests::storage::{Geometry, SimStorage};

use super::logs::{LOGS, POLICY, commit, floor, logs_of, open, record, state};

#[test]
fn a_log_with_a_read_error_is_left_alone_while_its_mirror_is_good() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        for log in LOGS {
            let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
            for floor_now in 1..=3 {
                commit(&mut storage, &state(floor_now)).expect("good flash");
            }
            let before = storage.bytes(log).to_vec();
            assert!(open(&mut storage).is_mirrored());
            storage.fail_reads(log);
            let journal = open(&mut storage);
            assert_eq!((journal.is_clean(), journal.is_mirrored()), (true, false), "the mirror is good, and alone");
            commit(&mut storage, &state(9)).expect("the mirror takes it");
            assert_eq!(floor(&mut storage), Some(9));
            assert!(before == storage.bytes(log), "not erased, not written");
            storage.flash.heal();
            let mut journal = open(&mut storage);
            assert_eq!((journal.state().map(|state| state.floor), journal.is_clean()), (Some(9), false));
            journal.repair(&mut storage, &POLICY).expect("good flash");
            assert!(open(&mut storage).is_clean());
        }
    }
    on_every_geometry!(check);
}

#[test]
fn places_that_no_erase_makes_readable_cost_a_boot_no_write() {
    let places = NOR.log_size / stride(4, NOR.tear_size);
    let bad = [1, 2, places / 2, places - 2, places - 1];
    for (first, second) in bad.iter().flat_map(|first| bad.map(|second| (*first, second))) {
        let mut storage = SimStorage::<4, 4096>::new(NOR);
        commit(&mut storage, &state(1)).expect("good flash");
        for (log, place) in LOGS.into_iter().zip([first, second]) {
            let start = storage.address(log, place * stride(4, NOR.tear_size));
            storage.flash.fail_reads(start..start + 1);
        }
        for floor_now in 2..=3 * places {
            commit(&mut storage, &state(floor_now)).expect("one of the logs takes it");
            // A log that was erased is written behind its bad place, and the other one may have to be erased for that.
            for _ in 0..2 {
                open(&mut storage).repair(&mut storage, &POLICY).expect("one of the logs takes it");
            }
            let before = storage.flash.counters();
            for _ in 0..3 {
                let mut journal = open(&mut storage);
                let found = (journal.state().map(|state| state.floor), journal.is_clean());
                assert_eq!(found, (Some(floor_now), true), "bad places {first} and {second}");
                assert_eq!(journal.repair(&mut storage, &POLICY), Ok(()));
            }
            assert_eq!(storage.flash.counters(), before, "a boot writes: bad places {first} and {second}");
        }
    }
}

#[test]
fn a_place_behind_a_blank_one_needs_no_repair_and_is_in_doubt_all_the_same() {
    let step = stride(4, NOR.tear_size);
    for (place, is_clean) in [(2, false), (3, true), (NOR.log_size / step - 1, true)] {
        let mut storage = logs_of::<4, 4096>(NOR, [&[record(6, 1), record(7, 2)]; 2]);
        let start = storage.address(Region::Log1, place * step);
        storage.flash.fail_reads(start..start + step);
        let mut journal = open(&mut storage);
        assert_eq!((journal.is_clean(), journal.next_sequence() > 8), (is_clean, true), "{place}");
        let next = journal.next_sequence();
        journal.commit(&mut storage, &POLICY, 7, &state(3)).expect("all of it is good flash but for one place");
        if place + 1 < NOR.log_size / step {
            let behind = &storage.bytes(Region::Log1)[((place + 1) * step) as usize..][..RECORD_SIZE];
            assert!(*behind == record(next, 3), "{place}: it is not written behind the place in doubt");
        }
    }
}

/// The place that can not be read may hold a record all the same: a writer that could not read the place in front of it at another time left a gap.
#[test]
fn a_commit_stands_against_a_record_that_comes_back_from_behind_a_gap() {
    let step = stride(4, NOR.tear_size);
    let mut storage = logs_of::<4, 4096>(NOR, [&[record(6, 1), record(7, 2)]; 2]);
    let place = |storage: &SimStorage<4, 4096>, number| {
        let start = storage.address(Region::Log0, number * step);
        start..start + step
    };
    // The repair writes behind the place that fails, and is cut before it comes to the other log.
    let gap = place(&storage, 2);
    storage.flash.fail_reads(gap);
    storage.flash.cut_at(1, Tear::Before, CacheLoss::All);
    assert_eq!(open(&mut storage).repair(&mut storage, &POLICY), Err(CommitError::Storage));
    storage.flash.power_on();
    storage.flash.heal();
    let left = [2, 3].map(|number| storage.bytes(Region::Log0)[(number * step) as usize..][..RECORD_SIZE] == [0xff; RECORD_SIZE]);
    assert_eq!(left, [true, false], "a gap, and a record behind it");
    let behind = place(&storage, 3);
    storage.flash.fail_reads(behind);
    commit(&mut storage, &state(9)).expect("the state is known");
    storage.flash.heal();
    assert_eq!(floor(&mut storage), Some(9), "what was told as committed is gone");
}

#[test]
fn a_log_whose_first_place_can_not_be_read_is_not_erased_while_its_mirror_is_good() {
    for log in LOGS {
        let mut storage = SimStorage::<4, 4096>::new(NOR);
        for floor_now in 1..=3 {
            commit(&mut storage, &state(floor_now)).expect("good flash");
        }
        let before = storage.bytes(log).to_vec();
        let start = storage.address(log, 0);
        storage.flash.fail_reads(start..start + 1);
        let erases = storage.flash.counters().erases;
        commit(&mut storage, &state(9)).expect("the mirror takes it");
        assert_eq!(floor(&mut storage), Some(9));
        assert_eq!(storage.flash.counters().erases, erases, "a unit that returned a read error is not erased while another will do");
        assert!(before[..RECORD_SIZE * 3] == storage.bytes(log)[..RECORD_SIZE * 3]);
    }
}

#[test]
fn nothing_is_written_where_neither_log_can_be_read() {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    commit(&mut storage, &state(1)).expect("good flash");
    storage.fail_reads(Region::Log0);
    assert!(!open(&mut storage).is_unreadable(), "one can");
    storage.fail_reads(Region::Log1);
    assert!(open(&mut storage).is_unreadable());
    let before = storage.flash.counters();
    assert_eq!(commit(&mut storage, &state(2)), Err(CommitError::Storage));
    assert_eq!(storage.flash.counters(), before);
    storage.flash.heal();
    assert_eq!(floor(&mut storage), Some(1));
}
