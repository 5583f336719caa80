//! SHA-512 in a third of the code that salty's takes: Ed25519 hashes less than a kilobyte with it. Source: FIPS 180-4.

/// Bytes of a block.
const BLOCK: usize = 128;

/// Where the length stands in the last block.
const LENGTH_AT: usize = 112;

/// The SHA-512 of some byte strings, one after the other.
pub(super) fn digest(pieces: &[&[u8]]) -> [u8; 64] {
    let mut hasher = Hasher { state: INITIAL, schedule: [0; 16], len: 0 };
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finish()
}

struct Hasher {
    state: [u64; 8],
    /// The words of the block that is being filled; while it is hashed, the latest 16 words of the message schedule.
    schedule: [u64; 16],
    len: u32,
}

impl Hasher {
    #[inline(never)]
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let filled = self.filled();
            if let Some(word) = self.schedule.get_mut(filled / 8) {
                *word = *word << 8 | u64::from(*byte);
            }
            self.len = self.len.wrapping_add(1);
            if self.filled() == 0 {
                compress(&mut self.state, &mut self.schedule);
            }
        }
    }

    const fn filled(&self) -> usize {
        self.len as usize % BLOCK
    }

    /// FIPS 180-4 section 5.1.2: a one bit, zeros, and the length in bits as 128-bit integer fill up the last block.
    fn finish(&mut self) -> [u8; 64] {
        let mut bits = [0; 16];
        if let Some(low) = bits.last_chunk_mut() {
            *low = u64::from(self.len).wrapping_mul(8).to_be_bytes();
        }
        self.update(&[0x80]);
        while self.filled() != LENGTH_AT {
            self.update(&[0]);
        }
        self.update(&bits);
        let mut digest = [0; 64];
        for (bytes, word) in digest.as_chunks_mut::<8>().0.iter_mut().zip(&self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

/// FIPS 180-4 section 6.4.2; the schedule holds 16 words at a time.
#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "every index is taken modulo 16, and sums of small numbers do not wrap")]
fn compress(state: &mut [u64; 8], schedule: &mut [u64; 16]) {
    let mut working = *state;
    for (round, constant) in CONSTANTS.iter().enumerate() {
        if round >= 16 {
            let word = |ahead: usize| schedule[(round + ahead) % 16];
            let sigma_0 = mix(word(1), [1, 8], word(1) >> 7);
            let sigma_1 = mix(word(14), [19, 61], word(14) >> 6);
            schedule[round % 16] = word(0).wrapping_add(sigma_0).wrapping_add(word(9)).wrapping_add(sigma_1);
        }
        let [a, b, c, _, e, f, g, h] = working;
        let sum_1 = mix(e, [14, 18], e.rotate_right(41));
        let choice = g ^ (e & (f ^ g));
        let first = h.wrapping_add(sum_1).wrapping_add(choice).wrapping_add(*constant).wrapping_add(schedule[round % 16]);
        let sum_0 = mix(a, [28, 34], a.rotate_right(39));
        let majority = (a & b) | (c & (a | b));
        let mut carry = first.wrapping_add(sum_0).wrapping_add(majority);
        for word in &mut working {
            core::mem::swap(word, &mut carry);
        }
        working[4] = working[4].wrapping_add(first);
    }
    for (word, value) in state.iter_mut().zip(&working) {
        *word = word.wrapping_add(*value);
    }
}

/// Two rotations of a word and a third value, added without carries. FIPS 180-4 section 4.1.3.
#[inline(never)]
const fn mix(word: u64, [first, second]: [u32; 2], third: u64) -> u64 {
    word.rotate_right(first) ^ word.rotate_right(second) ^ third
}

/// FIPS 180-4 section 5.3.5.
pub(super) static INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// FIPS 180-4 section 4.2.3.
pub(super) static CONSTANTS: [u64; 80] = [
    0x428a_2f98_d728_ae22,
    0x7137_4491_23ef_65cd,
    0xb5c0_fbcf_ec4d_3b2f,
    0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538,
    0x59f1_11f1_b605_d019,
    0x923f_82a4_af19_4f9b,
    0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242,
    0x1283_5b01_4570_6fbe,
    0x2431_85be_4ee4_b28c,
    0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f,
    0x80de_b1fe_3b16_96b1,
    0x9bdc_06a7_25c7_1235,
    0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2,
    0xefbe_4786_384f_25e3,
    0x0fc1_9dc6_8b8c_d5b5,
    0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275,
    0x4a74_84aa_6ea6_e483,
    0x5cb0_a9dc_bd41_fbd4,
    0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab,
    0xa831_c66d_2db4_3210,
    0xb003_27c8_98fb_213f,
    0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2,
    0xd5a7_9147_930a_a725,
    0x06ca_6351_e003_826f,
    0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc,
    0x2e1b_2138_5c26_c926,
    0x4d2c_6dfc_5ac4_2aed,
    0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de,
    0x766a_0abb_3c77_b2a8,
    0x81c2_c92e_47ed_aee6,
    0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364,
    0xa81a_664b_bc42_3001,
    0xc24b_8b70_d0f8_9791,
    0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218,
    0xd699_0624_5565_a910,
    0xf40e_3585_5771_202a,
    0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8,
    0x1e37_6c08_5141_ab53,
    0x2748_774c_df8e_eb99,
    0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63,
    0x4ed8_aa4a_e341_8acb,
    0x5b9c_ca4f_7763_e373,
    0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc,
    0x78a5_636f_4317_2f60,
    0x84c8_7814_a1f0_ab72,
    0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28,
    0xa450_6ceb_de82_bde9,
    0xbef9_a3f7_b2c6_7915,
    0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c,
    0xd186_b8c7_21c0_c207,
    0xeada_7dd6_cde0_eb1e,
    0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba,
    0x0a63_7dc5_a2c8_98a6,
    0x113f_9804_bef9_0dae,
    0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84,
    0x32ca_ab7b_40c7_2493,
    0x3c9e_be0a_15c9_bebc,
    0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6,
    0x597f_299c_fc65_7e2a,
    0x5fcb_6fab_3ad6_faec,
    0x6c44_198c_4a47_5817,
];

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha512};
    use std::vec::Vec;

    #[test]
    fn every_length_up_to_three_blocks_agrees_with_sha2() {
        let message: Vec<u8> = (0..400_u32).map(|index| index.wrapping_mul(167).to_le_bytes()[0]).collect();
        for len in 0..=message.len() {
            let (message, _) = message.split_at(len);
            assert_eq!(digest(&[message]), <[u8; 64]>::from(Sha512::digest(message)), "{len} bytes");
            let (front, back) = message.split_at(len / 3);
            assert_eq!(digest(&[front, &[], back]), digest(&[message]), "{len} bytes, split");
        }
    }

    /// NIST, "Descriptions of SHA-512": the one-block example.
    #[test]
    fn the_published_example_holds() {
        let digest = digest(&[b"abc"]);
        assert_eq!(digest.first_chunk(), Some(&0xddaf_35a1_9361_7aba_u64.to_be_bytes()));
        assert_eq!(digest.last_chunk(), Some(&0x2a9a_c94f_a54c_a49f_u64.to_be_bytes()));
    }
}
