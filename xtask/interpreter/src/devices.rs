//! The devices that a loader touches: UARTs, timer, watchdog, the system control block and in it the memory protection unit. Sources: Arm DDI 0479,
//! chapter 4; Armv7-M ARM, chapter B3.

use std::collections::BTreeMap;

use crate::Trap;
use crate::protection::Protection;

const APB: std::ops::Range<u32> = 0x4000_0000..0x4003_0000;
const SYSTEM: std::ops::Range<u32> = 0xe000_e000..0xe000_f000;

const TIMER_CONTROL: u32 = 0x4000_0000;
const UARTS: [u32; 5] = [CONSOLE, 0x4000_5000, 0x4000_6000, 0x4000_7000, 0x4000_9000];
const CONSOLE: u32 = 0x4000_4000;
const UART_SIZE: u32 = 0x1000;
/// Registers of a UART, and bits in them.
const DATA: u32 = 0;
const STATE: u32 = 4;
const CONTROL: u32 = 8;
const INTERRUPTS: u32 = 12;
const FULL: u32 = 1;
const OVERRUN: u32 = 4;
const TRANSMIT: u32 = 1;
const INTERRUPT: u32 = 4;
const WATCHDOG: std::ops::Range<u32> = 0x4000_8000..0x4000_9000;
const WATCHDOG_LOCK: u32 = 0x4000_8c00;
const UNLOCK: u32 = 0x1acc_e551;
const RESET_CONTROL: u32 = 0xe000_ed0c;
const COPROCESSOR_ACCESS: u32 = 0xe000_ed88;
const FLOATING_POINT_ACCESS: u32 = 0x00f0_0000;
const RESET_KEY: u32 = 0x05fa;
const RESET_REQUEST: u32 = 4;

/// The devices' registers, and what was sent to the console.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Devices {
    pub(crate) console: Vec<u8>,
    pub(crate) registers: BTreeMap<u32, u32>,
    pub(crate) watchdog_is_locked: bool,
    pub(crate) protection: Protection,
    /// How many instructions had run when the timer was started, that one included. It stands still all the same, so that runs of different length
    /// leave equal memory behind.
    pub(crate) timer_started: Option<u64>,
}

impl Devices {
    /// Whether an address is a device's and no memory.
    pub(crate) fn has(address: u32) -> bool {
        APB.contains(&address) || SYSTEM.contains(&address)
    }

    /// Whether a program can tell no difference.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.registers == other.registers && self.watchdog_is_locked == other.watchdog_is_locked && self.protection == other.protection
    }

    /// Whether the floating-point unit answers no access: until a program switches it on. Source: Armv7-M ARM, B3.2.20.
    pub(crate) fn floating_point_is_off(&self) -> bool {
        self.read(COPROCESSOR_ACCESS) & FLOATING_POINT_ACCESS == 0
    }

    pub(crate) fn read(&self, address: u32) -> u32 {
        match address {
            WATCHDOG_LOCK => self.watchdog_is_locked.into(),
            _ if Protection::has(address) => self.protection.read(address),
            _ => self.registers.get(&address).copied().unwrap_or(0),
        }
    }

    /// `count`: the instructions so far, this one included.
    pub(crate) fn write(&mut self, address: u32, value: u32, count: u64) -> Result<(), Trap> {
        if address == TIMER_CONTROL && value & 1 == 1 {
            self.timer_started = self.timer_started.or(Some(count));
        }
        if let Some(uart) = uart_of(address) {
            self.write_uart(uart, address - uart, value);
            return Ok(());
        }
        match address {
            RESET_CONTROL if value >> 16 == RESET_KEY && value & RESET_REQUEST != 0 => return Err(Trap::Reset),
            WATCHDOG_LOCK => self.watchdog_is_locked = value != UNLOCK,
            _ if WATCHDOG.contains(&address) && self.watchdog_is_locked => {}
            _ if Protection::has(address) => self.protection.write(address, value),
            _ => {
                self.registers.insert(address, value);
            }
        }
        Ok(())
    }

    /// A byte is sent at once by a transmitter that is on. One that is off keeps it, and has no room for another one from then on. Sources: Arm DDI 0479,
    /// 4.3; QEMU, `hw/char/cmsdk-apb-uart.c`.
    fn write_uart(&mut self, uart: u32, register: u32, value: u32) {
        let [state, control, interrupts] = [STATE, CONTROL, INTERRUPTS].map(|register| self.read(uart + register));
        let (register, value) = match register {
            DATA if state & FULL != 0 => (STATE, state | OVERRUN),
            DATA if control & TRANSMIT == 0 => (STATE, state | FULL),
            DATA => {
                if uart == CONSOLE {
                    self.console.push(value as u8);
                }
                (INTERRUPTS, interrupts | u32::from(control & INTERRUPT != 0))
            }
            STATE => (STATE, state & !(value & OVERRUN)),
            INTERRUPTS => (INTERRUPTS, interrupts & !value),
            _ => (register, value),
        };
        self.registers.insert(uart + register, value);
    }
}

/// The UART that a register belongs to.
fn uart_of(address: u32) -> Option<u32> {
    UARTS.into_iter().find(|uart| (*uart..uart + UART_SIZE).contains(&address))
}
