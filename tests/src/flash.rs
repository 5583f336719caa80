//! A simulated flash that keeps NOR rules, remembers every breach of them, and loses power when told to.
//!
//! One *operation* is one erase unit erased, or up to [`PAGE`] bytes programmed: the grain at which a power cut is placed. With a cache, operations
//! reach the medium at a flush only, and a cut decides which of the waiting ones did.

use std::ops::Range;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::random::Random;

/// Most bytes that one operation programs.
pub const PAGE: usize = 256;

/// What a power cut leaves of the operation that it hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tear {
    /// Nothing of it happened.
    Before,
    /// The first half of it happened.
    FirstHalf,
    /// The second half of it happened: flash may erase its rows in any order.
    SecondHalf,
    /// Programming cleared some of the bits; an erase left noise.
    Noise,
    /// All of it reads as done, but an erase is not to be relied on: the unit must be erased again before it is programmed.
    Weak,
    /// All of it happened; whoever asked for it was not told.
    After,
}

impl Tear {
    /// Every pattern.
    pub const ALL: [Self; 6] = [Self::Before, Self::FirstHalf, Self::SecondHalf, Self::Noise, Self::Weak, Self::After];
}

/// What reaches the medium of the operations that wait in a cache when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheLoss {
    /// None of them.
    All,
    /// Only the newest one: the cache wrote out of order.
    AllButNewest,
    /// All of them.
    Nothing,
}

/// A rule of NOR flash that the code under test broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breach {
    /// A write to units that were not erased since they were written.
    WrittenTwice(u32),
    /// A write into a unit whose erase was cut.
    WeakErase(u32),
    /// An offset or length that is not a multiple of the write or erase size.
    Misaligned(u32),
    /// Outside the flash.
    OutOfBounds(u32),
}

/// How many operations there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Pages programmed.
    pub programs: u64,
    /// Units erased.
    pub erases: u64,
}

impl Counters {
    /// Everything that changes the flash.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.programs + self.erases
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Erased,
    Weak,
    Written,
}

#[derive(Debug, Clone)]
enum Operation {
    Program(u32, Vec<u8>),
    Erase(u32),
    /// What an erase that was cut leaves: the bytes of the unit, and which of them count as erased, or not to be relied on.
    Left(u32, Vec<u8>, Range<usize>, Cell),
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    at: u64,
    tear: Tear,
    loss: CacheLoss,
    seed: u64,
}

/// The flash.
#[derive(Debug, Clone)]
pub struct SimFlash<const WRITE: usize, const ERASE: usize> {
    view: Vec<u8>,
    cells: Vec<Cell>,
    durable: Option<(Vec<u8>, Vec<Cell>)>,
    waiting: Vec<Operation>,
    cut: Option<Cut>,
    powered: bool,
    counters: Counters,
    breaches: Vec<Breach>,
    unreadable: Vec<Range<u32>>,
    unwritable: Vec<Range<u32>>,
    stuck: Vec<Range<u32>>,
    reads_before_error: Option<u64>,
    reads_before_the_end: Option<u64>,
    flushes_before_error: Option<u64>,
}

