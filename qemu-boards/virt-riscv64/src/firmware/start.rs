//! From OpenSBI to Rust.
#![expect(unsafe_code, reason = "assembly; the linker script names its entry")]

use core::arch::naked_asm;

/// Called by the start-up code with a stack, data and zeroed statics.
extern "C" fn enter(hart: usize, device_tree: usize) -> ! {
    super::main(hart, device_tree)
}

// SAFETY: the linker script names this as the entry and puts it first, where OpenSBI starts it in supervisor mode, on one hart, with the hart's number
// in a0 and the device tree's address in a1, which stay there. It switches interrupts and translation off, floating point on (the target's code may use
// its registers), takes the exceptions, and gives Rust what it needs: a stack, initialised data, zeroed statics. All symbols are multiples of 16, by
// the script.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.start")]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "csrw sie, zero",
        "csrci sstatus, 2",
        "csrw satp, zero",
        "li t0, 1 << 13",
        "csrs sstatus, t0",
        "la t0, {exception}",
        "csrw stvec, t0",
        "la sp, _stack_top",
        "la t0, _data_start",
        "la t1, _data_end",
        "la t2, _data_load",
        "1: bgeu t0, t1, 2f",
        "ld t3, 0(t2)",
        "sd t3, 0(t0)",
        "addi t2, t2, 8",
        "addi t0, t0, 8",
        "j 1b",
        "2: la t0, _bss_start",
        "la t1, _bss_end",
        "3: bgeu t0, t1, 4f",
        "sd zero, 0(t0)",
        "addi t0, t0, 8",
        "j 3b",
        "4: tail {enter}",
        exception = sym exception_entry,
        enter = sym enter,
    )
}

// SAFETY: the address is a multiple of 4, as `stvec` wants it: this section's alignment is given below. What was interrupted does not go on, so the
// stack is begun anew and no register is kept.
#[unsafe(naked)]
#[unsafe(link_section = ".text.exception")]
unsafe extern "C" fn exception_entry() -> ! {
    naked_asm!(
        ".balign 4",
        "la sp, _stack_top",
        "csrr a0, scause",
        "csrr a1, sepc",
        "csrr a2, stval",
        "tail {exception}",
        exception = sym super::exception::exception,
    )
}
