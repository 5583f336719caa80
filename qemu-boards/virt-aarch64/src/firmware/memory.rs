//! This machine's addresses, and the one place that vouches for them.
//!
//! Source: QEMU, `hw/arm/virt.c`, `base_memmap` and `extended_memmap`.

use linux_shell::layout::Layout;
use linux_shell::loader::Hardware;
use linux_shell::memory::{Vouched, constant_bytes, own_bytes, words};
use linux_shell::virtio::{Slots, VirtioDisk};

use super::crypto::Accelerated;
use super::machine::Virt;
use super::watchdog::I6300Esb;

/// Where QEMU puts the device tree of a machine that starts from flash: the beginning of RAM, at most 1 MiB of it.
const MACHINE_TREE: (u64, u64) = (0x4000_0000, 0x10_0000);

/// A device register of this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Register<T> {
    address: usize,
    width: core::marker::PhantomData<T>,
}

impl<T: Copy> Register<T> {
    /// The register at an address. Only addresses of device registers of this machine, aligned to their width, are ever given; none of them makes a
    /// device access memory.
    pub(super) const fn at(address: usize) -> Self {
        Self { address, width: core::marker::PhantomData }
    }

    #[expect(unsafe_code, reason = "a device register is reached by its address")]
    pub(super) fn read(self) -> T {
        let register = core::ptr::with_exposed_provenance::<T>(self.address);
        // SAFETY: `at` is given registers of this machine only.
        unsafe { register.read_volatile() }
    }

    #[expect(unsafe_code, reason = "a device register is reached by its address")]
    pub(super) fn write(self, value: T) {
        let register = core::ptr::with_exposed_provenance_mut::<T>(self.address);
        // SAFETY: `at` is given registers of this machine only, and none of them makes a device access memory.
        unsafe { register.write_volatile(value) }
    }
}

/// What the board has. Called once, by `main`.
#[expect(unsafe_code, reason = "the one place that vouches for this board's addresses")]
pub(super) fn hardware(layout: &Layout) -> Hardware<'static, Virt, I6300Esb, VirtioDisk<'static, Virt>, Accelerated> {
    let crypto = Accelerated::of_this_processor();
    // SAFETY: virt has 32 virtio-mmio transports there; without an IOMMU, and with the MMU off, addresses are the same for all.
    let slots = unsafe { Slots::at(0x0a00_0000, 0x200, 32) };
    // SAFETY: QEMU writes its tree before every start; the layout reserves its place, so that nothing of the loader's lies there.
    let machine_tree = unsafe { constant_bytes(MACHINE_TREE.0, MACHINE_TREE.1) };
    // SAFETY: this region of the layout is for this tree only.
    let tree_room = unsafe { own_bytes(layout.device_tree.0, layout.device_tree.1) };
    // SAFETY: this region of the layout is for the mark only, and a page is aligned.
    let mark = unsafe { words(layout.marker.0, layout.marker.1) };
    // SAFETY: the MMU is off, build.rs linked this program into the loader's region of the same layout, and `main` is entered once.
    let memory = unsafe { Vouched::for_this_board() };
    let disk = VirtioDisk::find(slots, &Virt);
    Hardware { machine: &Virt, watchdog: I6300Esb::find(), disk, hash: crypto.words(), crypto, machine_tree, tree_room, mark, memory }
}
