//! This machine's addresses, and the one place that vouches for them.
//!
//! Source: QEMU, `hw/riscv/virt.c`, `virt_memmap`.

use linux_shell::device_tree::claimed_size;
use linux_shell::layout::Layout;
use linux_shell::loader::Hardware;
use linux_shell::memory::{Vouched, constant_bytes, own_bytes, words};
use linux_shell::virtio::{Slots, VirtioDisk};
use twinslot_bootloader::crypto::Compact;

use super::machine::Virt;
use super::power::Unwatched;

/// Bytes that a device tree of this machine has at most.
const MAX_TREE: usize = 0x20_0000;

/// Bytes of a tree's header. Source: Devicetree Specification, release 0.4, section 5.2.
const TREE_HEADER: u64 = 40;

/// What the board has. Called once, by `main`, with the device tree's address as OpenSBI gave it.
#[expect(unsafe_code, reason = "the one place that vouches for this board's addresses")]
pub(super) fn hardware<'m>(
    machine: &'m Virt,
    device_tree: usize,
    layout: &Layout,
) -> Hardware<'m, Virt, Unwatched<'m>, VirtioDisk<'m, Virt>, Compact> {
    // SAFETY: virt has 8 virtio-mmio transports there; without an IOMMU, and with translation off, addresses are the same for all.
    let slots = unsafe { Slots::at(0x1000_1000, 0x1000, 8) };
    let machine_tree = machine_tree(device_tree as u64, layout);
    // SAFETY: this region of the layout is for this tree only.
    let tree_room = unsafe { own_bytes(layout.device_tree.0, layout.device_tree.1) };
    // SAFETY: this region of the layout is for the mark only, and a page is aligned.
    let mark = unsafe { words(layout.marker.0, layout.marker.1) };
    // SAFETY: translation is off, build.rs linked this program into the loader's regions of the same layout, and `main` is entered once.
    let memory = unsafe { Vouched::for_this_board() };
    let disk = VirtioDisk::find(slots, machine);
    Hardware { machine, watchdog: Unwatched(machine), disk, crypto: Compact, hash: "software", machine_tree, tree_room, mark, memory }
}

/// The bytes of the machine's tree; none when it lies where none can: everything below the first byte of images is the firmware's or the loader's.
#[expect(unsafe_code, reason = "the firmware hands the tree over by its address")]
fn machine_tree(address: u64, layout: &Layout) -> &'static [u8] {
    let is_ours = layout.image.first().is_none_or(|(first, _)| address < *first);
    if is_ours || !address.is_multiple_of(8) {
        return &[];
    }
    // SAFETY: OpenSBI has read and changed the tree there, so it is memory. It lies behind all that the loader writes.
    let head = unsafe { constant_bytes(address, TREE_HEADER) };
    let Some(size) = claimed_size(head).filter(|size| *size <= MAX_TREE) else { return &[] };
    // SAFETY: as before, and images are kept off the whole tree.
    unsafe { constant_bytes(address, size as u64) }
}
