//! The trace of a run, as the plugin leaves it, and the rules of the flash that it must keep.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use twinslot_config::Layout;
use twinslot_config::layout::Span;

use super::flash::Content;

const ERASED: [u8; 4] = [0xff; 4];

/// One store of the board into its flash: the word at `address` after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Store {
    pub(super) address: u64,
    pub(super) word: [u8; 4],
}

impl Store {
    /// Whether it went into this region.
    pub(super) fn is_in(&self, span: Span, layout: &Layout) -> bool {
        let base = layout.flash.base.unwrap_or(0);
        (base + span.offset..base + span.end()).contains(&self.address)
    }

    /// Whether it left the word erased.
    pub(super) fn erases(&self) -> bool {
        self.word == ERASED
    }
}

/// Reads a trace.
pub(super) fn read(path: &Path) -> Result<Vec<Store>> {
    let bytes = std::fs::read(path).with_context(|| format!("the plugin left no trace at {}", path.display()))?;
    let (entries, rest) = bytes.as_chunks::<8>();
    ensure!(rest.is_empty(), "the trace {} ends within an entry", path.display());
    Ok(entries.iter().map(entry).collect())
}

fn entry(bytes: &[u8; 8]) -> Store {
    let [a, b, c, d, word @ ..] = *bytes;
    Store { address: u32::from_le_bytes([a, b, c, d]).into(), word }
}

/// The first store that no NOR flash would take: a word that is programmed twice, a unit that is erased in part, a region that nobody may write.
///
/// Written from the rules and not from the board's flash code: a unit is erased by storing to all of its words in ascending order; every other store
/// programs, and finds its word erased.
pub(super) fn breach(before: &Content, stores: &[Store], layout: &Layout) -> Option<String> {
    let mut content = before.clone();
    let mut erasing = None;
    for (index, store) in stores.iter().enumerate() {
        let said = |what: &str| Some(format!("store {} of {}, to {:#x}, {what}", index + 1, stores.len(), store.address));
        if !store.is_in(layout.journal, layout) && !store.is_in(layout.slot_b, layout) {
            return said("is outside of the journal and the slot that does not run");
        }
        let was = content.word(store.address);
        let offset = store.address - layout.flash.base.unwrap_or(0);
        let begins = store.erases() && offset.is_multiple_of(layout.flash.erase_size) && erasing.is_none();
        if begins || erasing == Some(offset) {
            if !store.erases() {
                return said("programs a word of a unit whose erase is under way");
            }
            erasing = Some(offset + 4).filter(|next| !next.is_multiple_of(layout.flash.erase_size));
        } else if erasing.is_some() {
            return said("leaves an erase in the middle of a unit");
        } else if was != Some(ERASED) {
            return said("programs a word that is not erased");
        }
        content.apply(std::slice::from_ref(store));
    }
    None
}
