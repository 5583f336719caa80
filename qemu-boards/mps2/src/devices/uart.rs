//! A UART that is only written, byte by byte.

use core::fmt;

use crate::registers::Registers;

/// A CMSDK UART.
#[derive(Debug, Clone, Copy)]
pub struct Uart(Registers);

const DATA: usize = 0x0;
const STATE: usize = 0x4;
const CONTROL: usize = 0x8;
const BAUD_DIVIDER: usize = 0x10;

const TRANSMIT_BUFFER_FULL: u32 = 1;
const TRANSMIT_ENABLE: u32 = 1;

/// 25 MHz / 217 = 115,207 baud.
const DIVIDER_115200: u32 = 217;

impl Uart {
    /// Switches the transmitter on.
    #[must_use]
    pub fn start(registers: Registers) -> Self {
        registers.write::<BAUD_DIVIDER>(DIVIDER_115200);
        registers.write::<CONTROL>(TRANSMIT_ENABLE);
        Self(registers)
    }

    /// Sends bytes, waiting for room.
    pub fn send(self, bytes: &[u8]) {
        for byte in bytes {
            while self.0.read::<STATE>() & TRANSMIT_BUFFER_FULL != 0 {}
            self.0.write::<DATA>(u32::from(*byte));
        }
    }

    /// Sends a number in decimal, without the machinery of `core::fmt`.
    pub fn send_decimal(self, number: u8) {
        if number >= 10 {
            self.send_decimal(number / 10);
        }
        self.send(&[b'0'.wrapping_add(number % 10)]);
    }
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.send(text.as_bytes());
        Ok(())
    }
}
