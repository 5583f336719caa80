//! From reset to Rust, and from an exception to the words about it.
#![expect(unsafe_code, reason = "assembly; the linker script names its entry")]

use core::arch::global_asm;

/// Called by the start-up code with a stack, data and zeroed statics.
extern "C" fn enter() -> ! {
    super::main()
}

// SAFETY: the linker script puts this section first, where the processor starts, at EL1 with the MMU off. It masks interrupts, chooses the stack
// pointer of EL1, switches floating point on, takes the exceptions, has the timer send an event every 32 ticks, and gives Rust what it needs: a stack, initialised data, zeroed statics. All
// symbols are multiples of 16, by the script.
//
// The start is the table of exceptions at the same time, 128 bytes an entry. Its first four would be for EL1 on the stack pointer of EL0, which is never
// chosen, so that the place of the first one is free. Entries for lower levels are left out: none is ever entered. What was interrupted does not go on,
// so the stack is begun anew and no register is kept.
global_asm!(
    ".section .text.start, \"ax\", %progbits",
    ".balign 2048",
    ".global _start",
    "_start: b 2f",
    ".rept 7",
    ".balign 128",
    "b 1f",
    ".endr",
    "1: ldr x3, =_stack_top",
    "mov sp, x3",
    "mrs x0, esr_el1",
    "mrs x1, elr_el1",
    "mrs x2, far_el1",
    "b {exception}",
    "2: msr daifset, #0xf",
    "msr spsel, #1",
    "mrs x0, cpacr_el1",
    "orr x0, x0, #(3 << 20)",
    "msr cpacr_el1, x0",
    "mov x0, #((4 << 4) | (1 << 2))",
    "msr cntkctl_el1, x0",
    "adr x0, _start",
    "msr vbar_el1, x0",
    "isb",
    "ldr x0, =_stack_top",
    "mov sp, x0",
    "ldr x0, =_data_start",
    "ldr x1, =_data_end",
    "ldr x2, =_data_load",
    "3: cmp x0, x1",
    "b.hs 4f",
    "ldp x3, x4, [x2], #16",
    "stp x3, x4, [x0], #16",
    "b 3b",
    "4: ldr x0, =_bss_start",
    "ldr x1, =_bss_end",
    "5: cmp x0, x1",
    "b.hs 6f",
    "stp xzr, xzr, [x0], #16",
    "b 5b",
    "6: bl {enter}",
    ".ltorg",
    exception = sym super::exception::exception,
    enter = sym enter,
);
