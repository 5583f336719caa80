//! The device tree: what the machine's own says about memory, and the one that Linux gets.
//!
//! Guarantee: no tree, however damaged, does more than give a [`TreeError`]. The tree for Linux is the given one, compacted, with the loader's
//! page reserved and the properties of `/chosen` that the loader is responsible for; everything else in it is as it was.
//!
//! Own code, in a fifth of what a crate for all of a tree's uses takes of the loader; its tests have `dtc` and `fdtget` at the other end.

mod blocks;
mod edit;

use core::fmt;

use heapless::Vec;
use twinslot_bootloader::load::Span;

use blocks::{Blocks, Token, word};
pub use edit::LinuxTree;

/// Most ranges of memory that a machine may have, and most that may be reserved.
pub const MAX_RANGES: usize = 16;

/// Ranges of memory.
pub type Ranges = Vec<Span, MAX_RANGES>;

/// How many bytes the tree has whose header these are; `None` without the header of a tree.
#[must_use]
pub fn claimed_size(head: &[u8]) -> Option<usize> {
    blocks::claimed_size(head)
}

/// The tree that the machine was started with.
#[derive(Clone, Copy)]
pub struct MachineTree<'a> {
    blocks: Blocks<'a>,
}

impl<'a> MachineTree<'a> {
    /// The tree at the front of `bytes`, checked as a whole.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(bytes: &'a [u8]) -> Result<Self, TreeError> {
        Blocks::read(bytes).map(|blocks| Self { blocks })
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.blocks.bytes
    }

    /// The machine's memory.
    ///
    /// # Errors
    /// It says nothing about memory, or more than fits.
    pub fn memory(&self) -> Result<Ranges, TreeError> {
        let mut ranges = Ranges::new();
        self.registers(&ROOT, is_memory, &mut ranges)?;
        if ranges.is_empty() { Err(TreeError::NoMemory) } else { Ok(ranges) }
    }

    /// Memory that the tree says is taken.
    ///
    /// # Errors
    /// There are more ranges than fit.
    pub fn reserved(&self) -> Result<Ranges, TreeError> {
        let mut ranges = Ranges::new();
        self.blocks.each_reservation(|taken| push(&mut ranges, taken))?;
        self.registers(&RESERVED_MEMORY, |_| true, &mut ranges)?;
        Ok(ranges)
    }

    /// Adds the ranges in the `reg` of those nodes right below `parent` whose name is wanted. A node without one has none.
    #[inline(never)]
    fn registers(&self, parent: &Parent, is_wanted: fn(&[u8]) -> bool, ranges: &mut Ranges) -> Result<(), TreeError> {
        let child = parent.depth + 1;
        let mut cells = Cells::default();
        let (mut in_parent, mut in_wanted, mut registers) = (false, false, None);
        let mut walk = self.blocks.walk();
        loop {
            match walk.next()? {
                Token::Begin(name) if walk.depth == parent.depth => {
                    in_parent = name == parent.name;
                    cells = Cells::default();
                }
                Token::Begin(name) if walk.depth == child => {
                    in_wanted = in_parent && is_wanted(name);
                    registers = None;
                }
                Token::Property(b"#address-cells", value) if walk.depth == parent.depth && in_parent => {
                    said(&mut cells.address, number_of_cells(value)?)?;
                }
                Token::Property(b"#size-cells", value) if walk.depth == parent.depth && in_parent => {
                    said(&mut cells.size, number_of_cells(value)?)?;
                }
                Token::Property(b"reg", value) if walk.depth == child && in_wanted => {
                    said(&mut registers, value)?;
                    push_registers(value, cells, ranges)?;
                }
                Token::Over => return Ok(()),
                _ => {}
            }
        }
    }
}

/// What a node says twice is read one way here and another way elsewhere.
fn said<T>(place: &mut Option<T>, value: T) -> Result<(), TreeError> {
    if place.replace(value).is_some() { Err(TreeError::Malformed) } else { Ok(()) }
}

/// A node whose children are looked at.
struct Parent {
    name: &'static [u8],
    /// The root's is 1.
    depth: usize,
}

const ROOT: Parent = Parent { name: b"", depth: 1 };
const RESERVED_MEMORY: Parent = Parent { name: b"reserved-memory", depth: 2 };

/// How many cells of 32 bits an address and a size have in the `reg` of a node's children, where the node says it.
#[derive(Clone, Copy, Default)]
struct Cells {
    address: Option<usize>,
    size: Option<usize>,
}

impl Cells {
    /// Source of what holds where nothing is said: Devicetree Specification, release 0.4, section 2.3.5.
    fn address_and_size(self) -> (usize, usize) {
        (self.address.unwrap_or(2), self.size.unwrap_or(1))
    }
}

/// Numbers of more than 64 bits are not for memory.
fn number_of_cells(value: &[u8]) -> Result<usize, TreeError> {
    match word(value, 0) {
        Some(cells @ 0..=2) if value.len() == size_of::<u32>() => Ok(cells as usize),
        _ => Err(TreeError::Malformed),
    }
}

/// `memory` or `memory@40000000`, and no other node whose name begins so.
fn is_memory(name: &[u8]) -> bool {
    name.strip_prefix(b"memory").is_some_and(|rest| matches!(rest.first(), None | Some(b'@')))
}

/// Adds the ranges of a `reg`: an address and a size each.
fn push_registers(value: &[u8], cells: Cells, ranges: &mut Ranges) -> Result<(), TreeError> {
    let mut words = value.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_be_bytes(*word)));
    let (address, size) = cells.address_and_size();
    let entry = (address + size) * size_of::<u32>();
    if entry == 0 || !value.len().is_multiple_of(entry) {
        return Err(TreeError::Malformed);
    }
    let mut number = |cells| words.by_ref().take(cells).fold(0, |number, word| number << 32 | word);
    for _ in 0..value.len() / entry {
        let (start, len) = (number(address), number(size));
        push(ranges, Span { start, len })?;
    }
    Ok(())
}

fn push(ranges: &mut Ranges, range: Span) -> Result<(), TreeError> {
    if range.len == 0 {
        return Ok(());
    }
    ranges.push(range).map_err(|_| TreeError::TooManyRanges)
}

/// The value of a property.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// A text; the tree has a NUL behind it.
    Text(&'a str),
    /// Bytes as they are.
    Bytes(&'a [u8]),
    /// One cell.
    Number(u32),
    /// Two cells.
    Wide(u64),
}

impl Value<'_> {
    /// Bytes that it takes in a tree.
    const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 1,
            Self::Bytes(bytes) => bytes.len(),
            Self::Number(number) => size_of_val(number),
            Self::Wide(number) => size_of_val(number),
        }
    }
}

/// A device tree that can not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeError {
    /// There is none.
    Absent,
    /// It is damaged.
    Malformed,
    /// It is larger than the memory for it.
    TooLarge,
    /// It says nothing about memory.
    NoMemory,
    /// It has more ranges of memory than the loader keeps.
    TooManyRanges,
    /// It has no `/chosen`.
    NoChosen,
}

impl TreeError {
    /// What is wrong, and what to do.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Absent => "no device tree where the machine leaves it",
            Self::Malformed => "the device tree is damaged",
            Self::TooLarge => "the device tree is larger than the memory that the layout has for it",
            Self::NoMemory => "the device tree names no memory",
            Self::TooManyRanges => "the device tree names more ranges of memory than the loader keeps",
            Self::NoChosen => "the device tree has no /chosen; add an empty one",
        }
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for TreeError {}
