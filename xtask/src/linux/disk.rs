//! What happens to a disk before a boot.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use twinslot_bootloader::image::manifest::{Check, Kind, Manifest};
use twinslot_bootloader::image::{HEADER_SIZE, HeaderBytes};
use twinslot_config::Layout;

use super::forge::{self, Forgery};

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    A,
    B,
}

/// Something that happens to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// A bit of the slot flips, so many bytes behind its start.
    Flip(Slot, u64),
    /// A bit of one part of the slot's image flips, so many bytes behind the part's start.
    FlipPart(Slot, Kind, u64),
    /// A forged image is written into the slot.
    Forge(Slot, Forgery),
    /// The journal is lost.
    LoseJournal,
    /// The disk ends in the middle of the slot.
    EndIn(Slot),
}

impl Slot {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// Its first byte on the disk.
    pub(super) const fn start(self, layout: &Layout) -> u64 {
        match self {
            Self::A => layout.slot_a.offset,
            Self::B => layout.slot_b.offset,
        }
    }
}

/// Lets it happen. `key` signs what is forged.
pub(super) fn apply(change: Change, disk: &Path, layout: &Layout, key: &Path) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(disk).with_context(|| format!("can not open {}", disk.display()))?;
    match change {
        Change::Flip(slot, offset) => flip(&file, slot.start(layout) + offset)?,
        Change::FlipPart(slot, kind, offset) => flip(&file, slot.start(layout) + part_offset(&file, slot.start(layout), kind)? + offset)?,
        Change::Forge(slot, forgery) => file.write_all_at(&forge::image(forgery, layout, key)?, slot.start(layout))?,
        Change::EndIn(slot) => file.set_len(slot.start(layout) + layout.slot_a.size / 2)?,
        Change::LoseJournal => file.write_all_at(&vec![0; usize::try_from(layout.journal.size)?], layout.journal.offset)?,
    }
    Ok(())
}

fn flip(file: &File, at: u64) -> Result<()> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    Ok(file.write_all_at(&[byte[0] ^ 1], at)?)
}

/// Bytes of the header of the image in a slot, and of its parts that are checked at boot.
pub(super) fn least_to_read(disk: &Path, slot: u64) -> Result<u64> {
    let file = File::open(disk).with_context(|| format!("can not open {}", disk.display()))?;
    let parts = manifest(&file, slot)?.parts;
    let checked = parts.iter().filter(|part| part.check == Check::AtBoot).map(|part| part.len);
    Ok(HEADER_SIZE as u64 + checked.sum::<u64>())
}

fn manifest(file: &File, slot: u64) -> Result<Manifest> {
    let mut header = [0; HEADER_SIZE];
    file.read_exact_at(&mut header, slot)?;
    HeaderBytes::parse(&header).and_then(|header| header.unverified_manifest()).context("the slot has no image")
}

/// Where a part of the image begins, from the slot's start.
fn part_offset(file: &File, slot: u64, kind: Kind) -> Result<u64> {
    let manifest = manifest(file, slot)?;
    let part = manifest.parts.iter().find(|part| part.kind == kind).with_context(|| format!("the image has no part {kind:?}"))?;
    Ok(part.offset)
}
