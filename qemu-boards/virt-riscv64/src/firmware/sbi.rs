//! Calls into the firmware in machine mode.
//!
//! Source: RISC-V Supervisor Binary Interface Specification 1.0: chapter 3 (calls), 5 (legacy console, which OpenSBI has in all of its versions),
//! 6 (timer) and 10 (system reset).

const CONSOLE_PUT: usize = 0x01;
const TIMER: usize = 0x5449_4d45;
const SYSTEM_RESET: usize = 0x5352_5354;

/// Function of [`TIMER`]: an interrupt when the clock has reached a value.
const SET_TIMER: usize = 0;

/// Function of [`SYSTEM_RESET`], and its arguments.
const RESET: usize = 0;
const COLD_REBOOT: usize = 1;
const NO_REASON: usize = 0;

/// Writes a byte to the console.
pub(super) fn put(byte: u8) {
    call(CONSOLE_PUT, 0, usize::from(byte), 0);
}

/// Has the timer's interrupt become pending when the clock has reached `ticks`.
pub(super) fn set_timer(ticks: u64) {
    call(TIMER, SET_TIMER, ticks as usize, 0);
}

/// Resets the machine; comes back when the firmware can not. RAM keeps its contents.
pub(super) fn reset() {
    call(SYSTEM_RESET, RESET, COLD_REBOOT, NO_REASON);
}

/// One call. What it answers tells nothing that the loader could act on.
#[expect(unsafe_code, reason = "the firmware is called by an instruction")]
fn call(extension: usize, function: usize, first: usize, second: usize) {
    // SAFETY: none of the calls above makes the firmware read or write the loader's memory. All registers but a0 and a1 keep their values.
    unsafe {
        core::arch::asm!(
            "ecall",
            inlateout("a0") first => _,
            inlateout("a1") second => _,
            in("a6") function,
            in("a7") extension,
            options(nomem, nostack),
        );
    }
}
