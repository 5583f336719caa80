//! From reset to Rust.
#![expect(unsafe_code, reason = "assembly; the linker script names its entry")]

use core::arch::{global_asm, naked_asm};

/// Called by the start-up code with a stack, data and zeroed statics.
extern "C" fn enter() -> ! {
    super::main()
}

// SAFETY: the linker script puts this section first, where the processor starts, at EL1 with the MMU off. It masks interrupts, switches floating point
// on, takes the exceptions, and gives Rust what it needs: a stack, initialised data, zeroed statics. All symbols are multiples of 16, by the script.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.start")]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "msr daifset, #0xf",
        "mrs x0, cpacr_el1",
        "orr x0, x0, #(3 << 20)",
        "msr cpacr_el1, x0",
        "isb",
        "ldr x0, =exception_vectors",
        "msr vbar_el1, x0",
        "ldr x0, =_stack_top",
        "mov sp, x0",
        "ldr x0, =_data_start",
        "ldr x1, =_data_end",
        "ldr x2, =_data_load",
        "1: cmp x0, x1",
        "b.hs 2f",
        "ldp x3, x4, [x2], #16",
        "stp x3, x4, [x0], #16",
        "b 1b",
        "2: ldr x0, =_bss_start",
        "ldr x1, =_bss_end",
        "3: cmp x0, x1",
        "b.hs 4f",
        "stp xzr, xzr, [x0], #16",
        "b 3b",
        "4: bl {enter}",
        enter = sym enter,
    )
}

// SAFETY: 16 entries of 128 bytes, as the architecture wants them, each a branch to the same place. What was interrupted does not go on, so the stack
// is begun anew and no register is kept.
global_asm!(
    ".section .text.vectors, \"ax\", %progbits",
    ".balign 2048",
    ".global exception_vectors",
    "exception_vectors:",
    ".rept 16",
    ".balign 128",
    "b 1f",
    ".endr",
    "1: ldr x3, =_stack_top",
    "mov sp, x3",
    "mrs x0, esr_el1",
    "mrs x1, elr_el1",
    "mrs x2, far_el1",
    "b {exception}",
    exception = sym super::exception::exception,
);
