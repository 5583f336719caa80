//! Exceptions: none is expected, and none passes in silence.

use linux_shell::console::Line;
use linux_shell::machine::Machine as _;

use super::machine::Virt;

/// Says what happened, and stops. The arguments are the syndrome, the interrupted instruction's address, and the address that it accessed.
pub(super) extern "C" fn exception(syndrome: u64, instruction: u64, access: u64) -> ! {
    let line = Line::new(&Virt).text("halt: exception in the loader: syndrome ").hexadecimal(syndrome);
    drop(line.text(", instruction at ").hexadecimal(instruction).text(", access to ").hexadecimal(access));
    Virt.stop()
}
