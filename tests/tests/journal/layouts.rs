//! Records of other layouts.

use twinslot_bootloader::journal::LAYOUT_VERSION;
use twinslot_tests::geometry::NOR;
use twinslot_tests::on_every_geometry;
use twinslot_tests::storage::{Geometry, SimStorage};

use super::logs::{LOGS, commit, floor, log_of, of_layout, open, record, state};

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
