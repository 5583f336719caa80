//! Verified load: places parts where they run and hashes each one once, in the memory it runs from.
//!
//! Guarantee: a [`Bootable`] exists only when every part that the loader checks lies where it runs with the signed digest, and no range of memory
//! that it occupies touches another part or anything reserved. All ranges are checked before the first byte is placed.

use core::hint::black_box;

use heapless::Vec;

use crate::crypto::{Crypto, Digest, Sha256};
use crate::evidence::{Evidence, Shown, difference};
use crate::image::kernel::{self, Architecture};
use crate::image::manifest::{Check, Kind, MAX_PARTS, Part, Place};
use crate::image::{Header, command_line};
use crate::rejection::Rejection;
use crate::storage::{ReadAt, Region, StorageError};

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
}

impl Span {
    /// The address behind the range; `None` on overflow.
    const fn end(self) -> Option<u64> {
        self.start.checked_add(self.len)
    }

    /// Whether `self` lies inside `outer`.
    fn is_inside(self, outer: Self) -> bool {
        self.start >= outer.start && matches!((self.end(), outer.end()), (Some(end), Some(outer_end)) if end <= outer_end)
    }

    /// Whether the two ranges share an address. Ranges that overflow touch everything.
    fn touches(self, other: Self) -> bool {
        match (self.end(), other.end()) {
            (Some(end), Some(other_end)) => self.start < other_end && other.start < end,
            _ => true,
        }
    }
}

/// What memory a board has for images.
#[derive(Debug, Clone, Copy)]
pub struct MemoryMap<'a> {
    /// RAM that parts may be placed in.
    pub usable: &'a [Span],
    /// The loader, its stack, the hand-off, a device tree: whatever must not be overwritten.
    pub reserved: &'a [Span],
}

/// A region of flash that the processor sees.
#[derive(Debug, Clone, Copy)]
pub struct Mapped<'a> {
    /// The address of the region's first byte.
    pub address: u64,
    /// The whole region.
    pub bytes: &'a [u8],
}

/// The memory port of a board.
pub trait Memory {
    /// What the processor can start.
    const TARGET: Target;

    /// Where parts may and may not go.
    fn map(&self) -> MemoryMap<'_>;

    /// The `len` bytes of RAM at `address`; `None` when there is no such RAM.
    fn ram(&mut self, address: u64, len: u64) -> Option<&mut [u8]>;

    /// A region as the processor sees it; `None` when it is not mapped.
    fn mapped(&self, region: Region) -> Option<Mapped<'_>>;

    /// Judges a verified part where it lies, for what the board will do with it before the jump: a refusal here falls back to another image, and
    /// later nothing can. Most boards use parts as they are.
    ///
    /// # Errors
    /// The board can not start an image with this part.
    fn judge(&mut self, _part: &PlacedPart) -> Result<(), Rejection> {
        Ok(())
    }
}

/// What the board's processor can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Firmware with a vector table, which must lie at a multiple of this many bytes.
    CortexM {
        /// Alignment that VTOR asks for.
        vector_align: u32,
    },
    /// Linux kernels of this architecture.
    Linux(Architecture),
}

/// A part that lies verified where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedPart {
    /// What it is.
    pub kind: Kind,
    /// Where it lies.
    pub address: u64,
    /// Its bytes.
    pub len: u64,
    /// Bytes that it occupies.
    pub mem: u64,
    /// Its entry point, an address.
    pub entry: u64,
    /// Its signed digest.
    pub sha256: Digest,
}

/// An image that was verified in this boot and lies where it runs: the only thing that a board jumps with.
#[derive(Debug, PartialEq, Eq)]
pub struct Bootable {
    region: Region,
    parts: Vec<PlacedPart, MAX_PARTS>,
    security_counter: u32,
    evidence: Evidence,
}

impl Bootable {
    /// The region that the image came from.
    #[must_use]
    pub const fn region(&self) -> Region {
        self.region
    }

    /// The parts, in the order of the manifest.
    #[must_use]
    pub fn parts(&self) -> &[PlacedPart] {
        &self.parts
    }

    /// The part of a kind.
    #[must_use]
    pub fn part(&self, kind: Kind) -> Option<&PlacedPart> {
        self.parts.iter().find(|part| part.kind == kind)
    }

    /// The address of the vector table, when the image is firmware. It is computed from [`Bootable::missing`], and a wrong one unless that is zero.
    #[must_use]
    pub fn vector_table(&self) -> Option<u64> {
        self.part(Kind::Firmware).map(|part| part.address.wrapping_add(u64::from(self.missing())))
    }

