//! SHA-256 in half of the code that sha2's takes on a microcontroller, and faster there. Source: FIPS 180-4.
//!
//! Its constants are the upper halves of those of SHA-512: both are the first bits of the same roots (FIPS 180-4 sections 4.2.2, 4.2.3 and 5.3).

use core::hint::black_box;

use super::{Digest, Sha256, sha512};

/// Bytes of a block.
const BLOCK: usize = 64;

/// Where the length stands in the last block.
const LENGTH_AT: usize = 56;

/// A running SHA-256 of little code.
#[derive(Debug, Clone)]
pub struct CompactSha256 {
    state: [u32; 8],
    block: [u8; BLOCK],
    len: u64,
}

impl CompactSha256 {
    pub(super) fn new() -> Self {
        let mut state = [0; 8];
        for (word, wide) in state.iter_mut().zip(&sha512::INITIAL) {
            *word = upper(*wide);
        }
        Self { state, block: [0; BLOCK], len: 0 }
    }

    const fn filled(&self) -> usize {
        self.len as usize % BLOCK
    }

    /// Whole blocks are hashed where they are; the bytes around them are gathered.
    #[inline(never)]
    fn absorb(&mut self, mut bytes: &[u8]) {
        loop {
            let filled = self.filled();
            if filled == 0
                && let Some((block, rest)) = bytes.split_first_chunk()
            {
                compress(&mut self.state, block);
                self.len = self.len.wrapping_add(BLOCK as u64);
                bytes = rest;
                continue;
            }
            let Some((byte, rest)) = bytes.split_first() else { return };
            if let Some(place) = self.block.get_mut(filled) {
                *place = *byte;
            }
            self.len = self.len.wrapping_add(1);
            if self.filled() == 0 {
                compress(&mut self.state, &self.block);
            }
            bytes = rest;
        }
    }
}

impl Sha256 for CompactSha256 {
    fn update(&mut self, bytes: &[u8]) {
        self.absorb(bytes);
    }

    /// FIPS 180-4 section 5.1.1: a one bit, zeros, and the length in bits as 64-bit integer fill up the last block.
    fn finish(mut self) -> Digest {
        let bits = self.len.wrapping_mul(8).to_be_bytes();
        self.absorb(&[0x80]);
        while self.filled() != LENGTH_AT {
            self.absorb(&[0]);
        }
        self.absorb(&bits);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(&self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }
}

const fn upper(wide: u64) -> u32 {
    (wide >> 32) as u32
}

/// FIPS 180-4 section 6.2.2.
#[inline(never)]
fn compress(state: &mut [u32; 8], block: &[u8; BLOCK]) {
    let mut schedule = [0; 64];
    for (word, bytes) in schedule.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    // A word that was not loaded is what lay in its place, which a forger may have foreseen: a second look puts the difference into the state.
    let again = black_box(block).as_chunks::<4>().0.iter().map(|bytes| u32::from_be_bytes(*bytes));
    let [first, ..] = state;
    *first ^= schedule.iter().zip(again).fold(0, |unequal, (word, again)| unequal | (word ^ again));
    let mut rest: &mut [u32] = &mut schedule;
    while let [w0, w1, _, _, _, _, _, _, _, w9, _, _, _, _, w14, _, next, ..] = rest {
        let sigma_0 = w1.rotate_right(7) ^ w1.rotate_right(18) ^ (*w1 >> 3);
        let sigma_1 = w14.rotate_right(17) ^ w14.rotate_right(19) ^ (*w14 >> 10);
        *next = w0.wrapping_add(sigma_0).wrapping_add(*w9).wrapping_add(sigma_1);
        rest = rest.get_mut(1..).unwrap_or_default();
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (word, constant) in schedule.iter().zip(&sha512::CONSTANTS) {
        let sum_1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = g ^ (e & (f ^ g));
        let first = h.wrapping_add(sum_1).wrapping_add(choice).wrapping_add(upper(*constant)).wrapping_add(*word);
        let sum_0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = (a & b) | (c & (a | b));
        (h, g, f, e) = (g, f, e, d.wrapping_add(first));
        (d, c, b, a) = (c, b, a, first.wrapping_add(sum_0).wrapping_add(majority));
    }
    for (word, value) in state.iter_mut().zip(&[a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn every_length_up_to_five_blocks_agrees_with_sha2() {
        use sha2::Digest as _;
        let message: Vec<u8> = (0..320_u32).map(|index| index.wrapping_mul(167).to_le_bytes()[0]).collect();
        for len in 0..=message.len() {
            let (message, _) = message.split_at(len);
            for at in [0, len / 3, len] {
                let (front, back) = message.split_at(at);
                let mut hash = CompactSha256::new();
                hash.update(front);
                hash.update(back);
                assert_eq!(hash.finish(), Digest::from(sha2::Sha256::digest(message)), "{len} bytes, split at {at}");
            }
        }
    }
}
