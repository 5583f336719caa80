//! SHA-256 by the instructions of Armv8's cryptographic extension.
//!
//! Source: FIPS 180-4 for the hash, Arm DDI 0487 for SHA256H, SHA256H2, SHA256SU0, SHA256SU1 and ID_AA64ISAR0_EL1.

use core::arch::aarch64::{
    uint32x4_t, vaddq_u32, vreinterpretq_u8_u32, vreinterpretq_u32_u8, vrev32q_u8, vsha256h2q_u32, vsha256hq_u32, vsha256su0q_u32, vsha256su1q_u32,
};

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

/// Takes blocks into the state.
#[target_feature(enable = "sha2")]
fn compress(state: &mut State, blocks: &[Block]) {
    let [mut low, mut high] = state.0.map(vector);
    for block in blocks {
        let mut schedule = words(block);
        let (start_low, start_high) = (low, high);
        for (round, constants) in CONSTANTS.0.iter().enumerate() {
            let [first, second, third, fourth] = schedule;
            let input = vaddq_u32(first, vector(*constants));
            let before = low;
            low = vsha256hq_u32(low, high, input);
            high = vsha256h2q_u32(high, before, input);
            let next = if round < 12 { vsha256su1q_u32(vsha256su0q_u32(first, second), third, fourth) } else { first };
            schedule = [second, third, fourth, next];
        }
        low = vaddq_u32(low, start_low);
        high = vaddq_u32(high, start_high);
    }
    state.0 = [numbers(low), numbers(high)];
}

/// A block's words, which are big-endian.
#[target_feature(enable = "neon")]
fn words(block: &Block) -> [uint32x4_t; 4] {
    let [a, b, c, d] = vectors(block);
    [a, b, c, d].map(|four| vreinterpretq_u32_u8(vrev32q_u8(vreinterpretq_u8_u32(four))))
}

#[expect(unsafe_code, reason = "a vector and its numbers are the same bits")]
const fn vectors(block: &Block) -> [uint32x4_t; 4] {
    // SAFETY: both are 64 bytes with the alignment of a vector, and any bits are valid.
    unsafe { core::mem::transmute::<Block, [uint32x4_t; 4]>(*block) }
}

#[expect(unsafe_code, reason = "a vector and its numbers are the same bits")]
const fn vector(numbers: [u32; 4]) -> uint32x4_t {
    // SAFETY: both are 16 bytes, and any bits are valid.
    unsafe { core::mem::transmute::<[u32; 4], uint32x4_t>(numbers) }
}

#[expect(unsafe_code, reason = "a vector and its numbers are the same bits")]
const fn numbers(vector: uint32x4_t) -> [u32; 4] {
    // SAFETY: both are 16 bytes, and any bits are valid.
    unsafe { core::mem::transmute::<uint32x4_t, [u32; 4]>(vector) }
}
