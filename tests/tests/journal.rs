//! The journal's two mirrored logs under torn records, read errors, failing writes and records of other layouts.

use embedded_storage::nor_flash::NorFlash;
use twinslot_bootloader::journal::{CommitError, Journal, LAYOUT_VERSION, Phase, Policy, RECORD_SIZE, Record, SlotState, State, stride};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{Region, Storage};
use twinslot_tests::flash::{CacheLoss, SimFlash, Tear};
use twinslot_tests::geometry::NOR;
use twinslot_tests::on_every_geometry;
use twinslot_tests::random::Random;
use twinslot_tests::storage::{Geometry, SimStorage};

const POLICY: Policy = Policy::DEFAULT;
const LOGS: [Region; 2] = [Region::Log0, Region::Log1];

fn state(floor: u32) -> State {
    let mut state = State::new(floor);
    state.slots.a = SlotState::confirmed([9; 16]);
    state
}

fn open<S: Storage>(storage: &mut S) -> Journal {
    Journal::open(storage, &POLICY)
}

fn commit<S: Storage>(storage: &mut S, state: &State) -> Result<u64, CommitError> {
    let mut journal = open(storage);
    let expected = journal.sequence();
    journal.commit(storage, &POLICY, expected, state)?;
    Ok(journal.sequence())
}

fn floor<S: Storage>(storage: &mut S) -> Option<u32> {
    open(storage).state().map(|state| state.floor)
}

/// A log with these records at its start.
fn log_of(geometry: Geometry, write_size: usize, records: &[[u8; RECORD_SIZE]]) -> Vec<u8> {
    let stride = stride(write_size as u32, geometry.tear_size) as usize;
    let mut log = Vec::new();
    for record in records {
        log.extend_from_slice(record);
        log.resize(log.len() + stride - RECORD_SIZE, 0xff);
    }
    log
}

fn record(sequence: u64, floor: u32) -> [u8; RECORD_SIZE] {
    Record { sequence, state: state(floor) }.encode().expect("a state that fits")
}

/// The same record with its bytes changed and its CRC made right again.
fn forged(mut bytes: [u8; RECORD_SIZE], change: impl FnOnce(&mut [u8; RECORD_SIZE])) -> [u8; RECORD_SIZE] {
    change(&mut bytes);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[..RECORD_SIZE - 4]);
    bytes[RECORD_SIZE - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn of_layout(version: u16, sequence: u64, floor: u32) -> [u8; RECORD_SIZE] {
    forged(record(sequence, floor), |bytes| bytes[4..6].copy_from_slice(&version.to_le_bytes()))
}

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
fn torn_records_are_skipped_over_and_never_written_again() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let mut torn = record(6, 6);
        torn[60..].fill(0xff);
        let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
        storage.put(Region::Log0, &log_of(geometry, WRITE, &[record(5, 5), torn]));
        storage.put(Region::Log1, &log_of(geometry, WRITE, &[record(5, 5)]));
        let mut journal = open(&mut storage);
        assert_eq!((journal.sequence(), journal.is_clean()), (5, false));
        assert!(journal.next_sequence() > 6, "the torn record had begun with 6");
        storage.flash.power_on();
        journal.repair(&mut storage, &POLICY).expect("room behind the torn record");
        assert!(open(&mut storage).is_clean());
        assert!(open(&mut storage).sequence() > 6);
    }
    // `put` marks whole logs as written, so that only what does not look at cells is asked here.
    on_every_geometry!(check);
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
fn any_changed_bit_makes_a_record_torn() {
    let good = record(5, 5);
    assert!(Record::decode(&good, &POLICY).is_some());
    for bit in 0..RECORD_SIZE * 8 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Record::decode(&bytes, &POLICY), None, "bit {bit}");
    }
}

