//! The device tree: what the machine's own says about memory, and the one that Linux gets.
//!
//! Guarantee: no tree, however damaged, does more than give a [`TreeError`]. The tree for Linux is the given one, compacted, with the loader's
//! page reserved and the properties of `/chosen` that the loader is responsible for; everything else in it is as it was.

mod pack;

use core::fmt;

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::fdt_mut::{FdtMut, SliceBuffer};
use dtoolkit::{Node as _, ToPropertyValue};
use heapless::Vec;
use twinslot_bootloader::load::Span;

/// Most ranges of memory that a machine may have, and most that may be reserved.
pub const MAX_RANGES: usize = 16;

/// Ranges of memory.
pub type Ranges = Vec<Span, MAX_RANGES>;

/// How many bytes the tree has whose header these are; `None` without the header of a tree.
#[must_use]
pub fn claimed_size(head: &[u8]) -> Option<usize> {
    pack::total_size(head)
}

/// The tree that the machine was started with.
#[derive(Clone, Copy)]
pub struct MachineTree<'a> {
    fdt: Fdt<'a>,
}

impl<'a> MachineTree<'a> {
    /// The tree at the front of `bytes`, checked as a whole.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(bytes: &'a [u8]) -> Result<Self, TreeError> {
        let size = pack::total_size(bytes).ok_or(TreeError::Absent)?;
        let exact = bytes.get(..size).ok_or(TreeError::TooLarge)?;
        Ok(Self { fdt: Fdt::new(exact).map_err(|_| TreeError::Malformed)? })
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.fdt.data()
    }

    /// The machine's memory.
    ///
    /// # Errors
    /// It says nothing about memory, or more than fits.
    pub fn memory(&self) -> Result<Ranges, TreeError> {
        let mut ranges = Ranges::new();
        for node in self.fdt.root().children().filter(|node| is_memory(node.name())) {
            push_registers(node, &mut ranges)?;
        }
        if ranges.is_empty() { Err(TreeError::NoMemory) } else { Ok(ranges) }
    }

    /// Memory that the tree says is taken.
    ///
    /// # Errors
    /// There are more ranges than fit.
    pub fn reserved(&self) -> Result<Ranges, TreeError> {
        let mut ranges = Ranges::new();
        for reservation in self.fdt.memory_reservations() {
            push(&mut ranges, reservation.address(), reservation.size())?;
        }
        if let Some(node) = self.fdt.find_node("/reserved-memory") {
            for child in node.children() {
                push_registers(child, &mut ranges)?;
            }
        }
        Ok(ranges)
    }
}

/// `memory` or `memory@40000000`, and no other node whose name begins so.
fn is_memory(name: &str) -> bool {
    name.strip_prefix("memory").is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
}

/// The ranges of a node's `reg`; a node without one has none.
fn push_registers(node: FdtNode<'_>, ranges: &mut Ranges) -> Result<(), TreeError> {
    let Some(registers) = node.reg().map_err(|_| TreeError::Malformed)? else { return Ok(()) };
    for register in registers {
        let address = register.address::<u64>().map_err(|_| TreeError::Malformed)?;
        let size = register.size::<u64>().map_err(|_| TreeError::Malformed)?;
        push(ranges, address, size)?;
    }
    Ok(())
}

fn push(ranges: &mut Ranges, start: u64, len: u64) -> Result<(), TreeError> {
    if len == 0 {
        return Ok(());
    }
    ranges.push(Span { start, len }).map_err(|_| TreeError::TooManyRanges)
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

impl ToPropertyValue for Value<'_> {
    fn property_value_len(&self) -> usize {
        match self {
            Self::Text(text) => text.property_value_len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Number(number) => size_of_val(number),
            Self::Wide(number) => size_of_val(number),
        }
    }

    fn write_property_value(&self, buffer: &mut [u8]) {
        match self {
            Self::Text(text) => text.write_property_value(buffer),
            Self::Bytes(bytes) => bytes.write_property_value(buffer),
            Self::Number(number) => number.write_property_value(buffer),
            Self::Wide(number) => number.write_property_value(buffer),
        }
    }
}

/// The tree for Linux, under construction in a buffer.
pub struct LinuxTree<'a> {
    fdt: FdtMut<SliceBuffer<'a>>,
}

impl<'a> LinuxTree<'a> {
    /// A copy of `source` in `target`, with `kept` reserved: Linux uses what is in there for nothing.
    ///
    /// # Errors
    /// The source is damaged, lacks `/chosen`, or does not fit.
    pub fn begin(source: &[u8], kept: Span, target: &'a mut [u8]) -> Result<Self, TreeError> {
        let source = MachineTree::read(source)?;
        pack::pack(source.fdt, kept, target)?;
        let buffer = SliceBuffer::new(target).map_err(|_| TreeError::Malformed)?;
        let mut fdt = FdtMut::new(buffer).map_err(|_| TreeError::Malformed)?;
        fdt.find_node_mut("/chosen").ok_or(TreeError::NoChosen)?;
        Ok(Self { fdt })
    }

    /// Sets a property of `/chosen`, in place of one of that name.
    ///
    /// # Errors
    /// The buffer is full.
    #[inline(never)]
    pub fn choose(&mut self, name: &str, value: Value<'_>) -> Result<(), TreeError> {
        let mut chosen = self.fdt.find_node_mut("/chosen").ok_or(TreeError::NoChosen)?;
        chosen.remove_property(name);
        chosen.add_property(name, value).map(|_| ()).map_err(|_| TreeError::TooLarge)
    }

    /// Ends the edits; gives the finished tree's size in bytes.
    pub fn finish(mut self) -> usize {
        self.fdt.compact();
        self.fdt.as_read_only().data().len()
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

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "no device tree where the machine leaves it",
            Self::Malformed => "the device tree is damaged",
            Self::TooLarge => "the device tree is larger than the memory that the layout has for it",
            Self::NoMemory => "the device tree names no memory",
            Self::TooManyRanges => "the device tree names more ranges of memory than the loader keeps",
            Self::NoChosen => "the device tree has no /chosen; add an empty one",
        })
    }
}

impl core::error::Error for TreeError {}
