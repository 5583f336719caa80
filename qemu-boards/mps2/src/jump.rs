//! The jump: from the loader into a verified image, for good.

use twinslot_bootloader::load::Bootable;

/// Starts an image: the vector table becomes the image's own, the main stack pointer and the program counter are what its first two words say.
///
/// Nothing but a [`Bootable`] gets here. An image without firmware comes back, as there is nothing to jump to.
#[expect(unsafe_code, reason = "control leaves the program")]
pub(crate) fn jump(image: &Bootable) {
    let Some(vector_table) = image.vector_table().and_then(|address| u32::try_from(address).ok()) else {
        return;
    };
    let Some(core) = cortex_m::Peripherals::take() else { return };
    // SAFETY: a `Bootable` has a verified vector table there, at the alignment that VTOR asks for; no interrupt is enabled that could use it early.
    unsafe { core.SCB.vtor.write(vector_table) };
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
    // SAFETY: the table's first words are a stack pointer and a reset vector inside the verified part. The loader's stack and statics end here.
    unsafe { cortex_m::asm::bootload(core::ptr::with_exposed_provenance(vector_table as usize)) }
}