#[test]
fn a_right_crc_does_not_make_a_malformed_record_valid() {
    let good = record(5, 5);
    let mut random = Random::new(23);
    for _ in 0..20_000 {
        let at = random.below(124) as usize;
        let value = random.byte();
        let bytes = forged(good, |bytes| bytes[at] = value);
        let Some(decoded) = Record::decode(&bytes, &POLICY) else { continue };
        assert_eq!(decoded.encode(), Some(bytes), "one record, one encoding");
        assert!(decoded.state.is_possible(&POLICY));
    }
}

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
fn a_log_that_lacks_the_newest_record_may_have_lost_as_many_begun_ones_as_it_has_room_for() {
    let places = u64::from(NOR.log_size / stride(4, NOR.tear_size));
    for records in [[&[record(7, 1)][..], &[]], [&[], &[record(7, 1)]], [&[record(7, 1)], &[record(6, 1)]]] {
        let mut storage = logs_of::<4, 4096>(NOR, records);
        assert_eq!(open(&mut storage).next_sequence(), 7 + 1 + places);
    }
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
fn an_older_loader_survives_records_of_a_newer_layout() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let newer = LAYOUT_VERSION + 1;
        let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
        for log in LOGS {
            storage.put(log, &log_of(geometry, WRITE, &[record(5, 5), of_layout(newer, 6, 6), of_layout(newer, 90, 7)]));
        }
        let journal = open(&mut storage);
        assert_eq!((journal.sequence(), journal.state().map(|state| state.floor)), (5, Some(5)), "what it can not read it does not guess");
        assert!(journal.next_sequence() > 90, "their sequences are not used again");
        let kept = log_of(geometry, WRITE, &[record(5, 5), of_layout(newer, 6, 6), of_layout(newer, 90, 7)]);
        // A fresh unit behind them: `put` has marked it written.
        let mut storage = with_erased_rest(storage, geometry, kept.len());
        let sequence = commit(&mut storage, &state(8)).expect("there is room behind them");
        assert!(sequence > 90);
        for log in LOGS {
            assert!(storage.bytes(log)[..kept.len()] == kept, "nothing of the newer layout is lost");
        }
        assert_eq!(floor(&mut storage), Some(8));
        assert!(open(&mut storage).is_clean());
    }
    on_every_geometry!(check);
}

/// The same storage with everything behind `used` bytes of each log reading blank.
fn with_erased_rest<const WRITE: usize, const ERASE: usize>(
    mut storage: SimStorage<WRITE, ERASE>,
    geometry: Geometry,
    used: usize,
) -> SimStorage<WRITE, ERASE> {
    for log in LOGS {
        let mut bytes = storage.bytes(log)[..used].to_vec();
        bytes.resize(geometry.log_size as usize, 0xff);
        storage.put(log, &bytes);
    }
    storage
}

#[test]
fn a_loader_starts_over_cautiously_where_every_record_is_of_another_layout() {
    let newer = LAYOUT_VERSION + 1;
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    for log in LOGS {
        storage.put(log, &log_of(NOR, 4, &[of_layout(newer, 5, 5), of_layout(newer, 77, 7)]));
    }
    let journal = open(&mut storage);
    assert!(journal.state().is_none(), "lost, which makes authentic slots trials");
    assert!(journal.next_sequence() > 77);
    let sequence = commit(&mut storage, &state(1)).expect("good flash");
    assert!(sequence > 77, "a newer loader that comes back takes this record for the newest");
}

#[test]
fn records_never_share_a_region_that_one_tear_damages() {
    for write_size in [1, 4, 16, 128, 256, 512] {
        for tear_size in [1, 4, 256, 512, 4096] {
            let stride = stride(write_size, tear_size);
            assert!(stride >= RECORD_SIZE as u32 && stride.is_multiple_of(write_size) && stride.is_multiple_of(tear_size));
            assert!(stride < RECORD_SIZE as u32 + write_size.max(tear_size), "no more than it needs");
        }
    }
    assert_eq!(stride(0, 0), RECORD_SIZE as u32, "a flash that says nothing of its units");
}