    /// Zero when everything was shown that lets an image start. Whoever jumps looks at it once more.
    #[must_use]
    pub const fn missing(&self) -> u32 {
        self.evidence.missing()
    }

    /// How far the image's security counter is below a floor; zero when it is not.
    pub(crate) const fn below(&self, floor: u32) -> u32 {
        floor.saturating_sub(self.security_counter)
    }

    /// Completes the evidence with what speaks against the choice of this image; zero when nothing does.
    pub(crate) fn choose(&mut self, doubt: u32) {
        self.evidence.absorb(Shown::Choice, doubt);
    }
}

/// Why an image can not be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LoadError {
    /// The image is refused.
    Refused(Rejection),
    /// The storage failed: nothing is known about the image.
    Storage,
}

impl From<Rejection> for LoadError {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<StorageError> for LoadError {
    fn from(_: StorageError) -> Self {
        Self::Storage
    }
}

/// Places and verifies the parts of a verified header.
///
/// # Errors
/// The first part that can not be placed or does not hold; a failure of the storage is told apart.
#[inline(never)]
pub fn load<M: Memory>(
    header: &Header,
    region: Region,
    source: &mut impl ReadAt,
    memory: &mut M,
    crypto: &mut impl Crypto,
) -> Result<Bootable, LoadError> {
    let mut loaded = None;
    load_into(&mut loaded, header, region, source, memory, crypto)?;
    loaded.ok_or(LoadError::Storage)
}

/// As [`load`], to where the image is kept. What lay there before is gone from the start.
#[inline(never)]
pub(crate) fn load_into<M: Memory>(
    loaded: &mut Option<Bootable>,
    header: &Header,
    region: Region,
    source: &mut impl ReadAt,
    memory: &mut M,
    crypto: &mut impl Crypto,
) -> Result<(), LoadError> {
    let security_counter = header.manifest().security_counter;
    let bootable = loaded.insert(Bootable { region, parts: Vec::new(), security_counter, evidence: header.evidence() });
    let result = fill(bootable, header, source, memory, crypto);
    if result.is_err() {
        *loaded = None;
    }
    result
}

fn fill<M: Memory>(
    bootable: &mut Bootable,
    header: &Header,
    source: &mut impl ReadAt,
    memory: &mut M,
    crypto: &mut impl Crypto,
) -> Result<(), LoadError> {
    let region = bootable.region;
    plan(header, region, source, memory, &mut bootable.parts)?;
    let mut verified = 0_usize;
    let mut doubt = 0;
    for (placed, part) in bootable.parts.iter().zip(checked_parts(header)) {
        place(part, placed.address, source, memory)?;
        let bytes = placed_bytes(part, placed.address, region, memory)?;
        let mut digest = [0; 32];
        crypto.digest_into(bytes, &mut digest);
        if digest != part.sha256 {
            return Err(Rejection::DigestMismatch.into());
        }
        doubt |= difference(&digest, &part.sha256);
        verified = verified.wrapping_add(1);
        check_content(header, part, bytes, M::TARGET, placed)?;
        memory.judge(placed)?;
    }
    // Counted from two sides: a fault that hides the parts from the loop hides them from one of them only.
    let not_verified = (verified ^ bootable.parts.len()) | (verified ^ checked_parts(black_box(header)).count());
    bootable.evidence.absorb(Shown::Parts, doubt | not_verified as u32);
    Ok(())
}

/// The parts that the loader checks.
fn checked_parts(header: &Header) -> impl Iterator<Item = &Part> {
    header.manifest().parts.iter().filter(|part| part.check == Check::AtBoot)
}

/// Decides where each part goes and checks all ranges, before anything is placed.
fn plan<M: Memory>(
    header: &Header,
    region: Region,
    source: &mut impl ReadAt,
    memory: &M,
    parts: &mut Vec<PlacedPart, MAX_PARTS>,
) -> Result<(), LoadError> {
    for part in checked_parts(header) {
        let text_offset = check_kind(part, source, M::TARGET)?;
        let address = match part.place {
            Place::InPlace => mapped_address(part, region, memory)?,
            Place::At(address) => claim(Span { start: address, len: part.mem }, parts, memory.map())?,
            Place::Auto if matches!(M::TARGET, Target::CortexM { .. }) => return Err(Rejection::WrongPlacement.into()),
            Place::Auto => choose(part, text_offset, parts, memory.map())?,
        };
        let entry = address.checked_add(part.entry).ok_or(Rejection::Overflow)?;
        let placed = PlacedPart { kind: part.kind, address, len: part.len, mem: part.mem, entry, sha256: part.sha256 };
        parts.push(placed).map_err(|_| Rejection::Overflow)?;
    }
    Ok(())
}

/// Whether the board starts this kind of part at all. For a kernel, what its own header claims must fit; gives its text offset.
fn check_kind(part: &Part, source: &mut impl ReadAt, target: Target) -> Result<u64, LoadError> {
    match (target, part.kind) {
        (Target::CortexM { .. }, Kind::Firmware | Kind::Aux(_)) => Ok(0),
        (Target::Linux(architecture), Kind::Kernel) => {
            let mut head = [0; kernel::HEAD];
            if part.len < kernel::HEAD as u64 {
                return Err(Rejection::WrongKernel.into());
            }
            source.read_at(part.offset, &mut head)?;
            check_kernel(part, &head, architecture).map_err(LoadError::from)
        }
        (Target::Linux(_), kind) if kind != Kind::Firmware => Ok(0),
        _ => Err(Rejection::WrongPlacement.into()),
    }
}

fn check_kernel(part: &Part, head: &[u8; kernel::HEAD], architecture: Architecture) -> Result<u64, Rejection> {
    let claim = kernel::claim(head)?;
    if claim.architecture != architecture {
        return Err(Rejection::WrongKernel);
    }
    if claim.memory > part.mem {
        return Err(Rejection::KernelClaimsMore);
    }
    Ok(claim.text_offset)
}

fn mapped_address(part: &Part, region: Region, memory: &impl Memory) -> Result<u64, Rejection> {
    let mapped = memory.mapped(region).ok_or(Rejection::WrongPlacement)?;
    mapped.address.checked_add(part.offset).ok_or(Rejection::Overflow)
}

/// Accepts a range of RAM when it is usable and touches nothing that is reserved or placed already.
fn claim(span: Span, placed: &[PlacedPart], map: MemoryMap<'_>) -> Result<u64, Rejection> {
    if !map.usable.iter().any(|usable| span.is_inside(*usable)) {
        return Err(Rejection::RangeOutsideRam);
    }
    let conflict = map.reserved.iter().any(|reserved| span.touches(*reserved))
        || placed.iter().any(|part| span.touches(Span { start: part.address, len: part.mem }));
    if conflict { Err(Rejection::RangeConflict) } else { Ok(span.start) }
}

/// What kernels, initrds and device trees are aligned to: 2 MiB suits all of them.
const AUTO_ALIGN: u64 = 2 * 1024 * 1024;

/// The lowest aligned address that the part can be claimed at.
fn choose(part: &Part, text_offset: u64, placed: &[PlacedPart], map: MemoryMap<'_>) -> Result<u64, Rejection> {
    let bases = map.usable.iter().map(|span| Some(span.start));
    let behind_reserved = map.reserved.iter().map(|span| span.end());
    let behind_placed = placed.iter().map(|part| part.address.checked_add(part.mem));
    let candidates = bases.chain(behind_reserved).chain(behind_placed);
    let aligned = candidates.filter_map(|address| address?.checked_next_multiple_of(AUTO_ALIGN)?.checked_add(text_offset));
    let fits = |address: &u64| claim(Span { start: *address, len: part.mem }, placed, map).is_ok();
    aligned.filter(fits).min().ok_or(Rejection::RangeOutsideRam)
}

/// Copies a part to its RAM, unless it runs where it is stored.
fn place(part: &Part, address: u64, source: &mut impl ReadAt, memory: &mut impl Memory) -> Result<(), LoadError> {
    if part.place == Place::InPlace {
        return Ok(());
    }
    let target = memory.ram(address, part.len).ok_or(Rejection::RangeOutsideRam)?;
    source.read_at(part.offset, target)?;
    Ok(())
}

/// The part's bytes where they run.
fn placed_bytes<'m>(part: &Part, address: u64, region: Region, memory: &'m mut impl Memory) -> Result<&'m [u8], Rejection> {
    if part.place != Place::InPlace {
        return memory.ram(address, part.len).map(|bytes| &*bytes).ok_or(Rejection::RangeOutsideRam);
    }
    let start = usize::try_from(part.offset).map_err(|_| Rejection::Overflow)?;
    let end = part.end().and_then(|end| usize::try_from(end).ok()).ok_or(Rejection::Overflow)?;
    memory.mapped(region).and_then(|mapped| mapped.bytes.get(start..end)).ok_or(Rejection::PartOutsideSlot)
}

