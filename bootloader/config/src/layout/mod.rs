//! The flash and RAM map of a board, with everything about it that loader and writers must agree on.
//!
//! Guarantees of a [`Layout`]: flash regions are disjoint, aligned to the erase size, below 4 GiB and inside the flash where its size is known; the
//! journal is two logs that are whole erase units and whole records and that share no region which one torn write may damage; RAM regions overlap
//! neither each other nor the flash nor the loader's code.

mod check;
mod digest;
mod error;
mod file;

use std::{fmt, path::Path};

use twinslot_bootloader::journal::{Policy, RECORD_SIZE};

pub use error::LayoutError;

/// A checked layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The board's name.
    pub board: String,
    /// The product whose images the board accepts, 1 to 32 bytes.
    pub product: String,
    /// The board's hardware revision, 0..=31.
    pub hardware: u8,
    /// The chip, as a debug probe's software calls it.
    pub chip: String,
    /// The flash that slots and journal lie on.
    pub flash: Flash,
    /// How trials are bounded.
    pub policy: Policy,
    /// The loader's code.
    pub loader: Loader,
    /// The journal: two logs of half its size each.
    pub journal: Span,
    /// Slot A.
    pub slot_a: Span,
    /// Slot B.
    pub slot_b: Span,
    /// The read-only golden image.
    pub golden: Option<Span>,
    /// Where an application finds bundles to install.
    pub staging: Option<Span>,
    /// Whatever the application keeps.
    pub data: Option<Span>,
    /// RAM regions, ascending by address.
    pub ram: Vec<Ram>,
}

/// The flash device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flash {
    /// Address of its first byte; `None` when the processor can not read it like memory.
    pub base: Option<u64>,
    /// Bytes of the whole device, where known.
    pub size: Option<u64>,
    /// The smallest write, in bytes.
    pub write_size: u64,
    /// The smallest erase, in bytes.
    pub erase_size: u64,
    /// The largest region that one interrupted write may damage, in bytes.
    pub tear_size: u64,
}

/// The loader's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loader {
    /// Address of the memory that it lies in, when that is not the flash of the slots.
    pub base: Option<u64>,
    /// Where in that memory.
    pub span: Span,
}

/// Bytes of a flash, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub offset: u64,
    /// How many bytes.
    pub size: u64,
}

/// A region of RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ram {
    /// The address of its first byte.
    pub base: u64,
    /// How many bytes.
    pub size: u64,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a region of RAM is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The loader's data and stack.
    Loader,
    /// The hand-off record.
    Handoff,
    /// The word that tells a power cut from a reset.
    Marker,
    /// Images, once they run: what they are copied to, and their data and stack.
    Image,
    /// The device tree that the machine hands over.
    DeviceTree,
    /// Nobody's, as far as the loader is concerned: images are never placed here.
    Reserved,
}

impl Layout {
    /// Reads and checks a layout file.
    ///
    /// # Errors
    /// The file can not be read, is not a layout, or breaks a rule.
    pub fn read(path: &Path) -> Result<Self, LayoutError> {
        let bytes = std::fs::read(path).map_err(|source| LayoutError::Read { path: path.to_owned(), source })?;
        Self::parse(std::str::from_utf8(&bytes)?)
    }

    /// Parses and checks the text of a layout file.
    ///
    /// # Errors
    /// The text is not a layout, or it breaks a rule.
    pub fn parse(text: &str) -> Result<Self, LayoutError> {
        let layout = file::parse(text)?;
        check::check(&layout)?;
        Ok(layout)
    }

    /// SHA-256 over the canonical form of the values: what the hand-off carries. Comments, order and notation of the file do not matter.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        digest::digest(self)
    }

    /// The two logs.
    #[must_use]
    pub const fn logs(&self) -> [Span; 2] {
        let size = self.journal.size / 2;
        [Span { offset: self.journal.offset, size }, Span { offset: self.journal.offset.saturating_add(size), size }]
    }

    /// Bytes from one journal record to the next.
    #[must_use]
    pub fn record_stride(&self) -> u64 {
        self.flash.record_stride()
    }

    /// Every region on the flash, by name, the loader's only when it lies there. In the order of the file format.
    #[must_use]
    pub fn flash_regions(&self) -> Vec<(&'static str, Span)> {
        let loader = self.loader.base.is_none().then_some(self.loader.span);
        let optional = [("golden", self.golden), ("staging", self.staging), ("data", self.data)];
        let always = [("journal", self.journal), ("slot-a", self.slot_a), ("slot-b", self.slot_b)];
        let optional = optional.into_iter().filter_map(|(name, span)| Some((name, span?)));
        loader.map(|span| ("loader", span)).into_iter().chain(always).chain(optional).collect()
    }

    /// The flash's size, or where its last region ends when the size is not known.
    #[must_use]
    pub fn flash_extent(&self) -> u64 {
        let end_of_regions = || self.flash_regions().iter().map(|(_, span)| span.end()).max().unwrap_or(0);
        self.flash.size.unwrap_or_else(end_of_regions)
    }

    /// Where the loader's code begins, `None` when it lies on flash that the processor can not read like memory.
    #[must_use]
    pub fn loader_address(&self) -> Option<u64> {
        let base = self.loader.base.or(self.flash.base)?;
        Some(base.saturating_add(self.loader.span.offset))
    }

    /// The RAM regions of one purpose, ascending.
    pub fn ram_for(&self, purpose: Purpose) -> impl Iterator<Item = &Ram> {
        self.ram.iter().filter(move |ram| ram.purpose == purpose)
    }
}

impl Flash {
    /// Bytes from one journal record to the next: a record, rounded up to the write size and to the tear size.
    #[must_use]
    pub fn record_stride(&self) -> u64 {
        (RECORD_SIZE as u64).next_multiple_of(self.write_size.max(self.tear_size))
    }
}

impl Span {
    /// The byte after the last one.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [Self::Loader, Self::Handoff, Self::Marker, Self::Image, Self::DeviceTree, Self::Reserved];

    /// The purpose as layout files write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loader => "loader",
            Self::Handoff => "handoff",
            Self::Marker => "marker",
            Self::Image => "image",
            Self::DeviceTree => "device-tree",
            Self::Reserved => "reserved",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
