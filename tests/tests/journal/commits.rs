//! What a commit promises: whole in both logs, through cuts and failures, or told as failed.

use twinslot_bootloader::journal::{CommitError, Phase, RECORD_SIZE, Record, SlotState, State};
use twinslot_bootloader::slot::Slot;
use twinslot_tests::flash::{CacheLoss, SimFlash, Tear};
use twinslot_tests::geometry::NOR;
use twinslot_tests::on_every_geometry;
use twinslot_tests::random::Random;
use twinslot_tests::storage::{Geometry, SimStorage};

use super::logs::{LOGS, POLICY, commit, floor, log_of, open, record, state};

#[test]
fn a_commit_is_in_both_logs_and_survives_the_loss_of_either() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
        assert!(open(&mut storage).state().is_none());
        for floor_now in 1..=80 {
            commit(&mut storage, &state(floor_now)).expect("good flash");
            let journal = open(&mut storage);
            assert!(journal.is_clean() && journal.is_mirrored());
            for log in LOGS {
                let mut lost = storage.clone();
                lost.put(log, &[]);
                assert_eq!(floor(&mut lost), Some(floor_now));
                let mut damaged = storage.clone();
                damaged.put(log, &Random::new(u64::from(floor_now)).bytes(geometry.log_size as usize));
                assert_eq!(floor(&mut damaged), Some(floor_now));
                let mut unreadable = storage.clone();
                unreadable.fail_reads(log);
                assert_eq!(floor(&mut unreadable), Some(floor_now));
            }
        }
        assert!(storage.flash.breaches().is_empty(), "{:?}", storage.flash.breaches());
    }
    on_every_geometry!(check);
}

#[test]
fn blank_units_are_erased_before_first_use() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
        commit(&mut storage, &state(1)).expect("good flash");
        assert!(storage.flash.counters().erases >= 2);
        assert!(storage.flash.breaches().is_empty());
    }
    on_every_geometry!(check);
}

#[test]
fn a_cut_commit_leaves_the_old_or_the_new_state_and_the_next_commit_works() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let mut start = SimStorage::<WRITE, ERASE>::new(geometry);
        for floor_now in 1..=70 {
            commit(&mut start, &state(floor_now)).expect("good flash");
            let mut whole = start.clone();
            commit(&mut whole, &state(floor_now + 1)).expect("good flash");
            let operations = whole.flash.counters().operations() - start.flash.counters().operations();
            for at in 0..operations {
                for tear in Tear::ALL {
                    let mut storage = start.clone();
                    let begun = open(&mut storage).next_sequence();
                    storage.flash.cut_at(at, tear, CacheLoss::All);
                    assert_eq!(commit(&mut storage, &state(floor_now + 1)), Err(CommitError::Storage));
                    storage.flash.power_on();
                    let left = floor(&mut storage).expect("never lost");
                    assert!(left == floor_now || left == floor_now + 1, "{left} after {floor_now}");
                    let mut journal = open(&mut storage);
                    let erases = whole.flash.counters().erases > start.flash.counters().erases;
                    let untouched = storage.flash.bytes() == start.flash.bytes();
                    assert!(journal.next_sequence() > begun || untouched || erases, "{at} {tear:?}");
                    journal.repair(&mut storage, &POLICY).expect("good flash");
                    assert!(open(&mut storage).is_clean());
                    assert_eq!(floor(&mut storage), Some(left), "a repair decides nothing");
                    assert!(storage.flash.breaches().is_empty(), "{at} {tear:?}: {:?}", storage.flash.breaches());
                }
            }
        }
    }
    check::<4, 4096>(NOR);
    check::<256, 4096>(twinslot_tests::geometry::PAGES);
}

