//! Reproducible randomness: SHA-512 over a counter.

use sha2::{Digest as _, Sha512};

/// A sequence that its name determines.
pub(crate) struct Random {
    name: &'static str,
    count: u64,
}

impl Random {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, count: 0 }
    }

    /// The next 64 bytes.
    fn block(&mut self) -> [u8; 64] {
        self.count += 1;
        Sha512::new().chain_update(self.name).chain_update(self.count.to_le_bytes()).finalize().into()
    }

    /// The next 32 bytes.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        std::array::from_fn({
            let block = self.block();
            move |index| block[index]
        })
    }

    /// A number below `limit`, which is not 0. The bias towards small ones does not matter here.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let [a, b, ..] = self.block();
        usize::from(u16::from_le_bytes([a, b])) % limit
    }

    /// So many bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.block()).flatten().take(len).collect()
    }

    /// Flips one bit. There must be a byte.
    pub(crate) fn flip(&mut self, bytes: &mut [u8]) {
        let bit = self.below(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}
