//! The device tree: what the machine's own says about memory, and the one that Linux gets.
//!
//! Guarantee: no tree, however damaged, does more than give a [`TreeError`]. What is memory here is memory for Linux. The tree for Linux is the given
//! one, compacted, with the loader's page reserved and the loader's properties in `/chosen`; everything outside of `/chosen` is as it was.
//!
//! Own code, in a fifth of what a crate for all of a tree's uses takes of the loader; its tests have `dtc` and `fdtget` at the other end.

mod blocks;
mod edit;

use core::fmt;

use heapless::Vec;
use twinslot_bootloader::load::Span;

use blocks::{Blocks, CHOSEN, DEPTH_BELOW_ROOT, RESERVED_MEMORY, Token, text, word};
pub use edit::{LinuxTree, OURS, judge};

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

    /// The machine's memory, as Linux finds it.
    ///
    /// # Errors
    /// It says nothing about memory, or more than fits.
    pub fn memory(&self) -> Result<Ranges, TreeError> {
        let mut ranges = Ranges::new();
        self.registers(&ROOT, |node| node.memory(), &mut ranges)?;
        if ranges.iter().any(|range| range.start.checked_add(range.len).is_none()) {
            return Err(TreeError::Malformed);
        }
        if ranges.is_empty() { Err(TreeError::NoMemory) } else { Ok(ranges) }
    }

    /// Memory that the tree says is taken.
    ///
    /// # Errors
    /// There are more ranges than fit.
    pub fn reserved(&self) -> Result<Ranges, TreeError> {
        let mut ranges = Ranges::new();
        self.blocks.each_reservation(|taken| push(&mut ranges, taken))?;
        self.registers(&RESERVATIONS, |node| Ok(node.registers()), &mut ranges)?;
        Ok(ranges)
    }

    /// Adds the ranges that the nodes right below `parent` have in the value that `wanted` finds. A node without one has none.
    #[inline(never)]
    fn registers(&self, parent: &Parent, wanted: Wanted, ranges: &mut Ranges) -> Result<(), TreeError> {
        let child = parent.depth + 1;
        let (mut in_parent, mut is_heard) = (false, false);
        let (mut above, mut node) = (Said::default(), Said::default());
        let mut walk = self.blocks.walk();
        loop {
            match walk.next()? {
                Token::Begin(name) if walk.depth == parent.depth => {
                    in_parent = name == parent.name;
                    above = Said::default();
                }
                Token::Begin(name) if walk.depth == child => {
                    is_heard = in_parent && parent.unheard != Some(name);
                    node = Said::default();
                }
                Token::Property(name, value) if in_parent && walk.depth == parent.depth => above.hear(name, value)?,
                Token::Property(name, value) if is_heard && walk.depth == child => node.hear(name, value)?,
                Token::End if in_parent && walk.depth == parent.depth => {
                    if let Some(value) = wanted(&node)? {
                        push_registers(value, above.cells(parent.cells)?, ranges)?;
                    }
                }
                Token::Over => return Ok(()),
                _ => {}
            }
        }
    }
}

/// A node whose children are looked at.
struct Parent {
    name: &'static [u8],
    /// The root's is 1.
    depth: usize,
    /// Cells of an address and of a size, where it does not say them.
    cells: (usize, usize),
    /// The child that is not listened to: nothing of what it says about memory comes to Linux.
    unheard: Option<&'static [u8]>,
}

/// Source of its cells: Linux, `drivers/of/of_private.h`, `OF_ROOT_NODE_ADDR_CELLS_DEFAULT`. The specification has 2 for an address.
const ROOT: Parent = Parent { name: b"", depth: 1, cells: (1, 1), unheard: Some(CHOSEN) };

/// Source of its cells: Devicetree Specification, release 0.4, section 2.3.5. Linux wants them said.
const RESERVATIONS: Parent = Parent { name: RESERVED_MEMORY, depth: DEPTH_BELOW_ROOT, cells: (2, 1), unheard: None };

/// Properties that memory is read by.
const PROPERTIES: [&[u8]; 6] = [b"#address-cells", b"#size-cells", b"device_type", b"status", b"linux,usable-memory", b"reg"];

/// What a node says in [`PROPERTIES`], in their order.
#[derive(Clone, Copy, Default)]
struct Said<'a>([Option<&'a [u8]>; PROPERTIES.len()]);

/// The registers to read, of what a node says.
type Wanted = for<'a> fn(&Said<'a>) -> Result<Option<&'a [u8]>, TreeError>;

impl<'a> Said<'a> {
    /// What a node says twice is read one way here and another way elsewhere.
    fn hear(&mut self, name: &[u8], value: &'a [u8]) -> Result<(), TreeError> {
        let Some((place, _)) = self.0.iter_mut().zip(PROPERTIES).find(|(_, known)| *known == name) else { return Ok(()) };
        if place.replace(value).is_some() { Err(TreeError::Malformed) } else { Ok(()) }
    }

    /// How many cells of 32 bits an address and a size have in the registers of a node's children.
    fn cells(&self, (address, size): (usize, usize)) -> Result<(usize, usize), TreeError> {
        let [said_address, said_size, ..] = self.0;
        Ok((said_address.map_or(Ok(address), number_of_cells)?, said_size.map_or(Ok(size), number_of_cells)?))
    }

    /// What Linux takes for memory, whatever the node's name is. Source: Linux, `drivers/of/fdt.c`, `early_init_dt_scan_memory` and
    /// `of_fdt_device_is_available`.
    fn memory(&self) -> Result<Option<&'a [u8]>, TreeError> {
        let [_, _, kind, status, usable, registers] = self.0;
        let is_memory = kind.map(text).transpose()? == Some(b"memory");
        let is_there = matches!(status.map(text).transpose()?, None | Some(b"ok" | b"okay"));
        Ok(usable.or(registers).filter(|_| is_memory && is_there))
    }

    /// What is taken by a node below `/reserved-memory`.
    const fn registers(&self) -> Option<&'a [u8]> {
        let [.., registers] = self.0;
        registers
    }
}

/// Numbers of more than 64 bits are not for memory.
fn number_of_cells(value: &[u8]) -> Result<usize, TreeError> {
    match word(value, 0) {
        Some(cells @ 0..=2) if value.len() == size_of::<u32>() => Ok(cells as usize),
        _ => Err(TreeError::Malformed),
    }
}

/// Adds the ranges of a `reg`: an address and a size each.
fn push_registers(value: &[u8], (address, size): (usize, usize), ranges: &mut Ranges) -> Result<(), TreeError> {
    let mut words = value.as_chunks::<4>().0.iter().map(|word| u64::from(u32::from_be_bytes(*word)));
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
    /// It has a second `/chosen` or `/reserved-memory`, or one with a unit address: another reader may take another one.
    Ambiguous,
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
            Self::Ambiguous => "the device tree has a second /chosen or /reserved-memory, or one with a unit address; leave one, without an address",
        }
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for TreeError {}
