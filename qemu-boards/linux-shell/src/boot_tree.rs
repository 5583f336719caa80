//! The device tree of one boot: a signed tree or the machine's own, with everything that the loader has to say to Linux.

use heapless::Vec;
use twinslot_bootloader::handoff::Handoff;
use twinslot_bootloader::load::Span;

use crate::device_tree::{LinuxTree, MAX_RANGES, MachineTree, TreeError, Value};
use crate::handoff::publish;

/// Most ranges that are kept from Linux: the mark's page, and all that a machine may reserve.
const MAX_KEPT: usize = MAX_RANGES + 1;

/// What a tree is made of.
#[derive(Clone, Copy)]
pub struct BootTree<'a> {
    /// The image's tree, judged by [`crate::device_tree::judge`]; without one Linux gets the machine's.
    pub signed: Option<&'a [u8]>,
    /// The machine's.
    pub machine: MachineTree<'a>,
    /// The page of the mark.
    pub mark: Span,
    /// The command line, with its NUL.
    pub line: &'a [u8],
    /// Where the initrd lies.
    pub initrd: Option<Span>,
    /// The hand-off.
    pub handoff: &'a Handoff,
}

impl BootTree<'_> {
    /// Makes the tree; gives its size in bytes.
    ///
    /// # Errors
    /// The source is not one to edit, or the room is full.
    pub fn make(&self, room: &mut [u8]) -> Result<usize, TreeError> {
        let mut tree = LinuxTree::begin(self.signed.unwrap_or(self.machine.bytes()), &self.kept()?, room)?;
        tree.choose("bootargs", Value::Bytes(self.line))?;
        if let Some(initrd) = self.initrd {
            tree.choose("linux,initrd-start", Value::Wide(initrd.start))?;
            tree.choose("linux,initrd-end", Value::Wide(initrd.start.saturating_add(initrd.len)))?;
        }
        tree.seed_from(&self.machine)?;
        publish(self.handoff, &mut tree)?;
        tree.finish()
    }

    /// Firmware below the loader says in the machine's tree alone what memory it keeps.
    fn kept(&self) -> Result<Vec<Span, MAX_KEPT>, TreeError> {
        let mut kept = Vec::new();
        kept.push(self.mark).map_err(|_| TreeError::TooManyRanges)?;
        if self.signed.is_some() {
            kept.extend_from_slice(&self.machine.reserved()?).map_err(|_| TreeError::TooManyRanges)?;
        }
        Ok(kept)
    }
}
