//! A verification port that costs next to nothing: the same rules around it, no mathematics in it.

use twinslot_bootloader::crypto::{Crypto, Digest, Point, PublicKey, Sha256, Signature, point_of};

/// Accepts what [`sign`] made. Anybody can sign; simulations are about power cuts and bits, not about mathematics.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheapCrypto;

/// A running 64-bit FNV-1a, spread over 32 bytes at the end. Source: RFC 9923.
#[derive(Debug, Clone)]
pub struct CheapHash(u64);

impl Sha256 for CheapHash {
    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(self) -> Digest {
        let mut random = crate::random::Random::new(self.0);
        let mut digest = [0; 32];
        for word in digest.as_chunks_mut::<8>().0 {
            *word = random.word().to_le_bytes();
        }
        digest
    }
}

impl Crypto for CheapCrypto {
    type Hash = CheapHash;

    fn sha256(&mut self) -> CheapHash {
        CheapHash(0xcbf2_9ce4_8422_2325)
    }

    fn recompute(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Option<Point> {
        (sign(key, message) == *signature).then(|| point_of(signature))
    }
}

/// The cheap signature of a key.
#[must_use]
pub fn sign(key: &PublicKey, message: &[u8]) -> Signature {
    let mut hash = CheapCrypto.sha256();
    hash.update(key);
    hash.update(message);
    let first = hash.clone().finish();
    hash.update(b"second half");
    let second = hash.finish();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&first);
    signature[32..].copy_from_slice(&second);
    signature
}
