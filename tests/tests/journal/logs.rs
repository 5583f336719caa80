//! Logs and records as the tests need them.

use twinslot_bootloader::journal::{CommitError, Journal, Policy, RECORD_SIZE, Record, SlotState, State, stride};
use twinslot_bootloader::storage::{Region, Storage};
use twinslot_tests::storage::{Geometry, SimStorage};

pub(crate) const POLICY: Policy = Policy::DEFAULT;
pub(crate) const LOGS: [Region; 2] = [Region::Log0, Region::Log1];

pub(crate) fn state(floor: u32) -> State {
    let mut state = State::new(floor);
    state.slots.a = SlotState::confirmed([9; 16]);
    state
}

pub(crate) fn open<S: Storage>(storage: &mut S) -> Journal {
    Journal::open(storage, &POLICY)
}

pub(crate) fn commit<S: Storage>(storage: &mut S, state: &State) -> Result<u64, CommitError> {
    let mut journal = open(storage);
    let expected = journal.sequence();
    journal.commit(storage, &POLICY, expected, state)?;
    Ok(journal.sequence())
}

pub(crate) fn floor<S: Storage>(storage: &mut S) -> Option<u32> {
    open(storage).state().map(|state| state.floor)
}

/// A log with these records at its start.
pub(crate) fn log_of(geometry: Geometry, write_size: usize, records: &[[u8; RECORD_SIZE]]) -> Vec<u8> {
    let stride = stride(write_size as u32, geometry.tear_size) as usize;
    let mut log = Vec::new();
    for record in records {
        log.extend_from_slice(record);
        log.resize(log.len() + stride - RECORD_SIZE, 0xff);
    }
    log
}

pub(crate) fn record(sequence: u64, floor: u32) -> [u8; RECORD_SIZE] {
    Record { sequence, state: state(floor) }.encode().expect("a state that fits")
}

/// The same record with its bytes changed and its CRC made right again.
pub(crate) fn forged(mut bytes: [u8; RECORD_SIZE], change: impl FnOnce(&mut [u8; RECORD_SIZE])) -> [u8; RECORD_SIZE] {
    change(&mut bytes);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[..RECORD_SIZE - 4]);
    bytes[RECORD_SIZE - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

pub(crate) fn of_layout(version: u16, sequence: u64, floor: u32) -> [u8; RECORD_SIZE] {
    forged(record(sequence, floor), |bytes| bytes[4..6].copy_from_slice(&version.to_le_bytes()))
}

/// Storage whose logs hold these records and are erased behind them.
pub(crate) fn logs_of<const WRITE: usize, const ERASE: usize>(geometry: Geometry, logs: [&[[u8; RECORD_SIZE]]; 2]) -> SimStorage<WRITE, ERASE> {
    let mut storage = SimStorage::<WRITE, ERASE>::new(geometry);
    for (region, records) in LOGS.into_iter().zip(logs) {
        storage.put(region, &log_of(geometry, WRITE, records));
    }
    storage
}
