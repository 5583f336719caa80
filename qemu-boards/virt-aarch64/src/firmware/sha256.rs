//! SHA-256 by the instructions of Armv8's cryptographic extension.
//!
//! Source: FIPS 180-4 for the hash, Arm DDI 0487 for SHA256H, SHA256H2, SHA256SU0, SHA256SU1 and ID_AA64ISAR0_EL1.

use twinslot_bootloader::crypto::{Digest, Sha256};

const BLOCK: usize = 64;

/// Where the length of the message stands in the last block.
const LENGTH_AT: usize = 56;

/// A block where vectors can be loaded from it: with the MMU off, only aligned loads are.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Block([u8; BLOCK]);

/// The round constants, four a vector. Source: FIPS 180-4, section 4.2.2.
#[repr(C, align(16))]
struct Constants([[u32; 4]; 16]);

static CONSTANTS: Constants = Constants([
    [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
    [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
    [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
    [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
    [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
    [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
    [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
    [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
    [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
    [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
    [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
    [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
    [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
]);

/// The first state. Source: FIPS 180-4, section 5.3.3.
const START: State = State([[0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a], [0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19]]);

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct State([[u32; 4]; 2]);

/// A running SHA-256. It exists only on a processor that has the instructions.
#[derive(Clone)]
pub(super) struct InstructionSha256 {
    state: State,
    block: Block,
    len: u64,
}

impl InstructionSha256 {
    /// Starts a hash; `None` when the processor lacks the instructions.
    pub(super) fn new() -> Option<Self> {
        has_instructions().then_some(Self { state: START, block: Block([0; BLOCK]), len: 0 })
    }

    fn filled(&self) -> usize {
        (self.len % BLOCK as u64) as usize
    }

    /// Takes bytes into the block that is being filled; gives what is left.
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let start = self.filled();
        let (now, later) = bytes.split_at(bytes.len().min(BLOCK - start));
        self.block.0[start..start + now.len()].copy_from_slice(now);
        self.len = self.len.wrapping_add(now.len() as u64);
        if start + now.len() == BLOCK {
            self.compress_filled();
        }
        later
    }

    #[expect(unsafe_code, reason = "instructions that not every processor has")]
    fn compress_filled(&mut self) {
        // SAFETY: `new` found the instructions.
        unsafe { compress(&mut self.state, &[self.block]) };
    }

    /// Whole blocks where they lie, if they are aligned; gives what is left.
    #[expect(unsafe_code, reason = "instructions that not every processor has, and blocks of aligned bytes")]
    fn whole_blocks<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        // SAFETY: a `Block` is 64 bytes with an alignment, and any bytes are one.
        let (before, blocks, rest) = unsafe { bytes.align_to::<Block>() };
        if !before.is_empty() {
            return bytes;
        }
        // SAFETY: `new` found the instructions.
        unsafe { compress(&mut self.state, blocks) };
        self.len = self.len.wrapping_add((blocks.len() * BLOCK) as u64);
        rest
    }
}

impl Sha256 for InstructionSha256 {
    fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.filled() == 0 && rest.len() >= BLOCK {
                let left = self.whole_blocks(rest);
                if left.len() < rest.len() {
                    rest = left;
                    continue;
                }
            }
            rest = self.fill(rest);
        }
    }

    /// Source: FIPS 180-4, section 5.1.1: a bit, zeros, and the length in bits.
    fn finish(mut self) -> Digest {
        let bits = self.len.wrapping_mul(8);
        let filled = self.filled();
        self.block.0[filled] = 0x80;
        self.block.0[filled + 1..].fill(0);
        if filled + 1 > LENGTH_AT {
            self.compress_filled();
            self.block.0.fill(0);
        }
        self.block.0[LENGTH_AT..].copy_from_slice(&bits.to_be_bytes());
        self.compress_filled();
        let mut digest = [0; 32];
        for (target, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state.0.as_flattened()) {
            *target = word.to_be_bytes();
        }
        digest
    }
}

/// Whether the processor has the instructions: ID_AA64ISAR0_EL1.SHA2, bits 15 to 12.
#[expect(unsafe_code, reason = "the processor's features are a system register")]
fn has_instructions() -> bool {
    let features: u64;
    // SAFETY: the register can be read at EL1, and reading it changes nothing.
    unsafe { core::arch::asm!("mrs {features}, id_aa64isar0_el1", features = out(reg) features, options(nomem, nostack, pure)) };
    features >> 12 & 0xf != 0
}

/// Four rounds: `$first` to `$fourth` hold the schedule's next 16 words, `$constants` the round constants. What comes next of the schedule replaces
/// `$first`.
macro_rules! four_rounds {
    ($first:literal, $second:literal, $third:literal, $fourth:literal, $constants:literal) => {
        concat!(
            last_four_rounds!($first, $constants),
            "sha256su0 v",
            $first,
            ".4s, v",
            $second,
            ".4s\n",
            "sha256su1 v",
            $first,
            ".4s, v",
            $third,
            ".4s, v",
            $fourth,
            ".4s\n",
        )
    };
}

/// The same without a schedule behind it: v0 and v1 are the state, v8 and v9 are lost.
macro_rules! last_four_rounds {
    ($first:literal, $constants:literal) => {
        concat!("add v8.4s, v", $first, ".4s, v", $constants, ".4s\n", "mov v9.16b, v0.16b\n", "sha256h q0, q1, v8.4s\n", "sha256h2 q1, q9, v8.4s\n",)
    };
}

/// Takes blocks into the state: 99 instructions a block, where a compiler that saves space makes 340.
#[target_feature(enable = "sha2")]
#[expect(unsafe_code, reason = "a loop in assembly")]
fn compress(state: &mut State, blocks: &[Block]) {
    if blocks.is_empty() {
        return;
    }
    // SAFETY: it reads `blocks.len()` blocks and the 256 bytes of the constants, reads and writes the 32 bytes of the state, all of which are aligned
    // to 16, and has every register that it changes among its outputs.
    unsafe {
        core::arch::asm!(
            "ld1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{constants}], #64",
            "ld1 {{v20.4s, v21.4s, v22.4s, v23.4s}}, [{constants}], #64",
            "ld1 {{v24.4s, v25.4s, v26.4s, v27.4s}}, [{constants}], #64",
            "ld1 {{v28.4s, v29.4s, v30.4s, v31.4s}}, [{constants}]",
            "ld1 {{v0.4s, v1.4s}}, [{state}]",
            "2:",
            "ld1 {{v4.16b, v5.16b, v6.16b, v7.16b}}, [{block}], #64",
            "mov v2.16b, v0.16b",
            "mov v3.16b, v1.16b",
            "rev32 v4.16b, v4.16b",
            "rev32 v5.16b, v5.16b",
            "rev32 v6.16b, v6.16b",
            "rev32 v7.16b, v7.16b",
            four_rounds!("4", "5", "6", "7", "16"),
            four_rounds!("5", "6", "7", "4", "17"),
            four_rounds!("6", "7", "4", "5", "18"),
            four_rounds!("7", "4", "5", "6", "19"),
            four_rounds!("4", "5", "6", "7", "20"),
            four_rounds!("5", "6", "7", "4", "21"),
            four_rounds!("6", "7", "4", "5", "22"),
            four_rounds!("7", "4", "5", "6", "23"),
            four_rounds!("4", "5", "6", "7", "24"),
            four_rounds!("5", "6", "7", "4", "25"),
            four_rounds!("6", "7", "4", "5", "26"),
            four_rounds!("7", "4", "5", "6", "27"),
            last_four_rounds!("4", "28"),
            last_four_rounds!("5", "29"),
            last_four_rounds!("6", "30"),
            last_four_rounds!("7", "31"),
            "add v0.4s, v0.4s, v2.4s",
            "add v1.4s, v1.4s, v3.4s",
            "subs {count}, {count}, #1",
            "b.ne 2b",
            "st1 {{v0.4s, v1.4s}}, [{state}]",
            constants = inout(reg) &raw const CONSTANTS => _,
            block = inout(reg) blocks.as_ptr() => _,
            count = inout(reg) blocks.len() => _,
            state = in(reg) &raw mut *state,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _, out("v8") _, out("v9") _,
            out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _, out("v23") _,
            out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
}