#[test]
fn a_stale_writer_is_refused_and_writes_nothing() {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    commit(&mut storage, &state(1)).expect("good flash");
    let mut first = open(&mut storage);
    let expected = first.sequence();
    commit(&mut storage, &state(2)).expect("good flash");
    let before = storage.flash.counters();
    assert_eq!(first.commit(&mut storage, &POLICY, expected, &state(3)), Err(CommitError::Stale));
    assert_eq!(storage.flash.counters(), before);
    assert_eq!(floor(&mut storage), Some(2));
}

/// States that no writer commits, each for its own reason.
fn impossible_states() -> Vec<(&'static str, State)> {
    let good = state(1);
    let trial = SlotState::trial([3; 16], &POLICY);
    let with = |change: &dyn Fn(&mut State)| {
        let mut state = good;
        change(&mut state);
        state
    };
    vec![
        ("attempts above policy", with(&|state| state.slots.b = SlotState { attempts_left: 4, ..trial })),
        ("boots above policy", with(&|state| state.slots.b = SlotState { boots_left: 11, ..trial })),
        ("preferred empty beside a confirmed slot", with(&|state| state.preferred = Slot::B)),
        ("confirmed without a digest", with(&|state| state.slots.a.digest = [0; 16])),
        ("confirmed with attempts", with(&|state| state.slots.a.attempts_left = 1)),
        ("trial without a digest", with(&|state| state.slots.b = SlotState { digest: [0; 16], ..trial })),
        ("empty with a digest", with(&|state| state.slots.b.digest = [3; 16])),
        ("rejected with boots", with(&|state| state.slots.b = SlotState { phase: Phase::Rejected, ..trial })),
        ("a confirmed slot in flight", with(&|state| state.in_flight = Some(Slot::A))),
        ("an empty slot in flight", with(&|state| state.in_flight = Some(Slot::B))),
    ]
}

#[test]
fn an_impossible_state_is_never_committed_and_counts_as_torn() {
    for (name, impossible) in impossible_states() {
        let mut storage = SimStorage::<4, 4096>::new(NOR);
        commit(&mut storage, &state(1)).expect("good flash");
        let before = storage.flash.counters();
        assert_eq!(commit(&mut storage, &impossible), Err(CommitError::Impossible), "{name}");
        assert_eq!(storage.flash.counters(), before, "{name}");

        let bytes = Record { sequence: 7, state: impossible }.encode().expect("it fits");
        assert_eq!(Record::decode(&bytes, &POLICY), None, "{name}");
        let mut storage = SimStorage::<4, 4096>::new(NOR);
        for log in LOGS {
            storage.put(log, &log_of(NOR, 4, &[record(6, 1), bytes]));
        }
        let journal = open(&mut storage);
        assert_eq!((journal.sequence(), journal.is_clean()), (6, false), "{name}");
        assert!(journal.next_sequence() > 7, "{name}: its sequence is not used again");
    }
    let beyond = record(1 << 48, 1);
    assert_eq!(Record::decode(&beyond, &POLICY), None, "a sequence of 2^48");
    assert!(Record::decode(&record((1 << 48) - 1, 1), &POLICY).is_some(), "the greatest sequence");
}

/// A fault while a writer makes its state from the one that it read could lose floor and revocations, and the record would have a right CRC.
#[test]
fn a_commit_that_forgets_the_floor_or_a_revoked_key_of_the_newest_record_is_refused() {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    let mut newest = state(5);
    for key in [[1; 8], [2; 8]] {
        newest.revoked.insert(key).expect("there is room");
    }
    commit(&mut storage, &newest).expect("good flash");
    let with_keys = |keys: &[[u8; 8]]| {
        let mut state = State { revoked: state(0).revoked, ..newest };
        for key in keys {
            state.revoked.insert(*key).expect("there is room");
        }
        state
    };
    let laxer = [
        ("a lower floor", State { floor: 4, ..newest }),
        ("no floor", State { floor: 0, ..newest }),
        ("no revoked key", with_keys(&[])),
        ("the second key is lost", with_keys(&[[1; 8]])),
        ("the first key is lost", with_keys(&[[2; 8]])),
        ("another key in its place", with_keys(&[[1; 8], [3; 8]])),
        ("a new key does not make up for an old one", State { floor: 6, ..with_keys(&[[1; 8], [3; 8], [4; 8]]) }),
    ];
    for (name, laxer) in laxer {
        let before = storage.flash.counters();
        assert_eq!(commit(&mut storage, &laxer), Err(CommitError::Impossible), "{name}");
        assert_eq!(storage.flash.counters(), before, "{name}");
        assert_eq!(open(&mut storage).state(), Some(&newest), "{name}");
    }
    commit(&mut storage, &State { floor: 6, ..with_keys(&[[1; 8], [2; 8], [3; 8]]) }).expect("stricter");
}

