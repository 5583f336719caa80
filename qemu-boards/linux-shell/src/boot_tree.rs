//! The device tree of one boot: a signed tree or the machine's own, with everything that the loader has to say to Linux.

use twinslot_bootloader::handoff::Handoff;
use twinslot_bootloader::load::Span;

use crate::device_tree::{LinuxTree, MachineTree, Ranges, TreeError, Value};
use crate::handoff::publish;

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
        // Firmware below the loader says in the machine's tree alone what memory it keeps.
        let reserved = if self.signed.is_some() { self.machine.reserved()? } else { Ranges::new() };
        let kept = core::iter::once(&self.mark).chain(&reserved);
        let mut tree = LinuxTree::begin(self.signed.unwrap_or(self.machine.bytes()), kept, room)?;
        tree.choose("bootargs", Value::Bytes(self.line))?;
        if let Some(initrd) = self.initrd {
            tree.choose("linux,initrd-start", Value::Wide(initrd.start))?;
            tree.choose("linux,initrd-end", Value::Wide(initrd.start.saturating_add(initrd.len)))?;
        }
        tree.seed_from(&self.machine)?;
        publish(self.handoff, &mut tree)?;
        tree.finish()
    }
}
