//! SHA-256 for loaders: half the size of an unrolled one, and faster than a rolled one. Source: FIPS 180-4.
//!
//! Eight rounds are written out, so that the working variables change their names instead of their places.

use twinslot_bootloader::crypto::{Builtin, Crypto, Digest, PublicKey, Sha256, Signature};

/// Bytes of a block.
const BLOCK: usize = 64;

/// The verification port of the boards: this SHA-256, and the library's strict Ed25519.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompactCrypto;

impl Crypto for CompactCrypto {
    type Hash = Hasher;

    fn sha256(&mut self) -> Hasher {
        Hasher::default()
    }

    fn verify_ed25519(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        Builtin.verify_ed25519(key, message, signature)
    }
}

/// A running SHA-256.
#[derive(Debug, Clone)]
pub struct Hasher {
    state: [u32; 8],
    /// The bytes of a block that is not full yet, at the front.
    pending: [u8; BLOCK],
    hashed: u64,
}

/// FIPS 180-4 section 5.3.3.
impl Default for Hasher {
    fn default() -> Self {
        Self {
            state: [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19],
            pending: [0; BLOCK],
            hashed: 0,
        }
    }
}

impl Hasher {
    /// How much of the pending block is filled.
    const fn filled(&self) -> usize {
        self.hashed as usize % BLOCK
    }

    /// Takes as many bytes as the pending block has room for, hashes the block when it is full, and gives back the rest.
    #[inline(never)]
    fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let filled = self.filled();
        let room = BLOCK.saturating_sub(filled);
        let (taken, rest) = bytes.split_at(room.min(bytes.len()));
        if let Some(target) = self.pending.get_mut(filled..filled.saturating_add(taken.len())) {
            target.copy_from_slice(taken);
        }
        self.hashed = self.hashed.wrapping_add(taken.len() as u64);
        if taken.len() == room {
            compress(&mut self.state, &self.pending);
        }
        rest
    }
}

impl Sha256 for Hasher {
    fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = self.fill(rest);
        }
    }

    /// FIPS 180-4 section 5.1.1: a one bit, zeros, and the length in bits fill up the last block.
    fn finish(mut self) -> Digest {
        let bits = self.hashed.wrapping_mul(8).to_be_bytes();
        self.fill(&[0x80]);
        while self.filled() != BLOCK - bits.len() {
            self.fill(&[0]);
        }
        self.fill(&bits);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

/// One round; what is named `d` and `h` on the way in is `e` and `a` of the next round. FIPS 180-4 section 6.2.2, step 3.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $constant:ident, $word:ident) => {
        let sum_1 = $e.rotate_right(6) ^ $e.rotate_right(11) ^ $e.rotate_right(25);
        let choice = $g ^ ($e & ($f ^ $g));
        let first = $h.wrapping_add(sum_1).wrapping_add(choice).wrapping_add($constant).wrapping_add($word);
        let sum_0 = $a.rotate_right(2) ^ $a.rotate_right(13) ^ $a.rotate_right(22);
        let majority = ($a & $b) | ($c & ($a | $b));
        $d = $d.wrapping_add(first);
        $h = first.wrapping_add(sum_0).wrapping_add(majority);
    };
}

/// FIPS 180-4 section 6.2.2. The schedule holds 16 words at a time, in two halves that take turns.
fn compress(state: &mut [u32; 8], block: &[u8; BLOCK]) {
    let mut schedule = [0; 16];
    for (word, bytes) in schedule.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (index, constants) in CONSTANTS.iter().enumerate() {
        let from = index % 4 * 4;
        if index >= 4 {
            extend(&mut schedule, from);
        }
        let Some([w0, w1, w2, w3]) = schedule.get(from..).and_then(|words| words.first_chunk().copied()) else { return };
        let [k0, k1, k2, k3] = *constants;
        round!(a b c d e f g h, k0, w0);
        round!(h a b c d e f g, k1, w1);
        round!(g h a b c d e f, k2, w2);
        round!(f g h a b c d e, k3, w3);
        (a, b, c, d, e, f, g, h) = (e, f, g, h, a, b, c, d);
    }
    for (word, value) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(value);
    }
}

/// Replaces eight words of the schedule by those of eight rounds later twice over. FIPS 180-4 section 6.2.2, step 1.
#[inline(always)]
fn extend(schedule: &mut [u32; 16], from: usize) {
    for index in from..from + 4 {
        let word = |ahead: usize| schedule[(index + ahead) % 16];
        let (next, last) = (word(1), word(14));
        let sigma_0 = next.rotate_right(7) ^ next.rotate_right(18) ^ (next >> 3);
        let sigma_1 = last.rotate_right(17) ^ last.rotate_right(19) ^ (last >> 10);
        schedule[index % 16] = word(0).wrapping_add(sigma_0).wrapping_add(word(9)).wrapping_add(sigma_1);
    }
}

/// FIPS 180-4 section 4.2.2, by eights.
const CONSTANTS: [[u32; 4]; 16] = [
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
];

#[cfg(test)]
mod tests;
