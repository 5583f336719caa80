//! Sequences: above every one that was ever begun, and not wasted.

use twinslot_bootloader::journal::{CommitError, RECORD_SIZE, Record, stride};
use twinslot_bootloader::storage::Region;
use twinslot_tests::flash::{CacheLoss, Tear};
use twinslot_tests::geometry::NOR;
use twinslot_tests::on_every_geometry;
use twinslot_tests::random::Random;
use twinslot_tests::storage::{Geometry, SimStorage};

use super::logs::{LOGS, POLICY, commit, floor, log_of, logs_of, open, record, state};

#[test]
fn every_sequence_is_greater_than_every_one_begun_before_it() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let mut random = Random::new(17);
        for _ in 0..12 {
            let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
            commit(&mut storage, &state(0)).expect("good flash");
            for round in 1..60 {
                if random.below(2) == 0 {
                    storage.flash.cut_at(random.below(3), Tear::ALL[random.below(6) as usize], CacheLoss::All);
                }
                let begun = open(&mut storage).next_sequence();
                let done = commit(&mut storage, &state(round));
                storage.flash.power_on();
                let next = open(&mut storage).next_sequence();
                assert!(done.is_err() || next > begun, "{next} after {begun}");
                for held in LOGS.into_iter().flat_map(|log| begun_sequences(&storage, log)) {
                    assert!(next > held, "{next} while the flash holds {held}");
                }
            }
        }
    }
    on_every_geometry!(check);
}

/// The sequence fields of everything in a log that begins like a record. A log without a record at its start is erased before it is used again.
fn begun_sequences<const WRITE: usize, const ERASE: usize>(storage: &SimStorage<WRITE, ERASE>, log: Region) -> Vec<u64> {
    let stride = stride(WRITE as u32, storage.geometry().tear_size) as usize;
    let places: Vec<&[u8; RECORD_SIZE]> = storage.bytes(log).chunks(stride).filter_map(|place| place.first_chunk()).collect();
    if places.first().is_none_or(|first| Record::decode(first, &POLICY).is_none()) {
        return Vec::new();
    }
    let begun = places.into_iter().filter(|place| place.starts_with(b"TWJR") && place[12..14] == [0, 0]);
    begun.map(|place| u64::from_le_bytes(place[6..14].try_into().expect("8 bytes"))).collect()
}

#[test]
fn a_journal_without_sequences_left_says_so_and_writes_nothing() {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    for log in LOGS {
        storage.put(log, &log_of(NOR, 4, &[record((1 << 48) - 1, 1)]));
    }
    let before = storage.flash.counters();
    assert_eq!(commit(&mut storage, &state(2)), Err(CommitError::Exhausted));
    assert_eq!((storage.flash.counters(), floor(&mut storage)), (before, Some(1)));
}

#[test]
fn a_log_that_lacks_the_newest_record_may_have_lost_as_many_begun_ones_as_it_has_room_for() {
    let places = u64::from(NOR.log_size / stride(4, NOR.tear_size));
    for records in [[&[record(7, 1)][..], &[]], [&[], &[record(7, 1)]], [&[record(7, 1)], &[record(6, 1)]]] {
        let mut storage = logs_of::<4, 4096>(NOR, records);
        assert_eq!(open(&mut storage).next_sequence(), 7 + 1 + places);
    }
}

#[test]
fn a_lost_journal_whose_log_was_unreadable_counts_from_above() {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    for floor_now in 1..=5 {
        commit(&mut storage, &state(floor_now)).expect("good flash");
    }
    storage.put(Region::Log1, &[]);
    storage.fail_reads(Region::Log0);
    let sequence = commit(&mut storage, &state(50)).expect("the other log takes it");
    storage.flash.heal();
    assert_eq!(floor(&mut storage), Some(50), "the older records of the healed log do not win");
    assert!(sequence > 5);
}

#[test]
fn of_two_records_with_one_sequence_the_first_log_s_stands_through_every_cut() {
    for count in [1, 32] {
        let fill = |floor| (0..count).map(|at| record(5 + at, floor)).collect::<Vec<_>>();
        let start = logs_of::<4, 4096>(NOR, [&fill(1), &fill(2)]);
        for at in 0..6 {
            for tear in Tear::ALL {
                let mut storage = start.clone();
                let mut journal = open(&mut storage);
                assert_eq!((journal.state().map(|state| state.floor), journal.is_clean()), (Some(1), false));
                storage.flash.cut_at(at, tear, CacheLoss::All);
                let _ = journal.repair(&mut storage, &POLICY);
                storage.flash.power_on();
                assert_eq!(floor(&mut storage), Some(1), "{count} records, cut {at} {tear:?}");
            }
        }
    }
}

#[test]
fn sequences_begin_above_what_an_unreadable_log_may_hold_and_are_not_wasted_otherwise() {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    assert!(open(&mut storage).next_sequence() <= 65, "1, and as many as two blank logs may have lost");
    commit(&mut storage, &state(1)).expect("good flash");
    let sequence = open(&mut storage).sequence();
    assert_eq!(open(&mut storage).next_sequence(), sequence + 1);
    storage.fail_reads(Region::Log1);
    assert!(open(&mut storage).next_sequence() <= sequence + 97, "the newest record is known");

    let mut storage = logs_of::<4, 4096>(NOR, [&[record(1_000_000, 7)], &[]]);
    storage.fail_reads(Region::Log0);
    assert!(commit(&mut storage, &state(8)).expect("the other log takes it") > 1 << 32);
    storage.flash.heal();
    assert_eq!(floor(&mut storage), Some(8));
}

#[test]
fn a_log_that_lacks_the_newest_record_may_have_held_a_begun_sequence_in_each_of_its_places() {
    let places = u64::from(NOR.log_size / stride(4, NOR.tear_size));
    for logs in [[&[record(5, 5)][..], &[]], [&[], &[record(5, 5)][..]], [&[record(5, 5)][..], &[record(4, 4)]]] {
        let mut storage = logs_of::<4, 4096>(NOR, logs);
        assert!(open(&mut storage).next_sequence() > 5 + places);
    }
}