#[test]
fn whichever_read_or_flush_of_a_commit_fails_it_tells_the_truth_and_loses_nothing() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let mut start = SimStorage::<WRITE, ERASE>::new(geometry);
        for floor_now in 1..=40 {
            commit(&mut start, &state(floor_now)).expect("good flash");
            for fail in [SimFlash::fail_one_read, SimFlash::fail_one_flush] {
                for good in 0.. {
                    let mut storage = start.clone();
                    let (mut journal, expected) = (open(&mut storage), open(&mut storage).sequence());
                    fail(&mut storage.flash, good);
                    let told = journal.commit(&mut storage, &POLICY, expected, &state(floor_now + 1));
                    let was_the_last = storage.flash.is_failure_pending();
                    storage.flash.heal();
                    let left = floor(&mut storage).expect("never lost");
                    assert!(left == floor_now + 1 || (left == floor_now && told.is_err()), "{told:?} at {good}, which left {left}");
                    assert!(storage.flash.breaches().is_empty(), "{:?}", storage.flash.breaches());
                    if was_the_last {
                        break;
                    }
                }
            }
        }
    }
    check::<4, 4096>(NOR);
    check::<512, 65_536>(twinslot_tests::geometry::BLOCKS);
}

#[test]
fn a_flush_that_fails_fails_the_commit() {
    for good in 0..2 {
        let mut storage = SimStorage::<4, 4096>::new(NOR);
        commit(&mut storage, &state(1)).expect("good flash");
        storage.flash.fail_one_flush(good);
        assert_eq!(commit(&mut storage, &state(2)), Err(CommitError::Storage), "each log is made durable before it is read back");
    }
}

#[test]
fn a_commit_that_can_not_be_found_afterwards_is_told_as_failed() {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    commit(&mut storage, &state(1)).expect("good flash");
    let mut journal = open(&mut storage);
    let expected = journal.sequence();
    // At some number of good reads both logs were written and read back, and only the scan behind that finds nothing any more.
    let written_both = (0..200).filter(|good| {
        let mut storage = storage.clone();
        storage.flash.fail_all_reads(*good);
        let told = journal.commit(&mut storage, &POLICY, expected, &state(2));
        storage.flash.heal();
        let mut places = LOGS.map(|log| storage.bytes(log)[RECORD_SIZE..].first_chunk().and_then(|place| Record::decode(place, &POLICY)));
        told == Err(CommitError::Storage) && places.iter_mut().all(|place| place.take().is_some_and(|record| record.state == state(2)))
    });
    assert!(written_both.count() > 0);
}

#[test]
fn a_write_unit_that_no_journal_can_have_is_refused_before_a_record_is_written() {
    let mut storage = SimStorage::<1024, 4096>::new(Geometry { name: "too large", tear_size: 1024, ..NOR });
    assert_eq!(commit(&mut storage, &state(1)), Err(CommitError::Storage));
    assert_eq!(storage.flash.counters().programs, 0);
}

#[test]
fn a_log_that_holds_no_record_place_is_no_journal() {
    let mut storage = SimStorage::<4, 4096>::new(Geometry { name: "no room", log_size: 0, ..NOR });
    assert!(open(&mut storage).state().is_none());
    assert_eq!(commit(&mut storage, &state(1)), Err(CommitError::Storage));
}