#[test]
fn reasons_survive_the_journal() {
    for code in 0..=u8::MAX {
        let reason = Reason::from_code(code);
        assert_eq!(reason.code(), code);
        let mut state = state(1);
        state.slots.b = SlotState::empty(Reason::None).rejected(reason);
        let bytes = Record { sequence: 1, state }.encode().expect("it fits");
        assert_eq!(Record::decode(&bytes, &POLICY).map(|record| record.state), Some(state));
    }
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
fn what_is_torn_in_the_padding_of_a_write_unit_is_torn() {
    fn check<const WRITE: usize, const ERASE: usize>(geometry: Geometry) {
        let stride = stride(WRITE as u32, geometry.tear_size);
        for behind in [RECORD_SIZE as u32, WRITE as u32 - 1] {
            let mut log = log_of(geometry, WRITE, &[record(5, 5)]);
            log.resize(log.len() + behind as usize, 0xff);
            log.push(0x7f);
            let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
            LOGS.into_iter().for_each(|region| storage.put(region, &log));
            let journal = open(&mut storage);
            assert_eq!((journal.sequence(), journal.is_clean()), (5, false), "{} at {behind}", geometry.name);

            let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
            LOGS.into_iter().for_each(|region| storage.put(region, &log_of(geometry, WRITE, &[record(5, 5)])));
            assert!(open(&mut storage).is_clean());
            for region in LOGS {
                let at = storage.address(region, stride + behind);
                storage.flash.fail_reads(at..at + 1);
            }
            assert!(!open(&mut storage).is_clean(), "what can not be read is not blank");
        }
    }
    check::<256, 4096>(twinslot_tests::geometry::PAGES);
    check::<512, 65_536>(twinslot_tests::geometry::BLOCKS);
}

#[test]
fn padding_behind_a_record_is_what_erased_flash_holds() {
    let mut storage = SimStorage::<512, 65_536>::new(twinslot_tests::geometry::BLOCKS);
    commit(&mut storage, &state(1)).expect("good flash");
    for log in LOGS {
        assert!(Record::decode(storage.bytes(log).first_chunk().expect("a record"), &POLICY).is_some());
        assert!(storage.bytes(log)[RECORD_SIZE..].iter().all(|byte| *byte == 0xff));
    }
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

#[test]
fn revoked_keys_that_repeat_or_are_too_many_are_no_list() {
    use twinslot_bootloader::journal::RevokedKeys;
    let encoded = |count: u8, ids: &[[u8; 8]]| [&[count], ids.as_flattened()].concat();
    let ids: Vec<[u8; 8]> = (1..=7).map(|number| [number; 8]).collect();
    let six: RevokedKeys = postcard::from_bytes(&encoded(6, &ids[..6])).expect("six keys");
    assert_eq!(six[..], ids[..6]);
    assert!(postcard::from_bytes::<RevokedKeys>(&encoded(7, &ids)).is_err());
    assert!(postcard::from_bytes::<RevokedKeys>(&encoded(2, &[[1; 8], [1; 8]])).is_err());
}

/// Storage whose logs hold these records and are erased behind them.
fn logs_of<const WRITE: usize, const ERASE: usize>(geometry: Geometry, logs: [&[[u8; RECORD_SIZE]]; 2]) -> SimStorage<WRITE, ERASE> {
    let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
    for (region, records) in LOGS.into_iter().zip(logs) {
        storage.put(region, &log_of(geometry, WRITE, records));
    }
    storage
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

#[test]
fn a_record_holds_as_many_revoked_keys_as_there_may_be() {
    for count in 0..=6_u8 {
        let mut state = state(77);
        (1..=count).for_each(|number| state.revoked.insert([number; 8]).expect("room"));
        let bytes = Record { sequence: 1, state }.encode().expect("it fits");
        assert_eq!(Record::decode(&bytes, &POLICY).map(|record| record.state), Some(state), "{count} keys");
        let more = forged(bytes, |bytes| {
            let at = bytes.windows(9).position(|window| window == [count, 1, 1, 1, 1, 1, 1, 1, 1]).unwrap_or(RECORD_SIZE - 5);
            bytes[at] = 7;
        });
        assert_eq!(Record::decode(&more, &POLICY), None, "seven keys are too many");
    }
}