/// What a part's verified bytes must hold beyond their digest.
fn check_content(header: &Header, part: &Part, bytes: &[u8], target: Target, placed: &PlacedPart) -> Result<(), Rejection> {
    match (part.kind, target) {
        (Kind::Firmware, Target::CortexM { vector_align }) => check_vectors(bytes, placed, vector_align),
        (Kind::Kernel, Target::Linux(architecture)) => {
            let head = bytes.first_chunk::<{ kernel::HEAD }>().ok_or(Rejection::WrongKernel)?;
            let text_offset = check_kernel(part, head, architecture)?;
            check_still_fits(part, placed, text_offset)
        }
        (Kind::CommandLine, Target::Linux(_)) => command_line::check(bytes, header.manifest().part(Kind::RootFs).map(|root| &root.sha256)),
        _ => Ok(()),
    }
}

/// The place was chosen by what the storage said before the digest was known; the verified kernel must say the same.
fn check_still_fits(part: &Part, placed: &PlacedPart, text_offset: u64) -> Result<(), Rejection> {
    let is_base = |base: u64| base.is_multiple_of(AUTO_ALIGN);
    let fits = part.place != Place::Auto || placed.address.checked_sub(text_offset).is_some_and(is_base);
    if fits { Ok(()) } else { Err(Rejection::WrongKernel) }
}

