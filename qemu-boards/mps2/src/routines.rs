//! Memory routines that the compiler calls, in place of the unrolled ones of `compiler_builtins`: a kilobyte less in every image.
//!
//! They are assembly because a compiler would turn such a loop into a call of itself. Words are moved whatever the alignment: Armv7-M and Armv8-M
//! allow it for plain loads and stores to memory (CCR.UNALIGN_TRP is clear after a reset).
#![expect(unsafe_code, reason = "assembly; the linker finds it by name")]

use core::arch::global_asm;

// SAFETY: the names and registers are those of the C library and of the Arm run-time ABI (section 4.3.4): `memcpy(to, from, len)` keeps r0; only
// r0-r3 and r12 are changed; nothing outside `to..to + len` is written and nothing outside `from..from + len` is read, as whole words are moved only
// while four bytes are left.
global_asm!(
    ".section .text.memcpy, \"ax\", %progbits",
    ".global memcpy, __aeabi_memcpy, __aeabi_memcpy4, __aeabi_memcpy8",
    ".thumb_set __aeabi_memcpy, memcpy",
    ".thumb_set __aeabi_memcpy4, memcpy",
    ".thumb_set __aeabi_memcpy8, memcpy",
    ".type memcpy, %function",
    ".thumb_func",
    "memcpy:",
    "   mov r3, r0",
    "   subs r2, #4",
    "   blo 2f",
    "1: ldr r12, [r1], #4",
    "   str r12, [r3], #4",
    "   subs r2, #4",
    "   bhs 1b",
    "2: adds r2, #4",
    "   beq 4f",
    "3: ldrb r12, [r1], #1",
    "   strb r12, [r3], #1",
    "   subs r2, #1",
    "   bne 3b",
    "4: bx lr",
    ".size memcpy, . - memcpy",
);

// SAFETY: as above. `memset(to, byte, len)` keeps r0; the run-time ABI's `memset(to, len, byte)` and `memclr(to, len)` fall into the same loop.
global_asm!(
    ".section .text.memset, \"ax\", %progbits",
    ".global memset, __aeabi_memset, __aeabi_memset4, __aeabi_memset8, __aeabi_memclr, __aeabi_memclr4, __aeabi_memclr8",
    ".thumb_set __aeabi_memclr4, __aeabi_memclr",
    ".thumb_set __aeabi_memclr8, __aeabi_memclr",
    ".thumb_set __aeabi_memset4, __aeabi_memset",
    ".thumb_set __aeabi_memset8, __aeabi_memset",
    ".type memset, %function",
    ".thumb_func",
    "memset:",
    "   mov r3, r1",
    "   mov r1, r2",
    "   mov r2, r3",
    "   b __aeabi_memset",
    ".type __aeabi_memclr, %function",
    ".thumb_func",
    "__aeabi_memclr:",
    "   movs r2, #0",
    ".type __aeabi_memset, %function",
    ".thumb_func",
    "__aeabi_memset:",
    "   uxtb r2, r2",
    "   orr r2, r2, r2, lsl #8",
    "   orr r2, r2, r2, lsl #16",
    "   mov r3, r0",
    "   subs r1, #4",
    "   blo 2f",
    "1: str r2, [r3], #4",
    "   subs r1, #4",
    "   bhs 1b",
    "2: adds r1, #4",
    "   beq 4f",
    "3: strb r2, [r3], #1",
    "   subs r1, #1",
    "   bne 3b",
    "4: bx lr",
    ".size memset, . - memset",
);

// SAFETY: as above. `memcmp(a, b, len)` reads `len` bytes of each at most; its sign is that of the first difference.
global_asm!(
    ".section .text.memcmp, \"ax\", %progbits",
    ".global memcmp, bcmp",
    ".thumb_set bcmp, memcmp",
    ".type memcmp, %function",
    ".thumb_func",
    "memcmp:",
    "   mov r3, r0",
    "   movs r0, #0",
    "1: subs r2, #1",
    "   blo 2f",
    "   ldrb r0, [r3], #1",
    "   ldrb r12, [r1], #1",
    "   subs r0, r0, r12",
    "   beq 1b",
    "2: bx lr",
    ".size memcmp, . - memcmp",
);
