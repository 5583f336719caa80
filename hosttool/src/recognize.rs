//! What kind of file something is, by how it begins.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use anyhow::Context as _;
use twinslot_bootloader::{
    handoff::{HANDOFF_SIZE, Handoff, HandoffError},
    image,
};

use crate::report::Failure;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A slot image.
    Slot,
    /// A bundle.
    Bundle,
    /// A hand-off dump.
    Handoff(Box<[u8; HANDOFF_SIZE]>),
    /// Something else: a journal region or a flash image, perhaps.
    Other,
}

/// Looks at a file's first bytes.
///
/// # Errors
/// The file can not be read.
pub fn recognize(path: &Path) -> Result<Content, Failure> {
    let unreadable = || format!("{}: can not be read", path.display());
    let file = File::open(path).with_context(unreadable)?;
    let len = file.metadata().with_context(unreadable)?.len();
    let mut start = [0; HANDOFF_SIZE];
    let known = usize::try_from(len).unwrap_or(HANDOFF_SIZE).min(HANDOFF_SIZE);
    file.read_exact_at(start.get_mut(..known).unwrap_or_default(), 0).with_context(unreadable)?;
    Ok(match start.first_chunk::<8>() {
        Some(&image::MAGIC) => Content::Slot,
        Some(&image::bundle::MAGIC) => Content::Bundle,
        _ if Handoff::decode(&start) == Err(HandoffError::WrongMagic) => Content::Other,
        _ => Content::Handoff(Box::new(start)),
    })
}
