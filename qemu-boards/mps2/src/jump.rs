//! The jump: from the loader into a verified image, for good.

use core::hint::black_box;

use twinslot_bootloader::load::Bootable;

/// The vector table offset register. Source: Armv7-M and Armv8-M architecture reference manuals, system control block.
const VTOR: u32 = 0xe000_ed08;

/// The control register of the memory protection unit. Source: the same manuals.
const PROTECTION_CONTROL: u32 = 0xe000_ed94;

/// Starts an image: the vector table becomes the image's own, the memory protection unit is off (its regions stay as the loader has set
/// them), the main stack pointer and the program counter are what the table's first two words say.
///
/// Nothing but a [`Bootable`] gets here. An image without firmware comes back, as there is nothing to jump to.
#[expect(unsafe_code, reason = "control leaves the program")]
pub(crate) fn jump(image: &Bootable) {
    if black_box(image).missing() != 0 {
        return;
    }
    let Some(vector_table) = black_box(image).vector_table().and_then(|address| u32::try_from(address).ok()) else {
        return;
    };
    // SAFETY: a `Bootable` has a verified vector table there, at the alignment that VTOR asks for: a stack pointer, then a reset vector inside the
    // verified part. No interrupt is enabled that could use either table meanwhile. The loader's stack and statics end here.
    unsafe {
        core::arch::asm!(
            "str r0, [r1]",
            "movs r2, #0",
            "str r2, [r1, {protection}]",
            "dsb",
            "isb",
            "ldr r2, [r0]",
            "ldr r3, [r0, #4]",
            "msr MSP, r2",
            "bx r3",
            in("r0") vector_table,
            in("r1") VTOR,
            protection = const PROTECTION_CONTROL - VTOR,
            options(noreturn),
        )
    }
}
