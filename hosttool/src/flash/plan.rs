//! What is erased and what is programmed, in order.

use std::{fs::File, ops::Range, os::unix::fs::FileExt as _};

use anyhow::Context as _;
use serde::Serialize;
use twinslot_config::Layout;

use crate::{
    assemble::{Assembly, Sources, read_loader},
    loader_elf::Segment,
    report::Failure,
};

/// Everything that happens to a flash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlashPlan {
    /// What becomes 0xFF, in order.
    pub erases: Vec<Erase>,
    /// What is written then, in order.
    pub pieces: Vec<Piece>,
}

/// A range to erase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Erase {
    /// The region's name.
    pub region: String,
    /// The addresses.
    pub range: Range<u64>,
}

/// Bytes to program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The region's name.
    pub region: String,
    /// Where.
    pub address: u64,
    /// The bytes, a whole number of writes.
    #[serde(serialize_with = "as_len", rename = "len")]
    pub bytes: Vec<u8>,
}

fn as_len<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(bytes.len() as u64)
}

impl FlashPlan {
    /// Plans the programming of everything that the sources name, through a flash image that is assembled as for an emulator.
    ///
    /// # Errors
    /// As [`Assembly::prepare`]; the layout's flash has no address.
    pub fn prepare(sources: &Sources) -> Result<(Self, Layout), Failure> {
        let assembly = Assembly::prepare(sources)?;
        let base = assembly.layout.flash.base.context("the layout's flash has no address (flash.base): a probe can not reach it")?;
        let image = tempfile::tempfile().context("a temporary file can not be created")?;
        assembly.write_to(&image)?;
        let mut plan = Self { erases: Vec::new(), pieces: Vec::new() };
        // The boot state binds to the slots' images; a loader, a golden image or a staged bundle leaves it, and the floor in it, alone.
        if assembly.state.is_some() || assembly.placed.iter().any(|placed| placed.region.starts_with("slot")) {
            plan.erase_journal(&assembly.layout, base);
        }
        plan.add_regions(&assembly, base, &image)?;
        if let Some(loader) = &sources.loader {
            plan.add_loader(read_loader(loader, &assembly.layout)?, &assembly.layout);
        }
        if assembly.state.is_some() {
            plan.add_journal(&assembly.layout, base, &image)?;
        }
        Ok((plan, assembly.layout))
    }

    /// Bytes that are erased, programmed and read back: what a progress bar counts.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        let erased: u64 = self.erases.iter().map(|erase| erase.range.end - erase.range.start).sum();
        let programmed: u64 = self.pieces.iter().map(|piece| piece.bytes.len() as u64).sum();
        erased + 2 * programmed
    }

    fn erase_journal(&mut self, layout: &Layout, base: u64) {
        let journal = layout.journal;
        self.erases.push(Erase { region: "journal".to_owned(), range: base + journal.offset..base + journal.end() });
    }

    fn add_regions(&mut self, assembly: &Assembly, base: u64, image: &File) -> Result<(), Failure> {
        let regions = assembly.layout.flash_regions();
        for placed in &assembly.placed {
            if let Some((name, span)) = regions.iter().find(|(name, _)| *name == placed.region) {
                self.erases.push(Erase { region: (*name).to_owned(), range: base + span.offset..base + span.end() });
            }
            let len = placed.len.next_multiple_of(assembly.layout.flash.write_size);
            self.pieces.push(Piece { region: placed.region.to_owned(), address: base + placed.offset, bytes: read(image, placed.offset, len)? });
        }
        Ok(())
    }

    fn add_loader(&mut self, segments: Vec<Segment>, layout: &Layout) {
        let start = layout.loader_address().unwrap_or(0);
        self.erases.push(Erase { region: "loader".to_owned(), range: start..start + layout.loader.span.size });
        let piece = |Segment { address, bytes }| Piece { region: "loader".to_owned(), address, bytes };
        self.pieces.extend(segments.into_iter().map(piece));
    }

    /// Only what is not erased flash: the records.
    fn add_journal(&mut self, layout: &Layout, base: u64, image: &File) -> Result<(), Failure> {
        for log in layout.logs() {
            let mut bytes = read(image, log.offset, log.size)?;
            let used = bytes.iter().rposition(|byte| *byte != 0xff).map_or(0, |last| last + 1);
            let whole = (used as u64).next_multiple_of(layout.flash.write_size).min(log.size);
            bytes.truncate(usize::try_from(whole).unwrap_or(usize::MAX));
            self.pieces.push(Piece { region: "journal".to_owned(), address: base + log.offset, bytes });
        }
        Ok(())
    }
}

fn read(image: &File, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![0; usize::try_from(len).context("a region is too large for this computer")?];
    image.read_exact_at(&mut bytes, offset).context("a temporary file can not be read")?;
    Ok(bytes)
}
