//! A flash that writes down every operation and what it held before, so that each way to interrupt it can be made without running the code again.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use twinslot_bootloader::storage::{Region, Storage, StorageError, Window};

use crate::board::Board;
use crate::content::{Content, Unit, is_blank};
use twinslot_tests::flash::{Breach, FlashError};

/// Most bytes that one operation programs; more only where the write size is larger.
pub const PAGE: usize = 256;

/// Something that a step does to the flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Up to [`PAGE`] bytes programmed.
    Program {
        /// Where.
        at: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// One erase unit erased.
    Erase {
        /// Where.
        at: usize,
    },
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { at, bytes } => write!(f, "program {} bytes at {at}", bytes.len()),
            Self::Erase { at } => write!(f, "erase at {at}"),
        }
    }
}

/// An operation and what the medium held when it began.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What the medium held.
    pub before: Content,
    /// What a cache held that had not reached it, oldest first. Empty without a cache.
    pub waiting: Vec<Rc<Operation>>,
    /// What was to be done.
    pub operation: Rc<Operation>,
}

/// What the storage does wrong during a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Reads that touch the range fail.
    Unreadable(Range<usize>),
    /// The operation does nothing and says that it did.
    Swallowed(usize),
    /// The operation works and says that it failed.
    Denied(usize),
    /// The operation fails and does nothing.
    Failed(usize),
    /// The read of this number gives bytes with one bit flipped; reads before and after it do not. Reads of blank bytes are not counted.
    OtherBytes(usize),
}

/// The flash beneath a step.
#[derive(Debug)]
pub struct Medium {
    board: &'static Board,
    view: Content,
    durable: Content,
    waiting: Vec<Rc<Operation>>,
    recorded: Vec<Recorded>,
    fault: Option<Fault>,
    reads: usize,
    breaches: Vec<Breach>,
}

impl Medium {
    /// A medium that holds `content`.
    #[must_use]
    pub fn new(board: &'static Board, content: &Content, fault: Option<Fault>) -> Self {
        Self {
            board,
            view: content.clone(),
            durable: content.clone(),
            waiting: Vec::new(),
            recorded: Vec::new(),
            fault,
            reads: 0,
            breaches: Vec::new(),
        }
    }

    /// The content at the end of a step, the operations that led there, the number of reads, the rules of the flash that were broken.
    /// What still waits in a cache is on the medium by then: a reset, unlike a power cut, does not lose it.
    #[must_use]
    pub fn finish(self) -> (Content, Vec<Recorded>, usize, Vec<Breach>) {
        (self.view, self.recorded, self.reads, self.breaches)
    }

    fn read(&mut self, at: usize, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.check(at, bytes.len(), 1)?;
        self.view.read(at, bytes);
        let is_counted = !is_blank(bytes);
        self.reads += usize::from(is_counted);
        match &self.fault {
            Some(Fault::Unreadable(range)) if range.start < at + bytes.len() && at < range.end => Err(FlashError),
            Some(Fault::OtherBytes(number)) if is_counted && *number + 1 == self.reads => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn perform(&mut self, operation: Operation) -> Result<(), FlashError> {
        let number = self.recorded.len();
        let operation = Rc::new(operation);
        let before = if self.board.cached { self.durable.clone() } else { self.view.clone() };
        self.recorded.push(Recorded { before, waiting: self.waiting.clone(), operation: Rc::clone(&operation) });
        match self.fault {
            Some(Fault::Swallowed(at)) if at == number => {
                self.swallow(&operation);
                return Ok(());
            }
            Some(Fault::Failed(at)) if at == number => return Err(FlashError),
            _ => {}
        }
        apply(&operation, &mut self.view, self.board.erase_size);
        if self.board.cached {
            self.waiting.push(operation);
        }
        if self.fault == Some(Fault::Denied(number)) { Err(FlashError) } else { Ok(()) }
    }

    fn swallow(&mut self, operation: &Operation) {
        if let Operation::Erase { at } = operation {
            self.view.swallow_erase(*at..*at + self.board.erase_size);
        }
    }

    fn flush(&mut self) {
        self.waiting.clear();
        self.durable = self.view.clone();
    }

    fn check(&mut self, at: usize, len: usize, unit: usize) -> Result<(), FlashError> {
        if at + len > self.view.size() {
            self.breaches.push(Breach::OutOfBounds(at as u32));
            return Err(FlashError);
        }
        if !at.is_multiple_of(unit) || !len.is_multiple_of(unit) {
            self.breaches.push(Breach::Misaligned(at as u32));
            return Err(FlashError);
        }
        Ok(())
    }

    fn check_erased(&mut self, at: usize, len: usize) {
        // Blocks behind a cache are rewritten in place.
        if self.board.cached {
            return;
        }
        match self.view.first_not_programmable(at, len) {
            Some(Unit::Written) => self.breaches.push(Breach::WrittenTwice(at as u32)),
            Some(Unit::Unreliable) => self.breaches.push(Breach::WeakErase(at as u32)),
            _ => {}
        }
    }
}

/// Does all of an operation.
pub fn apply(operation: &Operation, content: &mut Content, erase_size: usize) {
    match operation {
        Operation::Program { at, bytes } => content.program(*at, bytes),
        Operation::Erase { at } => content.erase(*at..at + erase_size),
    }
}

/// The `NorFlash` port of a medium. Several writers may hold one.
#[derive(Debug, Clone)]
pub struct Port<const WRITE: usize, const ERASE: usize>(Rc<RefCell<Medium>>);

impl<const WRITE: usize, const ERASE: usize> ErrorType for Port<WRITE, ERASE> {
    type Error = FlashError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for Port<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.0.borrow_mut().read(offset as usize, bytes)
    }

    fn capacity(&self) -> usize {
        self.0.borrow().view.size()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for Port<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let mut medium = self.0.borrow_mut();
        let (from, to) = (from as usize, to as usize);
        medium.check(from, to.saturating_sub(from), ERASE)?;
        (from..to).step_by(ERASE).try_for_each(|at| medium.perform(Operation::Erase { at }))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let mut medium = self.0.borrow_mut();
        let mut at = offset as usize;
        medium.check(at, bytes.len(), WRITE)?;
        medium.check_erased(at, bytes.len());
        for page in bytes.chunks(PAGE.next_multiple_of(WRITE)) {
            medium.perform(Operation::Program { at, bytes: page.to_vec() })?;
            at += page.len();
        }
        Ok(())
    }
}

/// The storage port of one writer.
#[derive(Debug, Clone)]
pub struct MediumStorage<const WRITE: usize, const ERASE: usize> {
    port: Port<WRITE, ERASE>,
    board: &'static Board,
}

impl<const WRITE: usize, const ERASE: usize> MediumStorage<WRITE, ERASE> {
    /// A writer's access to a medium.
    #[must_use]
    pub fn new(medium: &Rc<RefCell<Medium>>) -> Self {
        let board = medium.borrow().board;
        Self { port: Port(Rc::clone(medium)), board }
    }
}

impl<const WRITE: usize, const ERASE: usize> Storage for MediumStorage<WRITE, ERASE> {
    type Flash = Port<WRITE, ERASE>;

    fn tear_size(&self) -> u32 {
        self.board.tear_size as u32
    }

    fn region(&mut self, region: Region) -> Window<'_, Self::Flash> {
        let range = self.board.region(region);
        Window::new(&mut self.port, range.start as u32, range.len() as u32)
    }

    fn flush(&mut self) -> Result<(), StorageError> {
        self.port.0.borrow_mut().flush();
        Ok(())
    }
}
