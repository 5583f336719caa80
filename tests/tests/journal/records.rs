//! One record and its place: what is torn, what is malformed, what may stand side by side.

use twinslot_bootloader::journal::{RECORD_SIZE, Record, SlotState, stride};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::storage::Region;
use twinslot_tests::on_every_geometry;
use twinslot_tests::random::Random;
use twinslot_tests::storage::{Geometry, SimStorage};

use super::logs::{LOGS, POLICY, commit, forged, log_of, open, record, state};

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
fn revoked_keys_that_repeat_or_are_too_many_are_no_list() {
    use twinslot_bootloader::journal::RevokedKeys;
    let encoded = |count: u8, ids: &[[u8; 8]]| [&[count], ids.as_flattened()].concat();
    let ids: Vec<[u8; 8]> = (1..=7).map(|number| [number; 8]).collect();
    let six: RevokedKeys = postcard::from_bytes(&encoded(6, &ids[..6])).expect("six keys");
    assert_eq!(six[..], ids[..6]);
    assert!(postcard::from_bytes::<RevokedKeys>(&encoded(7, &ids)).is_err());
    assert!(postcard::from_bytes::<RevokedKeys>(&encoded(2, &[[1; 8], [1; 8]])).is_err());
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
