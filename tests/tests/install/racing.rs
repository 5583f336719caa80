//! Two writers on the same storage, as they come about where nothing keeps a second one out.

use std::cell::RefCell;
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use twinslot_bootloader::install::{Host as Writer, InstallError, Session};
use twinslot_bootloader::journal::{CommitError, Journal, Phase};
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{NoCounter, Region, Storage, StorageError, Window};
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::flash::{FlashError, SimFlash};
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{LAYOUT, Settings, identity, image};

/// One flash in several hands.
#[derive(Debug, Clone)]
struct Shared(Rc<RefCell<SimFlash<4, 4096>>>);

impl ErrorType for Shared {
    type Error = FlashError;
}

impl ReadNorFlash for Shared {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.0.borrow_mut().read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.borrow().capacity()
    }
}

impl NorFlash for Shared {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.0.borrow_mut().erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.borrow_mut().write(offset, bytes)
    }
}

impl Storage for Shared {
    type Flash = Self;

    fn tear_size(&self) -> u32 {
        NOR.tear_size
    }

    fn region(&mut self, region: Region) -> Window<'_, Self> {
        let (start, size) = NOR.place(region);
        Window::new(self, start, size)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

#[test]
fn a_writer_that_came_late_begins_no_install_in_a_slot_that_another_one_armed() {
    let settings = Settings::new(1);
    let writer = Writer { identity: identity(), anchor: &settings.anchor, policy: settings.policy, layout: LAYOUT };
    let flash = Shared(Rc::new(RefCell::new(SimFlash::new(NOR.flash_size()))));
    let (mut one, mut other, mut third) = (flash.clone(), flash.clone(), flash);
    let (mut crypto, mut counter) = ((CheapCrypto, CheapCrypto), (NoCounter, NoCounter));
    let (first, second) = (image(1), image(2));

    // The slot is empty by a record, so that beginning another install commits nothing.
    let mut early = Session::offline(&mut one, &mut crypto.0, &mut counter.0, writer);
    let slot = early.inactive().expect("nothing runs");
    drop(early.install(slot, first.header(), &first.table).expect("an install"));

    let mut late = Session::offline(&mut other, &mut crypto.1, &mut counter.1, writer);
    let slot = early.inactive().expect("nothing runs");
    let mut install = early.install(slot, first.header(), &first.table).expect("an install");
    install.write_chunk(first.chunk(0)).expect("its chunk");
    install.finish().expect("armed");

    let slot = late.inactive_slot(Slot::B).expect("it was empty when this writer looked");
    let begun = late.install(slot, second.header(), &second.table);
    assert_eq!(begun.err(), Some(InstallError::Commit(CommitError::Stale)));
    let journal = Journal::open(&mut third, &settings.policy);
    assert_eq!(journal.state().map(|state| state.slots.b.phase), Some(Phase::Trial), "what the other one armed stands");
}
