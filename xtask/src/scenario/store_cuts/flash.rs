//! The flash as bytes: what a store leaves in it, and what its journal holds.
//!
//! The journal is read here place by place, with the library's codec of one record and nothing else of it: how the library scans a log is what is on
//! trial.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use twinslot_bootloader::journal::{Policy, RECORD_SIZE, Record, State};
use twinslot_config::Layout;
use twinslot_config::layout::Span;

use super::trace::Store;
use crate::board::FLASH_FILE_SIZE;

const ERASED: u8 = 0xff;

/// Bytes of slot B that tell one flash from another: none of the images there is longer.
const SLOT_B_IN_USE: u64 = 64 * 1024;

/// All regions of a board's flash, from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    bytes: Vec<u8>,
    base: u64,
}

/// What the journal of a flash holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journal {
    /// The valid record with the highest sequence.
    pub(super) newest: Option<Record>,
    /// Whether both logs end in that record.
    pub(super) clean: bool,
    /// Whether something stands behind the last valid record of a log: a record that was begun.
    pub(super) torn: bool,
}

impl Content {
    /// An erased flash.
    #[cfg(test)]
    pub(super) fn erased(layout: &Layout) -> Self {
        let end = layout.flash_regions().iter().map(|(_, span)| span.end()).max().unwrap_or(0);
        Self { bytes: vec![ERASED; end as usize], base: layout.flash.base.unwrap_or(0) }
    }

    /// Reads as much of a flash file as has regions.
    pub(super) fn read(path: &Path, layout: &Layout) -> Result<Self> {
        let end = layout.flash_regions().iter().map(|(_, span)| span.end()).max().unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(end)?];
        let file = std::fs::File::open(path).with_context(|| format!("can not open the flash {}", path.display()))?;
        file.read_exact_at(&mut bytes, 0).with_context(|| format!("the flash {} is shorter than its regions", path.display()))?;
        Ok(Self { bytes, base: layout.flash.base.context("the layout's flash has no address")? })
    }

    /// Writes the regions to a flash file, as large as the emulator wants it.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(path);
        file.and_then(|file| file.write_all_at(&self.bytes, 0).and_then(|()| file.set_len(FLASH_FILE_SIZE)))
            .with_context(|| format!("can not write the flash {}", path.display()))
    }

    /// Does what these stores did.
    pub(super) fn apply(&mut self, stores: &[Store]) {
        for store in stores {
            if let Some(word) = self.offset(store.address).and_then(|at| self.bytes.get_mut(at..at + 4)) {
                word.copy_from_slice(&store.word);
            }
        }
    }

    /// The word at an address.
    pub(super) fn word(&self, address: u64) -> Option<[u8; 4]> {
        let at = self.offset(address)?;
        self.bytes.get(at..at + 4)?.first_chunk().copied()
    }

    /// The bytes of a region; none where the flash has no such region.
    pub(super) fn region(&self, span: Span) -> &[u8] {
        let range = usize::try_from(span.offset).ok().zip(usize::try_from(span.end()).ok());
        range.and_then(|(start, end)| self.bytes.get(start..end)).unwrap_or_default()
    }

    /// What tells this flash from others of its scene: the journal and the start of slot B. Nothing else is ever written, which is judged.
    pub(super) fn key(&self, layout: &Layout) -> [u8; 32] {
        let slot = Span { size: SLOT_B_IN_USE.min(layout.slot_b.size), ..layout.slot_b };
        Sha256::new().chain_update(self.region(layout.journal)).chain_update(self.region(slot)).finalize().into()
    }

    /// The first byte that differs outside of these regions.
    pub(super) fn first_difference(&self, other: &Self, except: &[Span]) -> Option<u64> {
        let (mut one, mut two) = (self.clone(), other.clone());
        for span in except {
            one.blank(*span);
            two.blank(*span);
        }
        if one.bytes == two.bytes {
            return None;
        }
        one.bytes.iter().zip(&two.bytes).position(|(one, two)| one != two).map(|at| at as u64)
    }

    fn blank(&mut self, span: Span) {
        let range = usize::try_from(span.offset).ok().zip(usize::try_from(span.end()).ok());
        if let Some(bytes) = range.and_then(|(start, end)| self.bytes.get_mut(start..end)) {
            bytes.fill(ERASED);
        }
    }

    /// Fills both logs with these states, in ascending sequence from 1, each at the next place.
    pub(super) fn set_journal(&mut self, layout: &Layout, states: &[State]) -> Result<()> {
        self.blank(layout.journal);
        for log in layout.logs() {
            for (sequence, state) in (1..).zip(states) {
                let record = Record { sequence, state: *state }.encode().context("a state does not fit into a record")?;
                let at = usize::try_from(log.offset + (sequence - 1) * layout.record_stride())?;
                self.bytes.get_mut(at..at + RECORD_SIZE).context("a log has no room for that many records")?.copy_from_slice(&record);
            }
        }
        Ok(())
    }

    /// What the journal holds.
    pub(super) fn journal(&self, layout: &Layout) -> Journal {
        let logs = layout.logs().map(|span| Log::read(self.region(span), layout));
        let newest = logs.iter().filter_map(|log| log.newest).max_by_key(|record| record.sequence);
        let clean = newest.is_some() && logs.iter().all(|log| log.newest == newest && !log.torn);
        Journal { newest, clean, torn: logs.iter().any(|log| log.torn) }
    }

    fn offset(&self, address: u64) -> Option<usize> {
        usize::try_from(address.checked_sub(self.base)?).ok()
    }
}

/// What one log holds.
struct Log {
    newest: Option<Record>,
    torn: bool,
}

impl Log {
    fn read(bytes: &[u8], layout: &Layout) -> Self {
        let policy: &Policy = &layout.policy;
        let mut log = Self { newest: None, torn: false };
        for place in bytes.chunks_exact(usize::try_from(layout.record_stride()).unwrap_or(RECORD_SIZE)) {
            if place.iter().all(|byte| *byte == ERASED) {
                continue;
            }
            match place.first_chunk().and_then(|bytes| Record::decode(bytes, policy)) {
                Some(record) => log = Self { newest: Some(record), torn: false },
                None => log.torn = true,
            }
        }
        log
    }
}