/// The table must lie where VTOR can point, and its reset vector must be Thumb code inside the part.
fn check_vectors(bytes: &[u8], placed: &PlacedPart, vector_align: u32) -> Result<(), Rejection> {
    if !placed.address.is_multiple_of(u64::from(vector_align.max(1))) {
        return Err(Rejection::VectorTableMisaligned);
    }
    let [_, [r0, r1, r2, r3], ..] = bytes.as_chunks::<4>().0 else { return Err(Rejection::EntryOutsidePart) };
    let reset = u64::from(u32::from_le_bytes([*r0, *r1, *r2, *r3]));
    let code = Span { start: reset & !1, len: 2 };
    let part = Span { start: placed.address, len: placed.len };
    if reset & 1 == 1 && code.is_inside(part) { Ok(()) } else { Err(Rejection::EntryOutsidePart) }
}

/// Verifies the parts of an image where they are stored, for writers and tools: the same digests, nothing is placed.
///
/// # Errors
/// The first part whose stored bytes are not the signed ones. Parts that the OS checks are not read: their bytes are pinned by the chunk table.
pub fn verify_stored(header: &Header, source: &mut impl ReadAt, crypto: &mut impl Crypto) -> Result<(), LoadError> {
    for part in checked_parts(header) {
        let end = part.end().ok_or(Rejection::Overflow)?;
        if hash_range(part.offset..end, source, crypto)? != part.sha256 {
            return Err(Rejection::DigestMismatch.into());
        }
        check_stored_content(header, part, source)?;
    }
    Ok(())
}

/// The digest of a range of stored bytes.
pub(crate) fn hash_range(range: core::ops::Range<u64>, source: &mut impl ReadAt, crypto: &mut impl Crypto) -> Result<Digest, StorageError> {
    let mut hash = crypto.sha256();
    let mut buffer = [0; 256];
    let mut at = range.start;
    while at < range.end {
        let left = usize::try_from(range.end.saturating_sub(at)).unwrap_or(usize::MAX);
        let take = left.min(buffer.len());
        let piece = buffer.get_mut(..take).ok_or(StorageError)?;
        source.read_at(at, piece)?;
        hash.update(piece);
        at = at.saturating_add(take as u64);
    }
    Ok(hash.finish())
}

/// The command line's own rules, for an image that is not running.
fn check_stored_content(header: &Header, part: &Part, source: &mut impl ReadAt) -> Result<(), LoadError> {
    if part.kind != Kind::CommandLine {
        return Ok(());
    }
    let mut line = [0; command_line::MAX_LEN];
    let len = usize::try_from(part.len).ok().filter(|len| *len <= line.len()).ok_or(Rejection::CommandLineTooLong)?;
    let line = line.get_mut(..len).ok_or(Rejection::CommandLineTooLong)?;
    source.read_at(part.offset, line)?;
    Ok(command_line::check(line, header.manifest().part(Kind::RootFs).map(|root| &root.sha256))?)
}
