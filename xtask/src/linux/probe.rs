//! A kernel without Linux: a few instructions that say that they run and switch the machine off.

use super::board::Board;

/// What the probe says.
pub(crate) const RUNS: &str = "probe: runs";

/// Bytes of it, filler included.
pub(super) const SIZE: usize = 72_000;

/// Fields of a kernel's header. Sources: Linux, `Documentation/arch/arm64/booting.rst` and `Documentation/arch/riscv/boot-image-header.rst`.
pub(super) const IMAGE_SIZE_AT: usize = 16;
pub(super) const MAGIC_AT: usize = 56;
const HEAD: usize = 64;

/// The arm64 one. Sources: Arm DDI 0487; QEMU, `hw/arm/virt.c` (the console at 0x0900_0000); Arm DEN 0022, SYSTEM_OFF.
const AARCH64: [u32; 11] = [
    0xd2a1_2001, // movz x1, #0x900, lsl #16
    0x1000_0142, // adr x2, the text, 10 instructions ahead
    0x3840_1443, // ldrb w3, [x2], #1
    0x3400_0063, // cbz w3, 3 instructions ahead
    0xb900_0023, // str w3, [x1]
    0x17ff_fffd, // b, 3 instructions back
    0xd280_0100, // movz x0, #8
    0xf2b0_8000, // movk x0, #0x8400, lsl #16
    0xd400_0002, // hvc #0
    0x1400_0000, // b, here
    0xd503_201f, // nop
];

/// The riscv64 one. Sources: RISC-V Unprivileged ISA 20240411; RISC-V SBI 1.0, chapters 5 (legacy console) and 10 (system reset, shutdown).
const RISCV64: [u32; 15] = [
    0x0000_0417, // auipc s0, 0
    0x03c4_0413, // addi s0, s0, 60: the text
    0x0004_4503, // lbu a0, 0(s0)
    0x0005_0a63, // beqz a0, 5 instructions ahead
    0x0014_0413, // addi s0, s0, 1
    0x0010_0893, // li a7, 1
    0x0000_0073, // ecall
    0xfedf_f06f, // j, 5 instructions back
    0x5352_58b7, // lui a7, 0x53525
    0x3548_8893, // addi a7, a7, 0x354
    0x0000_0813, // li a6, 0
    0x0000_0513, // li a0, 0
    0x0000_0593, // li a1, 0
    0x0000_0073, // ecall
    0x0000_006f, // j, here
];

/// What a kernel for this board has at [`MAGIC_AT`].
pub(super) const fn magic(board: Board) -> &'static [u8; 4] {
    match board {
        Board::Aarch64 => b"ARM\x64",
        Board::Riscv64 => b"RSC\x05",
    }
}

/// The probe as a kernel's `Image`, with what it says and `filler` behind.
pub(super) fn kernel(board: Board, says: &str, filler: impl FnOnce(usize) -> Vec<u8>) -> Vec<u8> {
    // The first instruction jumps behind the header: `b` and `jal`, by 64 bytes.
    let (jump, instructions): (u32, &[u32]) = match board {
        Board::Aarch64 => (0x1400_0010, &AARCH64),
        Board::Riscv64 => (0x0400_006f, &RISCV64),
    };
    let mut kernel = vec![0; HEAD];
    kernel[..4].copy_from_slice(&jump.to_le_bytes());
    kernel[IMAGE_SIZE_AT..IMAGE_SIZE_AT + 8].copy_from_slice(&(SIZE as u64).to_le_bytes());
    kernel[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(magic(board));
    kernel.extend(instructions.iter().flat_map(|word| word.to_le_bytes()));
    kernel.extend(says.as_bytes());
    kernel.extend(b"\r\n\0");
    let missing = SIZE - kernel.len();
    kernel.extend(filler(missing));
    kernel
}
