//! The console: a PL011.

use super::memory::Register;

/// Source: QEMU, `hw/arm/virt.c`, `base_memmap`; ARM DDI 0183, chapter 3.
const DATA: Register<u32> = Register::at(0x0900_0000);
const FLAGS: Register<u32> = Register::at(0x0900_0018);
const CONTROL: Register<u32> = Register::at(0x0900_0030);

const TRANSMIT_FULL: u32 = 1 << 5;
const ENABLED: u32 = 1 | 1 << 8;

/// Sends a text.
pub(super) fn send(text: &str) {
    CONTROL.write(ENABLED);
    for byte in text.bytes() {
        while FLAGS.read() & TRANSMIT_FULL != 0 {
            core::hint::spin_loop();
        }
        DATA.write(u32::from(byte));
    }
}
