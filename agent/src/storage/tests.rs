use tempfile::NamedTempFile;
use twinslot_bootloader::journal::{Journal, SlotState, State};

use super::*;

const LAYOUT: &str = include_str!("../../tests/layout.toml");

fn layout() -> Layout {
    Layout::parse(LAYOUT).expect("the layout of the tests")
}

/// A file as long as the layout needs, of zeros like a new disk.
fn disk() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a temporary file");
    file.as_file().set_len(layout().flash_extent()).expect("a longer file");
    file
}

fn open(disk: &NamedTempFile) -> FileStorage {
    FileStorage::open(disk.path(), &layout()).expect("storage")
}

fn open_error(path: &Path, text: &str) -> String {
    let layout = Layout::parse(text).expect("a layout");
    FileStorage::open(path, &layout).expect_err("storage that can not be opened").to_string()
}

#[test]
fn a_committed_state_is_there_after_the_storage_was_closed() {
    let disk = disk();
    let policy = layout().policy;
    let mut state = State::new(7);
    state.slots.b = SlotState::trial([9; 16], &policy);
    let mut storage = open(&disk);
    let mut last = 0;
    for _ in 0..40 {
        let mut journal = Journal::open(&mut storage, &policy);
        journal.commit(&mut storage, &policy, last, &state).expect("a commit");
        last = journal.sequence();
    }
    drop(storage);
    let journal = Journal::open(&mut open(&disk), &policy);
    assert_eq!((journal.sequence(), journal.state()), (last, Some(&state)));
    assert!(journal.is_clean());
}

#[test]
fn erasing_and_writing_touch_their_own_range_only() {
    let disk = disk();
    let mut storage = open(&disk);
    let mut window = storage.region(Region::Slot(Slot::A));
    window.erase(ERASE_SIZE, 2 * ERASE_SIZE).expect("an erase");
    window.write(ERASE_SIZE + WRITE_SIZE, &[0x55; WRITE_SIZE as usize]).expect("a write");
    storage.flush().expect("a flush");
    let bytes = std::fs::read(disk.path()).expect("the file");
    let start = (layout().slot_a.offset + u64::from(ERASE_SIZE)) as usize;
    let write = start + WRITE_SIZE as usize..start + 2 * WRITE_SIZE as usize;
    for (at, byte) in bytes.iter().enumerate() {
        let expected = match at {
            at if write.contains(&at) => 0x55,
            at if (start..start + ERASE_SIZE as usize).contains(&at) => 0xff,
            _ => 0,
        };
        assert_eq!(*byte, expected, "byte {at:#x}");
    }
}

#[test]
fn a_second_writer_is_kept_out_until_the_first_is_gone() {
    let disk = disk();
    let first = open(&disk);
    let second = FileStorage::open(disk.path(), &layout()).expect_err("the first writer is there").to_string();
    assert!(second.ends_with("another process is using it; try again when it is done"), "{second}");
    assert!(matches!(FileStorage::open_read_only(disk.path(), &layout()), Err(OpenError::InUse { .. })));
    drop(first);
    drop(open(&disk));
}

/// What a process has that was started meanwhile, until it becomes its program: the same open file.
#[test]
fn an_inherited_file_does_not_keep_the_lock_of_storage_that_was_dropped() {
    let disk = disk();
    let storage = open(&disk);
    let _inherited = storage.flash.file.try_clone().expect("the same open file once more");
    drop(storage);
    drop(open(&disk));
    let reader = FileStorage::open_read_only(disk.path(), &layout()).expect("a reader");
    let _inherited = reader.flash.file.try_clone().expect("the same open file once more");
    drop(reader);
    drop(open(&disk));
}

#[test]
fn readers_do_not_keep_each_other_out() {
    let disk = disk();
    let _first = FileStorage::open_read_only(disk.path(), &layout()).expect("a reader");
    FileStorage::open_read_only(disk.path(), &layout()).expect("a second reader");
    assert!(matches!(FileStorage::open(disk.path(), &layout()), Err(OpenError::InUse { .. })));
}

#[test]
fn what_was_opened_for_reading_is_not_written() {
    let disk = disk();
    let mut storage = FileStorage::open_read_only(disk.path(), &layout()).expect("a reader");
    assert_eq!(storage.flash.write(0, &[0; WRITE_SIZE as usize]), Err(FlashError::ReadOnly));
    assert_eq!(storage.flash.erase(0, ERASE_SIZE), Err(FlashError::ReadOnly));
    storage.flush().expect("nothing to make durable");
}

#[test]
fn operations_that_are_not_whole_units_or_end_outside_are_refused() {
    let disk = disk();
    let mut flash = open(&disk).flash;
    let end = flash.size;
    assert_eq!(flash.write(1, &[0; WRITE_SIZE as usize]), Err(FlashError::Unaligned));
    assert_eq!(flash.write(0, &[0; 1]), Err(FlashError::Unaligned));
    assert_eq!(flash.erase(WRITE_SIZE, ERASE_SIZE), Err(FlashError::Unaligned));
    assert_eq!(flash.write(end, &[0; WRITE_SIZE as usize]), Err(FlashError::OutOfBounds));
    assert_eq!(flash.erase(end, end + ERASE_SIZE), Err(FlashError::OutOfBounds));
    assert_eq!(flash.erase(ERASE_SIZE, 0), Err(FlashError::OutOfBounds));
    assert_eq!(flash.read(end, &mut [0]), Err(FlashError::OutOfBounds));
    assert_eq!(flash.read(u32::MAX, &mut [0; 2]), Err(FlashError::OutOfBounds));
}

#[test]
fn a_failure_of_the_operating_system_is_kept() {
    let disk = disk();
    let mut storage = open(&disk);
    disk.as_file().set_len(0).expect("a file that somebody cut short");
    assert_eq!(storage.region(Region::Log0).read(0, &mut [0]), Err(StorageError));
    assert_eq!(storage.failure().map(io::Error::kind), Some(io::ErrorKind::UnexpectedEof));
}

#[test]
fn every_unusable_storage_has_a_named_error() {
    let disk = disk();
    let of = |from: &str, to: &str| open_error(disk.path(), &LAYOUT.replace(from, to));
    assert!(of("write_size = 512", "write_size = 4").contains("flash.write_size is 4, a block device needs 512"));
    assert!(of("erase_size = 0x10000", "erase_size = 0x8000").contains("flash.erase_size is 32768, a block device needs 65536"));
    assert!(of("tear_size = 4096", "tear_size = 512").contains("flash.tear_size is 512, a block device needs 4096 or more"));
    let folder = tempfile::tempdir().expect("a folder");
    assert!(open_error(folder.path(), LAYOUT).contains("is neither a block device nor a regular file"));
    assert!(open_error(&folder.path().join("absent"), LAYOUT).contains("No such file"));
    disk.as_file().set_len(layout().flash_extent() - 1).expect("a shorter file");
    assert!(open_error(disk.path(), LAYOUT).contains("the layout needs 1048576"));
}
