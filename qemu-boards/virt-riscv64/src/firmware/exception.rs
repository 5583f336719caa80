//! Exceptions: none is expected, and none passes in silence.

use linux_shell::console::Line;
use linux_shell::machine::Machine as _;

use super::machine::Virt;

/// Says what happened, and stops. The arguments are `scause`, `sepc` and `stval`: the cause, the interrupted instruction's address, and the address
/// that it accessed.
pub(super) extern "C" fn exception(cause: u64, instruction: u64, access: u64) -> ! {
    let machine = Virt::for_last_words();
    let line = Line::new(&machine).text("halt: exception in the loader: cause ").hexadecimal(cause);
    drop(line.text(", instruction at ").hexadecimal(instruction).text(", access to ").hexadecimal(access));
    machine.stop()
}
