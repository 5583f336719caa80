//! The manifest: what a header says about its image, in the order of the encoding.

use core::fmt;
use core::hint::black_box;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::product::Product;
use crate::anchor::KeyId;
use crate::codec::{DecodeError, Reader};
use crate::crypto::Digest;
use crate::slot::Slot;

/// Most parts in one image.
pub const MAX_PARTS: usize = 6;

pub use crate::codec::NUMBER_LIMIT;

/// The body of a header: a postcard encoding of these fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The product that the image is for.
    pub product: Product,
    /// Mask of accepted board revisions 0..=31; 0 accepts any.
    pub hw: u32,
    /// The image's version, for people and for ordering; trust rests on `security_counter`.
    pub version: Version,
    /// Never decreases over an owner's security fixes; compared with the floor.
    pub security_counter: u32,
    /// The slots that the image may lie in.
    pub slot: SlotRule,
    /// Keys that this image's confirm revokes.
    pub revoke: Vec<KeyId, 4>,
    /// Unix seconds, informative.
    pub created: u64,
    /// Opaque build id.
    pub build: [u8; 32],
    /// SHA-256 of the chunk table.
    pub chunks: Digest,
    /// Oldest loader that can run the image.
    pub min_loader: u16,
    /// Feature bits; an unknown bit is refused. None is defined in version 1.
    pub requires: u32,
    /// The parts, ascending by offset.
    pub parts: Vec<Part, MAX_PARTS>,
    /// Signed and ignored when unknown.
    pub extra: Vec<Extra, 3>,
}

/// An image's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Version {
    /// Major.
    pub major: u16,
    /// Minor.
    pub minor: u16,
    /// Patch.
    pub patch: u16,
    /// Build number.
    pub build: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}+{}", self.major, self.minor, self.patch, self.build)
    }
}

/// The slots that an image may lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SlotRule {
    /// Either slot, or the golden region.
    Any,
    /// Slot A only.
    A,
    /// Slot B only.
    B,
}

impl SlotRule {
    /// Whether an image with this rule may lie in `slot`.
    #[must_use]
    pub const fn allows(self, slot: Slot) -> bool {
        matches!((self, slot), (Self::Any, _) | (Self::A, Slot::A) | (Self::B, Slot::B))
    }
}

/// One part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Where it starts, in bytes from the slot's start.
    pub offset: u64,
    /// Stored bytes.
    pub len: u64,
    /// Bytes occupied once placed; at least `len`.
    pub mem: u64,
    /// Where it runs.
    pub place: Place,
    /// Entry point, in bytes from the part's start; 0 for Cortex-M, where the vector table leads.
    pub entry: u64,
    /// How it is stored.
    pub encoding: Encoding,
    /// SHA-256 over the bytes that run; for a root file system its dm-verity root hash.
    pub sha256: Digest,
    /// Who checks it.
    pub check: Check,
}

impl Part {
    /// Where the part ends, in bytes from the slot's start; `None` when that overflows.
    #[must_use]
    pub const fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.len)
    }
}

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// A microcontroller's program, led by its vector table.
    Firmware,
    /// A Linux kernel.
    Kernel,
    /// An initial RAM disk.
    Initrd,
    /// A flattened device tree.
    DeviceTree,
    /// The signed part of the kernel's command line.
    CommandLine,
    /// A root file system that the OS checks with dm-verity.
    RootFs,
    /// Verified and placed, not interpreted.
    Aux(u8),
    /// Reserved and refused in version 1.
    Loader,
}

/// Where a part runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Place {
    /// Where it is stored.
    InPlace,
    /// Copied to this address.
    At(u64),
    /// Copied to where the loader chooses: kernels and what goes with them.
    Auto,
}

/// How a part is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Encoding {
    /// As it runs.
    Plain,
    /// Reserved.
    Lz4,
    /// Reserved.
    Zstd,
    /// Reserved.
    Aes,
}

/// Who checks a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Check {
    /// The loader, at every boot.
    AtBoot,
    /// The operating system, block by block.
    ByOs,
}

/// Tag of an [`Extra`] without data: the image is a release, and no published test key may sign it. Tools look at it; loaders do not.
pub const EXTRA_RELEASE: u16 = 1;

