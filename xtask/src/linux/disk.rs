//! What happens to a disk before a boot.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use twinslot_config::Layout;

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
    /// The journal is lost.
    LoseJournal,
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

/// Lets it happen.
pub(super) fn apply(change: Change, disk: &Path, layout: &Layout) -> Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(disk).with_context(|| format!("can not open {}", disk.display()))?;
    match change {
        Change::Flip(slot, offset) => {
            let at = slot.start(layout) + offset;
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            file.write_all_at(&[byte[0] ^ 1], at)?;
        }
        Change::LoseJournal => file.write_all_at(&vec![0; usize::try_from(layout.journal.size)?], layout.journal.offset)?,
    }
    Ok(())
}
