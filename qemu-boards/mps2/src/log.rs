//! Where defmt's frames go: a UART of their own.
//!
//! Built with `DEFMT_LOG=off` nothing refers to this module's encoder, and the linker leaves it out.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::board::Board;
use crate::devices::Uart;

/// Whether the build logs at all: `DEFMT_LOG`, as defmt itself reads it.
const IS_ON: bool = match option_env!("DEFMT_LOG") {
    Some(level) => !matches!(level.as_bytes(), b"off"),
    None => true,
};

/// Sends every later frame to the board's second UART. Frames from before are lost.
pub fn start(board: &Board) {
    if IS_ON {
        LINE.with(|line| line.uart = Some(board.log()));
    }
}

/// The one line to the log's UART.
static LINE: Shared = Shared { busy: AtomicBool::new(false), line: UnsafeCell::new(Line { uart: None, encoder: defmt::Encoder::new() }) };

struct Line {
    uart: Option<Uart>,
    encoder: defmt::Encoder,
}

/// A [`Line`] that one frame at a time has for itself.
struct Shared {
    busy: AtomicBool,
    line: UnsafeCell<Line>,
}

// SAFETY: every access goes through `with`, which lets one in at a time.
#[expect(unsafe_code, reason = "defmt's logger is a static")]
unsafe impl Sync for Shared {}

impl Shared {
    /// Lends the line out. What interrupts a loan gets nothing: it would find the line in the middle of a change.
    #[expect(unsafe_code, reason = "exclusive access is kept by a flag, which the compiler can not see")]
    fn with(&self, change: impl FnOnce(&mut Line)) {
        if self.busy.swap(true, Ordering::Acquire) {
            return;
        }
        // SAFETY: the flag was clear and is set until the loan ends, so no other reference to the line exists.
        change(unsafe { &mut *self.line.get() });
        self.busy.store(false, Ordering::Release);
    }
}

fn send(uart: Option<Uart>, bytes: &[u8]) {
    if let Some(uart) = uart {
        uart.send(bytes);
    }
}

#[defmt::global_logger]
struct UartLogger;

// SAFETY: one processor and no interrupt that logs, so frames never overlap; and were one to, `with` would refuse the second loan instead of
// aliasing.
#[expect(unsafe_code, reason = "defmt's trait asks for a promise about overlapping frames")]
unsafe impl defmt::Logger for UartLogger {
    fn acquire() {
        LINE.with(|Line { uart, encoder }| encoder.start_frame(|bytes| send(*uart, bytes)));
    }

    #[expect(unsafe_code, reason = "defmt's signature")]
    unsafe fn flush() {}

    #[expect(unsafe_code, reason = "defmt's signature")]
    unsafe fn release() {
        LINE.with(|Line { uart, encoder }| encoder.end_frame(|bytes| send(*uart, bytes)));
    }

    #[expect(unsafe_code, reason = "defmt's signature")]
    unsafe fn write(fragment: &[u8]) {
        LINE.with(|Line { uart, encoder }| encoder.write(fragment, |bytes| send(*uart, bytes)));
    }
}