/// The flash refused or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashError;

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl<const WRITE: usize, const ERASE: usize> SimFlash<WRITE, ERASE> {
    /// A flash of `size` bytes that reads blank but was never erased.
    #[must_use]
    pub fn new(size: u32) -> Self {
        let size = size as usize;
        Self {
            view: vec![0xff; size],
            cells: vec![Cell::Weak; size / WRITE],
            durable: None,
            waiting: Vec::new(),
            cut: None,
            powered: true,
            counters: Counters::default(),
            breaches: Vec::new(),
            unreadable: Vec::new(),
            unwritable: Vec::new(),
            stuck: Vec::new(),
            reads_before_error: None,
            reads_before_the_end: None,
            flushes_before_error: None,
        }
    }

    /// Puts a write cache before the medium; only a flush empties it.
    pub fn add_cache(&mut self) {
        self.durable = Some((self.view.clone(), self.cells.clone()));
    }

    /// Cuts the power at operation `at`, counted from 0 and from now on.
    pub fn cut_at(&mut self, at: u64, tear: Tear, loss: CacheLoss) {
        let at = self.counters.operations() + at;
        self.cut = Some(Cut { at, tear, loss, seed: at ^ 0x5eed });
    }

    /// Whether a cut has hit.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        !self.powered
    }

    /// Gives power again, and forgets the cut.
    pub fn power_on(&mut self) {
        self.cut = None;
        self.powered = true;
    }

    /// Makes reads fail that touch `range`.
    pub fn fail_reads(&mut self, range: Range<u32>) {
        self.unreadable.push(range);
    }

    /// Makes writes and erases fail that touch `range`.
    pub fn fail_writes(&mut self, range: Range<u32>) {
        self.unwritable.push(range);
    }

    /// Makes writes that touch `range` do nothing and say that they did.
    pub fn swallow_writes(&mut self, range: Range<u32>) {
        self.stuck.push(range);
    }

    /// Makes one read fail, after `good` more that do not.
    pub const fn fail_one_read(&mut self, good: u64) {
        self.reads_before_error = Some(good);
    }

    /// Makes every read fail, after `good` more that do not.
    pub const fn fail_all_reads(&mut self, good: u64) {
        self.reads_before_the_end = Some(good);
    }

    /// Makes one flush fail, after `good` more that do not.
    pub const fn fail_one_flush(&mut self, good: u64) {
        self.flushes_before_error = Some(good);
    }

    /// Whether a failure of one read or one flush is still to come.
    #[must_use]
    pub const fn is_failure_pending(&self) -> bool {
        self.reads_before_error.is_some() || self.flushes_before_error.is_some()
    }

    /// Ends all failures.
    pub fn heal(&mut self) {
        self.reads_before_error = None;
        self.reads_before_the_end = None;
        self.flushes_before_error = None;
        self.unreadable.clear();
        self.unwritable.clear();
        self.stuck.clear();
    }

    /// How many operations there were so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The rules broken so far.
    #[must_use]
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// The bytes as a processor that has the flash mapped sees them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.view
    }

    /// Puts bytes there as a factory would: erased, programmed, durable, not counted.
    pub fn put(&mut self, offset: u32, bytes: &[u8]) {
        let start = offset as usize;
        let end = start + bytes.len();
        self.view[start..end].copy_from_slice(bytes);
        self.cells[start / WRITE..end.div_ceil(WRITE)].fill(Cell::Written);
        self.settle();
    }

    /// Flips one bit, as radiation or an attacker would.
    pub fn flip(&mut self, offset: u32, bit: u8) {
        self.view[offset as usize] ^= 1 << bit;
        self.settle();
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// The power is off.
    pub fn flush(&mut self) -> Result<(), FlashError> {
        self.require_power()?;
        count_down(&mut self.flushes_before_error)?;
        self.settle();
        Ok(())
    }

    fn settle(&mut self) {
        self.waiting.clear();
        if let Some((bytes, cells)) = &mut self.durable {
            bytes.copy_from_slice(&self.view);
            cells.copy_from_slice(&self.cells);
        }
    }

    fn require_power(&self) -> Result<(), FlashError> {
        if self.powered { Ok(()) } else { Err(FlashError) }
    }

    /// Performs one operation, or as much of it as a cut leaves.
    fn perform(&mut self, operation: Operation) -> Result<(), FlashError> {
        let number = self.counters.operations();
        match &operation {
            Operation::Program(..) => self.counters.programs += 1,
            Operation::Erase(_) | Operation::Left(..) => self.counters.erases += 1,
        }
        match self.cut {
            Some(cut) if cut.at == number => {
                self.tear(operation, cut);
                self.lose_cache(cut.loss);
                self.powered = false;
                Err(FlashError)
            }
            _ => {
                self.apply(&operation);
                if self.durable.is_some() {
                    self.waiting.push(operation);
                }
                Ok(())
            }
        }
    }

    fn tear(&mut self, operation: Operation, cut: Cut) {
        let torn = match operation {
            Operation::Program(at, bytes) => torn_program::<WRITE>(at, bytes, cut),
            Operation::Erase(at) | Operation::Left(at, ..) => self.torn_erase(at, cut),
        };
        if let Some(torn) = torn {
            self.apply(&torn);
            self.waiting.push(torn);
        }
    }

    fn torn_erase(&self, at: u32, cut: Cut) -> Option<Operation> {
        let start = at as usize;
        let mut left = self.view[start..start + ERASE].to_vec();
        let (range, cell) = match cut.tear {
            Tear::Before => return None,
            Tear::FirstHalf => (0..ERASE / 2, Cell::Erased),
            Tear::SecondHalf => (ERASE / 2..ERASE, Cell::Erased),
            Tear::Noise | Tear::Weak => (0..ERASE, Cell::Weak),
            Tear::After => (0..ERASE, Cell::Erased),
        };
        if cut.tear == Tear::Noise {
            let mut random = Random::new(cut.seed);
            left.iter_mut().for_each(|byte| *byte |= random.byte());
        } else {
            left[range.clone()].fill(0xff);
        }
        Some(Operation::Left(at, left, range, cell))
    }

    fn apply(&mut self, operation: &Operation) {
        apply::<WRITE, ERASE>(operation, &mut self.view, &mut self.cells);
    }

    /// What the medium holds once the cache is gone becomes what is read.
    fn lose_cache(&mut self, loss: CacheLoss) {
        let Some((bytes, cells)) = &mut self.durable else { return };
        let kept: &[Operation] = match loss {
            CacheLoss::All => &[],
            CacheLoss::AllButNewest => &self.waiting[self.waiting.len().saturating_sub(1)..],
            CacheLoss::Nothing => &self.waiting,
        };
        for operation in kept {
            apply::<WRITE, ERASE>(operation, bytes, cells);
        }
        self.waiting.clear();
        self.view.copy_from_slice(bytes);
        self.cells.copy_from_slice(cells);
    }

    fn check_range(&mut self, offset: u32, len: usize, unit: usize) -> Result<(), FlashError> {
        self.require_power()?;
        if (offset as usize).checked_add(len).is_none_or(|end| end > self.view.len()) {
            self.breaches.push(Breach::OutOfBounds(offset));
            return Err(FlashError);
        }
        if !(offset as usize).is_multiple_of(unit) || !len.is_multiple_of(unit) {
            self.breaches.push(Breach::Misaligned(offset));
            return Err(FlashError);
        }
        Ok(())
    }

    fn check_cells(&mut self, offset: u32, len: usize) {
        // A cache in front of a block device takes every write: its blocks are rewritten in place.
        if self.durable.is_some() {
            return;
        }
        let first = offset as usize / WRITE;
        for cell in &self.cells[first..first + len / WRITE] {
            match cell {
                Cell::Erased => continue,
                Cell::Weak => self.breaches.push(Breach::WeakErase(offset)),
                Cell::Written => self.breaches.push(Breach::WrittenTwice(offset)),
            }
            return;
        }
    }
}

