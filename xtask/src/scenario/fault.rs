//! Changes to a flash file while the board is off. Each finds its place through the layout and refuses a flash that has nothing there.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use twinslot_config::Layout;
use twinslot_config::layout::Span;

use super::{Log, Slot};

const HEADER_SIZE: usize = 1024;
/// Parts begin at a multiple of this (`pack --align`).
const FIRST_PART: u64 = 4096;
const ERASED: u8 = 0xff;

/// A board's flash as a file.
pub(super) struct FlashFile<'a> {
    file: File,
    layout: &'a Layout,
}

impl<'a> FlashFile<'a> {
    pub(super) fn open(path: &Path, layout: &'a Layout) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path).with_context(|| format!("can not open the flash {}", path.display()))?;
        Ok(Self { file, layout })
    }

    /// Where a slot lies.
    const fn slot(&self, slot: Slot) -> Span {
        match slot {
            Slot::A => self.layout.slot_a,
            Slot::B => self.layout.slot_b,
        }
    }

    /// All bytes of a slot.
    fn slot_bytes(&self, slot: Slot) -> Result<Vec<u8>> {
        self.read(self.slot(slot))
    }

    /// Writes `image` at the start of a slot whose rest reads as erased.
    pub(super) fn put(&self, slot: Slot, image: &[u8]) -> Result<()> {
        self.fill(self.slot(slot), image)
    }

    /// Writes `bundle` at the start of staging, whose rest reads as erased.
    pub(super) fn stage(&self, bundle: &[u8]) -> Result<()> {
        self.fill(self.layout.staging.context("the layout has no staging")?, bundle)
    }

    fn fill(&self, span: Span, bytes: &[u8]) -> Result<()> {
        ensure!(bytes.len() as u64 <= span.size, "{} bytes do not fit into {}", bytes.len(), span.size);
        let mut content = vec![ERASED; usize::try_from(span.size)?];
        content[..bytes.len()].copy_from_slice(bytes);
        self.write(span.offset, &content)
    }

    /// The second half of a header reads as erased.
    pub(super) fn tear_header(&self, slot: Slot) -> Result<()> {
        let offset = self.slot(slot).offset;
        let header = self.read(Span { offset, size: HEADER_SIZE as u64 })?;
        ensure!(header.starts_with(b"TWINSLOT"), "slot {} has no header to tear", slot.name());
        self.write(offset + HEADER_SIZE as u64 / 2, &[ERASED; HEADER_SIZE / 2])
    }

    /// One bit in the middle of what the slot holds flips.
    pub(super) fn flip_payload_bit(&self, slot: Slot) -> Result<()> {
        let bytes = self.slot_bytes(slot)?;
        let end = bytes.iter().rposition(|byte| *byte != ERASED).map_or(0, |last| last as u64 + 1);
        ensure!(end > FIRST_PART, "slot {} has no payload to damage", slot.name());
        let at = FIRST_PART + (end - FIRST_PART) / 2;
        let damaged = bytes[usize::try_from(at)?] ^ 0x10;
        self.write(self.slot(slot).offset + at, &[damaged])
    }

    /// Both logs read as erased.
    pub(super) fn lose_journal(&self) -> Result<()> {
        self.fill(self.layout.journal, &[])
    }

    /// The second half of the newest record in one log reads as erased.
    pub(super) fn tear_newest_record(&self, log: Log) -> Result<()> {
        let [first, second] = self.layout.logs();
        let span = if log == Log::First { first } else { second };
        let stride = self.layout.record_stride();
        let newest = last_record(&self.read(span)?, stride).context("the log has no record to tear")?;
        let half = vec![ERASED; usize::try_from(stride / 2)?];
        self.write(span.offset + newest * stride + stride / 2, &half)
    }

    fn read(&self, span: Span) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(span.size)?];
        self.file.read_exact_at(&mut bytes, span.offset).context("the flash file is shorter than its layout")?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).context("can not write to the flash file")
    }
}

/// The number of the last record in a log: records are appended, so it is the last one that is not erased.
fn last_record(log: &[u8], stride: u64) -> Option<u64> {
    let stride = usize::try_from(stride).ok()?;
    log.chunks_exact(stride).rposition(|record| record.iter().any(|byte| *byte != ERASED)).map(|index| index as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_record_is_the_last_one_that_is_not_erased() {
        let mut log = vec![ERASED; 512];
        assert_eq!(last_record(&log, 128), None);
        log[3] = 0;
        log[130] = 0;
        assert_eq!(last_record(&log, 128), Some(1));
    }
}
