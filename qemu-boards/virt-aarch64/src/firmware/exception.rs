//! Exceptions: none is expected, and none passes in silence.

use linux_shell::machine::Machine as _;

use super::console;
use super::machine::Virt;

/// Says what happened, and stops. The arguments are the syndrome, the interrupted instruction's address, and the address that it accessed.
pub(super) extern "C" fn exception(syndrome: u64, instruction: u64, access: u64) -> ! {
    console::say(format_args!("exception in the loader: syndrome {syndrome:#x}, instruction at {instruction:#x}, access to {access:#x}"));
    Virt.stop()
}
