//! Exceptions: none is expected, and none passes in silence.

use super::machine::{say, wait_for_ever};

/// Says what happened, and stops. The arguments are `scause`, `sepc` and `stval`: the cause, the interrupted instruction's address, and the address
/// that it accessed.
pub(super) extern "C" fn exception(cause: usize, instruction: usize, access: usize) -> ! {
    say(format_args!("exception in the loader: cause {cause:#x}, instruction at {instruction:#x}, access to {access:#x}"));
    wait_for_ever()
}
