//! The processor.

use linux_shell::machine::Machine;
use twinslot_bootloader::image::kernel::Architecture;

use super::console;

/// The machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Virt;

impl Machine for Virt {
    const ARCHITECTURE: Architecture = Architecture::Aarch64;

    fn send(&self, text: &str) {
        console::send(text);
    }

    #[expect(unsafe_code, reason = "the counter is a system register")]
    fn microseconds(&self) -> u64 {
        let (ticks, frequency): (u64, u64);
        // SAFETY: both registers can be read at EL1, and reading them changes nothing.
        unsafe {
            core::arch::asm!("isb", "mrs {ticks}, cntvct_el0", "mrs {frequency}, cntfrq_el0",
                ticks = out(reg) ticks, frequency = out(reg) frequency, options(nomem, nostack));
        }
        let per_microsecond = (frequency / 1_000_000).max(1);
        ticks / per_microsecond
    }

    /// The timer sends events all the time (`start`), each of which ends a wait: a wait costs one instruction where a loop costs many.
    #[expect(unsafe_code, reason = "an instruction that waits")]
    fn pause(&self) {
        // SAFETY: it waits, at most until the next event of the timer, and does nothing else.
        unsafe { core::arch::asm!("wfe", options(nomem, nostack)) };
    }

    /// Source: Linux, `Documentation/arch/arm64/booting.rst`: the tree's address in x0, x1 to x3 zero, MMU off, interrupts masked.
    #[expect(unsafe_code, reason = "control leaves the program")]
    fn start_kernel(&self, entry: u64, device_tree: u64) -> ! {
        // SAFETY: the caller has a verified kernel at `entry`. Caches of data are off, as they were from the start; what the instruction cache may
        // hold of the kernel's memory is dropped. Interrupts are masked since the start. The loader's stack and statics end here.
        unsafe {
            core::arch::asm!(
                "dsb sy",
                "ic iallu",
                "dsb sy",
                "isb",
                "mov x1, xzr",
                "mov x2, xzr",
                "mov x3, xzr",
                "br x4",
                in("x0") device_tree,
                in("x4") entry,
                options(noreturn),
            )
        }
    }

    #[expect(unsafe_code, reason = "an instruction that waits")]
    fn stop(&self) -> ! {
        loop {
            // SAFETY: it waits, and does nothing else.
            unsafe { core::arch::asm!("wfi", options(nomem, nostack)) };
        }
    }
}