/// A signed tag that old loaders ignore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// What it is.
    pub tag: u16,
    /// Its bytes.
    pub data: Vec<u8, 32>,
}

impl Manifest {
    /// All zero, to read one into: a manifest is large, and loaders have little stack and code to move it with.
    pub(super) const UNREAD: Self = Self {
        product: Product::UNREAD,
        hw: 0,
        version: Version { major: 0, minor: 0, patch: 0, build: 0 },
        security_counter: 0,
        slot: SlotRule::Any,
        revoke: Vec::new(),
        created: 0,
        build: [0; 32],
        chunks: [0; 32],
        min_loader: 0,
        requires: 0,
        parts: Vec::new(),
        extra: Vec::new(),
    };

    /// Reads the manifest at the front of `body` over whatever `self` holds; gives what follows it.
    pub(super) fn read<'a>(&mut self, body: &'a [u8]) -> Result<&'a [u8], DecodeError> {
        let mut reader = Reader::new(body);
        self.product.read(&mut reader);
        let hw = reader.u32();
        // Stored twice: one store that is left out would leave the zero of an unread manifest, which stands for every revision.
        self.hw = hw;
        black_box(&*self);
        self.hw = hw;
        self.version = Version::read(&mut reader);
        self.security_counter = reader.u32();
        self.slot = SlotRule::read(&mut reader);
        reader.key_ids(&mut self.revoke);
        self.created = reader.number();
        reader.fill(&mut self.build);
        reader.fill(&mut self.chunks);
        self.min_loader = reader.u16();
        self.requires = reader.u32();
        reader.list(&mut self.parts, Part::UNREAD, Part::read);
        reader.list(&mut self.extra, Extra::UNREAD, Extra::read);
        reader.finish()
    }

    /// Where the last part ends, in bytes from the slot's start: the length of the image. `None` without parts or on overflow.
    #[must_use]
    pub fn image_len(&self) -> Option<u64> {
        self.parts.last()?.end()
    }

    /// The part of a kind, if there is one.
    #[must_use]
    pub fn part(&self, kind: Kind) -> Option<&Part> {
        self.parts.iter().find(|part| part.kind == kind)
    }
}

impl Version {
    fn read(reader: &mut Reader<'_>) -> Self {
        Self { major: reader.u16(), minor: reader.u16(), patch: reader.u16(), build: reader.u32() }
    }
}

impl SlotRule {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(3) {
            0 => Self::Any,
            1 => Self::A,
            _ => Self::B,
        }
    }
}

impl Part {
    const UNREAD: Self = Self {
        kind: Kind::Firmware,
        offset: 0,
        len: 0,
        mem: 0,
        place: Place::InPlace,
        entry: 0,
        encoding: Encoding::Plain,
        sha256: [0; 32],
        check: Check::AtBoot,
    };

    fn read(&mut self, reader: &mut Reader<'_>) {
        self.kind = Kind::read(reader);
        self.offset = reader.number();
        self.len = reader.number();
        self.mem = reader.number();
        self.place = Place::read(reader);
        self.entry = reader.number();
        self.encoding = Encoding::read(reader);
        reader.fill(&mut self.sha256);
        self.check = if reader.below(2) == 0 { Check::AtBoot } else { Check::ByOs };
    }
}

impl Kind {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(8) {
            0 => Self::Firmware,
            1 => Self::Kernel,
            2 => Self::Initrd,
            3 => Self::DeviceTree,
            4 => Self::CommandLine,
            5 => Self::RootFs,
            6 => Self::Aux(reader.byte()),
            _ => Self::Loader,
        }
    }
}

impl Place {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(3) {
            0 => Self::InPlace,
            1 => Self::At(reader.number()),
            _ => Self::Auto,
        }
    }
}

impl Encoding {
    fn read(reader: &mut Reader<'_>) -> Self {
        match reader.below(4) {
            0 => Self::Plain,
            1 => Self::Lz4,
            2 => Self::Zstd,
            _ => Self::Aes,
        }
    }
}

impl Extra {
    const UNREAD: Self = Self { tag: 0, data: Vec::new() };

    fn read(&mut self, reader: &mut Reader<'_>) {
        self.tag = reader.u16();
        reader.byte_list(&mut self.data);
    }
}
