//! The adapter over a disk in memory that keeps a record of what was asked of it.

use super::*;
use crate::disk::Failure;

const SIZE: u32 = 4 * ERASE_SIZE;
const UNLOCKED: Extent = Extent { offset: ERASE_SIZE, size: ERASE_SIZE };
const NONE: Extent = Extent { offset: 0, size: 0 };

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Read(u64, usize),
    Write(u64, usize),
    Flush,
    Rest,
}

struct MemoryDisk {
    bytes: Vec<u8>,
    asked: Vec<Asked>,
    bad_sector: Option<u64>,
}

impl MemoryDisk {
    fn range(sector: u64, len: usize) -> std::ops::Range<usize> {
        assert!(len > 0 && len.is_multiple_of(SECTOR), "whole sectors, at least one");
        let start = sector as usize * SECTOR;
        start..start + len
    }
}

impl Disk for MemoryDisk {
    fn sectors(&mut self) -> Result<u64, DiskError> {
        Ok((self.bytes.len() / SECTOR) as u64)
    }

    fn read(&mut self, sector: u64, bytes: &mut [u8]) -> Result<(), DiskError> {
        self.asked.push(Asked::Read(sector, bytes.len()));
        let range = Self::range(sector, bytes.len());
        if self.bad_sector.is_some_and(|bad| range.contains(&(bad as usize * SECTOR))) {
            return Err(DiskError::Failed);
        }
        bytes.copy_from_slice(&self.bytes[range]);
        Ok(())
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.asked.push(Asked::Write(sector, bytes.len()));
        self.bytes[Self::range(sector, bytes.len())].copy_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.asked.push(Asked::Flush);
        Ok(())
    }

    fn rest(&mut self) -> Result<(), DiskError> {
        self.asked.push(Asked::Rest);
        Ok(())
    }
}

fn disk() -> WatchedDisk<MemoryDisk> {
    let bytes = (0..SIZE as usize).map(|at| (at ^ (at >> 8)) as u8).collect();
    WatchedDisk::new(MemoryDisk { bytes, asked: Vec::new(), bad_sector: None })
}

fn bytes_of(disk: &WatchedDisk<MemoryDisk>) -> Vec<u8> {
    disk.disk().bytes.clone()
}

impl WatchedDisk<MemoryDisk> {
    fn disk(&self) -> std::cell::RefMut<'_, MemoryDisk> {
        self.inner().borrow_mut()
    }
}

#[test]
fn any_offset_and_length_reads_what_lies_there() {
    let disk = disk();
    let expected = bytes_of(&disk);
    let mut flash = DiskFlash::new(&disk, SIZE, [UNLOCKED, NONE]);
    for offset in [0_u32, 1, 511, 512, 513, 1023, 65535] {
        for len in [0_usize, 1, 2, 511, 512, 513, 1024, 1025, 5000] {
            let mut bytes = vec![0; len];
            flash.read(offset, &mut bytes).expect("a read inside the flash");
            assert_eq!(bytes, expected[offset as usize..offset as usize + len], "{len} bytes at {offset}");
        }
    }
}

#[test]
fn a_disk_that_ends_before_the_layout_is_told_from_one_that_does_not() {
    assert!(!disk().ends_before(u64::from(SIZE)));
    assert!(disk().ends_before(u64::from(SIZE) + 1));
}

#[test]
fn whole_sectors_are_read_once_and_into_place_and_the_disk_rests_afterwards() {
    let disk = disk();
    let mut flash = DiskFlash::new(&disk, SIZE, [UNLOCKED, NONE]);
    flash.read(1024, &mut [0; 4096]).expect("a read");
    assert_eq!(disk.disk().asked, [Asked::Read(2, 4096), Asked::Rest]);
    disk.disk().asked.clear();
    flash.read(1000, &mut [0; 1100]).expect("a read");
    assert_eq!(disk.disk().asked, [Asked::Read(1, 512), Asked::Read(2, 1024), Asked::Read(4, 512), Asked::Rest]);
}

#[test]
fn an_erase_fills_whole_units_and_a_write_changes_whole_sectors() {
    let disk = disk();
    let mut expected = bytes_of(&disk);
    let mut flash = DiskFlash::new(&disk, SIZE, [UNLOCKED, NONE]);
    flash.erase(ERASE_SIZE, 2 * ERASE_SIZE).expect("an erase");
    flash.write(ERASE_SIZE + 512, &[7; 1024]).expect("a write");
    expected[ERASE_SIZE as usize..2 * ERASE_SIZE as usize].fill(0xff);
    expected[ERASE_SIZE as usize + 512..][..1024].fill(7);
    assert!(bytes_of(&disk) == expected);
    disk.disk().asked.clear();
    flash.flush().expect("a flush");
    assert_eq!(disk.disk().asked, [Asked::Flush, Asked::Rest]);
}

#[test]
fn what_is_not_whole_or_not_unlocked_or_not_there_changes_nothing() {
    let disk = disk();
    let before = bytes_of(&disk);
    let mut flash = DiskFlash::new(&disk, SIZE, [UNLOCKED, NONE]);
    assert_eq!(flash.write(ERASE_SIZE + 1, &[0; 512]), Err(FlashError::Unaligned));
    assert_eq!(flash.write(ERASE_SIZE, &[0; 511]), Err(FlashError::Unaligned));
    assert_eq!(flash.erase(ERASE_SIZE, ERASE_SIZE + 512), Err(FlashError::Unaligned));
    assert_eq!(flash.erase(2 * ERASE_SIZE, ERASE_SIZE), Err(FlashError::OutOfBounds));
    assert_eq!(flash.write(0, &[0; 512]), Err(FlashError::Protected));
    assert_eq!(flash.write(2 * ERASE_SIZE - 512, &[0; 1024]), Err(FlashError::Protected));
    assert_eq!(flash.erase(0, ERASE_SIZE), Err(FlashError::Protected));
    assert_eq!(flash.write(SIZE, &[0; 512]), Err(FlashError::OutOfBounds));
    assert_eq!(flash.read(SIZE - 1, &mut [0; 2]), Err(FlashError::OutOfBounds));
    assert_eq!(flash.read(u32::MAX, &mut [0; 2]), Err(FlashError::OutOfBounds));
    assert!(bytes_of(&disk) == before);
    assert!(disk.disk().asked.is_empty());
}

#[test]
fn a_failure_is_remembered_with_its_place_once() {
    let disk = disk();
    disk.disk().bad_sector = Some(3);
    let mut flash = DiskFlash::new(&disk, SIZE, [UNLOCKED, NONE]);
    assert_eq!(flash.read(1536, &mut [0; 512]), Err(FlashError::Disk(DiskError::Failed)));
    let failure = disk.take_failure().expect("a failure");
    assert_eq!(failure, Failure { operation: Operation::Read, sector: 3, error: DiskError::Failed });
    assert_eq!(disk.take_failure(), None);
}
