//! The watchdog: an Intel 6300ESB on the PCI bus.
//!
//! Source: Intel 6300ESB I/O Controller Hub datasheet, chapter 16; QEMU, `hw/watchdog/wdt_i6300esb.c`.

use linux_shell::machine::Watchdog;
use linux_shell::power::WatchdogSays;
use twinslot_bootloader::boot::NoWatchdog;

use super::memory::Register;

/// PCI configuration space of bus 0, and where its devices may have 32-bit registers. Source: QEMU, `hw/arm/virt.c`.
const CONFIGURATION: usize = 0x40_1000_0000;
const WINDOW: usize = 0x1000_0000;

const DEVICES: usize = 32;
const VENDOR_AND_DEVICE: u32 = 0x25ab_8086;

/// Configuration space: offsets, and the bits used.
const COMMAND: usize = 0x04;
const MEMORY_SPACE: u16 = 1 << 1;
const BASE_ADDRESS: usize = 0x10;
const CONFIG: usize = 0x60;
const NO_INTERRUPT: u16 = 0b11;
const LOCK: usize = 0x68;
const ENABLED: u8 = 1 << 1;

/// Registers: offsets, and the bits used. Each write but the unlocking ones needs both of these before it.
const STAGE_1: usize = 0x00;
const STAGE_2: usize = 0x04;
const RELOAD: usize = 0x0c;
const UNLOCK: [u16; 2] = [0x80, 0x86];
const FEED: u16 = 1 << 8;
const TIMED_OUT: u16 = 1 << 9;

/// Ticks of each of the two stages in a second of deadline: they are of about a millisecond.
const TICKS: u32 = 512;
const MAX_TICKS: u32 = 0xf_ffff;

/// The watchdog, where the machine has one.
#[derive(Debug)]
pub(super) struct I6300Esb {
    configuration: Option<usize>,
}

impl I6300Esb {
    /// Looks for it on bus 0, and makes its registers visible.
    pub(super) fn find() -> Self {
        let places = (0..DEVICES).map(|device| CONFIGURATION + (device << 15));
        let mut found = places.filter(|place| Register::<u32>::at(*place).read() == VENDOR_AND_DEVICE);
        let configuration = found.next();
        if let Some(place) = configuration {
            Register::<u32>::at(place + BASE_ADDRESS).write(WINDOW as u32);
            let command = Register::<u16>::at(place + COMMAND);
            command.write(command.read() | MEMORY_SPACE);
        }
        Self { configuration }
    }
}

impl Watchdog for I6300Esb {
    fn arm(&mut self, seconds: u32) -> Result<(), NoWatchdog> {
        let place = self.configuration.ok_or(NoWatchdog)?;
        let ticks = seconds.saturating_mul(TICKS).min(MAX_TICKS);
        Register::<u16>::at(place + CONFIG).write(NO_INTERRUPT);
        for stage in [STAGE_1, STAGE_2] {
            unlock();
            Register::<u32>::at(WINDOW + stage).write(ticks);
        }
        unlock();
        Register::<u16>::at(WINDOW + RELOAD).write(FEED);
        let lock = Register::<u8>::at(place + LOCK);
        lock.write(ENABLED);
        if lock.read() & ENABLED == 0 { Err(NoWatchdog) } else { Ok(()) }
    }

    /// The device remembers its last reset until it is told to forget.
    fn says(&mut self) -> WatchdogSays {
        if self.configuration.is_none() {
            return WatchdogSays::NotMine;
        }
        let reload = Register::<u16>::at(WINDOW + RELOAD);
        let timed_out = reload.read() & TIMED_OUT != 0;
        unlock();
        reload.write(TIMED_OUT);
        if timed_out { WatchdogSays::Mine } else { WatchdogSays::NotMine }
    }
}

/// The next write is taken.
fn unlock() {
    for word in UNLOCK {
        Register::<u16>::at(WINDOW + RELOAD).write(word);
    }
}
