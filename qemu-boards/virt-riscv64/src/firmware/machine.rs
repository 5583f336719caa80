//! The processor and the console.

use core::cell::Cell;

use linux_shell::machine::Machine;
use twinslot_bootloader::image::kernel::Architecture;

use super::sbi;

/// Ticks of the clock in a microsecond: it runs at 10 MHz. Source: QEMU, `include/hw/intc/riscv_aclint.h`, `RISCV_ACLINT_DEFAULT_TIMEBASE_FREQ`.
const TICKS_PER_MICROSECOND: u64 = 10;

/// The machine.
#[derive(Debug)]
pub(super) struct Virt {
    /// The hart that runs the loader, and alone will start the kernel.
    hart: usize,
    /// When a stop ends with a reset, in microseconds; `None` for never.
    starts_over_at: Cell<Option<u64>>,
}

impl Virt {
    /// The machine, as the hart of this number sees it.
    pub(super) const fn on(hart: usize) -> Self {
        Self { hart, starts_over_at: Cell::new(None) }
    }

    /// The machine where nothing is known of it but how to speak and how to stop. It starts no kernel.
    pub(super) const fn for_last_words() -> Self {
        Self::on(0)
    }

    /// Has the next stop end with a reset, so many seconds from now.
    pub(super) fn start_over_in(&self, seconds: u32) {
        self.starts_over_at.set(Some(self.microseconds().saturating_add(u64::from(seconds) * 1_000_000)));
    }
}

impl Machine for Virt {
    const ARCHITECTURE: Architecture = Architecture::Riscv64;

    fn send(&self, text: &str) {
        text.bytes().for_each(sbi::put);
    }

    #[expect(unsafe_code, reason = "the clock is a control register")]
    fn microseconds(&self) -> u64 {
        let ticks: u64;
        // SAFETY: the register can be read in supervisor mode, and reading it changes nothing.
        unsafe { core::arch::asm!("rdtime {ticks}", ticks = out(reg) ticks, options(nomem, nostack)) };
        ticks / TICKS_PER_MICROSECOND
    }

    /// Source: Linux, `Documentation/arch/riscv/boot.rst`: the hart in a0, the tree's address in a1, no address translation.
    #[expect(unsafe_code, reason = "control leaves the program")]
    fn start_kernel(&self, entry: u64, device_tree: u64) -> ! {
        // SAFETY: the caller has a verified kernel at `entry`. What the hart may have fetched of its memory is dropped by `fence.i`, after all writes.
        // Translation and interrupts are off since the start. The loader's stack and statics end here.
        unsafe {
            core::arch::asm!(
                "fence rw, rw",
                "fence.i",
                "jr t0",
                in("a0") self.hart,
                in("a1") device_tree,
                in("t0") entry,
                options(noreturn),
            )
        }
    }

    fn stop(&self) -> ! {
        if let Some(at) = self.starts_over_at.get() {
            sbi::set_timer(at.saturating_mul(TICKS_PER_MICROSECOND));
            wake_for_timer();
            while self.microseconds() < at {
                wait();
            }
            sbi::reset();
        }
        loop {
            wait();
        }
    }
}

#[expect(unsafe_code, reason = "an instruction that waits")]
fn wait() {
    // SAFETY: it waits, at most until an interrupt is pending, and does nothing else.
    unsafe { core::arch::asm!("wfi", options(nomem, nostack)) };
}

/// Lets the timer end a wait. No interrupt is taken: they are off as a whole.
#[expect(unsafe_code, reason = "a control register")]
fn wake_for_timer() {
    // SAFETY: `sie` is the loader's, bit 5 is the timer's, and `sstatus` keeps interrupts from being taken.
    unsafe { core::arch::asm!("csrs sie, {timer}", timer = in(reg) 1_usize << 5, options(nomem, nostack)) };
}