/// What a cut leaves of programming a page: whole write units in order, except for noise.
fn torn_program<const WRITE: usize>(at: u32, bytes: Vec<u8>, cut: Cut) -> Option<Operation> {
    let half = (bytes.len() / 2).next_multiple_of(WRITE).min(bytes.len());
    match cut.tear {
        Tear::Before => None,
        Tear::FirstHalf => Some(Operation::Program(at, bytes[..half].to_vec())),
        Tear::SecondHalf => Some(Operation::Program(at + half as u32, bytes[half..].to_vec())),
        Tear::Noise => {
            let mut random = Random::new(cut.seed);
            let noisy = bytes.iter().map(|byte| byte | random.byte()).collect();
            Some(Operation::Program(at, noisy))
        }
        Tear::Weak | Tear::After => Some(Operation::Program(at, bytes)),
    }
}

/// Programming only clears bits; erasing sets all of a unit.
fn apply<const WRITE: usize, const ERASE: usize>(operation: &Operation, bytes: &mut [u8], cells: &mut [Cell]) {
    match operation {
        Operation::Program(at, new) => {
            let start = *at as usize;
            let end = start + new.len();
            for (byte, new) in bytes[start..end].iter_mut().zip(new) {
                *byte &= new;
            }
            cells[start / WRITE..end / WRITE].fill(Cell::Written);
        }
        Operation::Erase(at) => {
            let start = *at as usize;
            bytes[start..start + ERASE].fill(0xff);
            cells[start / WRITE..(start + ERASE) / WRITE].fill(Cell::Erased);
        }
        Operation::Left(at, left, range, cell) => {
            let start = *at as usize;
            bytes[start..start + ERASE].copy_from_slice(left);
            cells[(start + range.start) / WRITE..(start + range.end) / WRITE].fill(*cell);
        }
    }
}

/// Fails once, when nothing good is left before the error.
fn count_down(good_before_error: &mut Option<u64>) -> Result<(), FlashError> {
    match good_before_error.take() {
        Some(0) => Err(FlashError),
        Some(good) => {
            *good_before_error = Some(good - 1);
            Ok(())
        }
        None => Ok(()),
    }
}

fn touches(ranges: &[Range<u32>], offset: u32, len: usize) -> bool {
    let end = u64::from(offset) + len as u64;
    ranges.iter().any(|range| u64::from(range.start) < end && offset < range.end)
}

impl<const WRITE: usize, const ERASE: usize> ErrorType for SimFlash<WRITE, ERASE> {
    type Error = FlashError;
}

impl<const WRITE: usize, const ERASE: usize> ReadNorFlash for SimFlash<WRITE, ERASE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.check_range(offset, bytes.len(), 1)?;
        count_down(&mut self.reads_before_error)?;
        if let Some(good) = &mut self.reads_before_the_end {
            *good = good.checked_sub(1).ok_or(FlashError)?;
        }
        if touches(&self.unreadable, offset, bytes.len()) {
            return Err(FlashError);
        }
        let start = offset as usize;
        bytes.copy_from_slice(&self.view[start..start + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.view.len()
    }
}

impl<const WRITE: usize, const ERASE: usize> NorFlash for SimFlash<WRITE, ERASE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.saturating_sub(from) as usize;
        self.check_range(from, len, ERASE)?;
        for at in (from..to).step_by(ERASE) {
            if touches(&self.unwritable, at, ERASE) {
                return Err(FlashError);
            }
            self.perform(Operation::Erase(at))?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.check_range(offset, bytes.len(), WRITE)?;
        self.check_cells(offset, bytes.len());
        let mut at = offset;
        for page in bytes.chunks(PAGE.next_multiple_of(WRITE)) {
            if touches(&self.unwritable, at, page.len()) {
                return Err(FlashError);
            }
            if !touches(&self.stuck, at, page.len()) {
                self.perform(Operation::Program(at, page.to_vec()))?;
            }
            at += page.len() as u32;
        }
        Ok(())
    }
}
