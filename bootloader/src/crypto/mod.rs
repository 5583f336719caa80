//! The verification port: Ed25519 and SHA-256.
//!
//! [`Builtin`] is sha2 and a strict verification of our own over salty's curve arithmetic. A board may bring hardware or CPU instructions, a
//! simulator something cheap.

mod ed25519;
mod sha512;

pub use ed25519::{is_on_curve, is_strong_key, verify_strict};
use sha2::Digest as _;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// A raw Ed25519 public key.
pub type PublicKey = [u8; 32];

/// A raw Ed25519 signature: R, then S.
pub type Signature = [u8; 64];

/// A running SHA-256.
pub trait Sha256: Clone {
    /// Appends `bytes` to what is hashed.
    fn update(&mut self, bytes: &[u8]);

    /// The digest over everything appended.
    fn finish(self) -> Digest;
}

/// The verification port.
pub trait Crypto {
    /// The hash that [`Crypto::sha256`] starts.
    type Hash: Sha256;

    /// Starts a SHA-256.
    fn sha256(&mut self) -> Self::Hash;

    /// Whether `signature` over `message` holds under `key` by the *strict* rules: canonical S below L, canonical A and R, neither of small order,
    /// and the cofactorless equation. Source: RFC 8032 section 5.1.7; Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs".
    fn verify_ed25519(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool;

    /// Hashes one byte string.
    fn digest(&mut self, bytes: &[u8]) -> Digest {
        let mut hash = self.sha256();
        hash.update(bytes);
        hash.finish()
    }
}

/// SHA-256 by sha2, Ed25519 by [`verify_strict`]: in software, on any target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Builtin;

impl Sha256 for sha2::Sha256 {
    fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(self, bytes);
    }

    fn finish(self) -> Digest {
        self.finalize().into()
    }
}

impl Crypto for Builtin {
    type Hash = sha2::Sha256;

    fn sha256(&mut self) -> Self::Hash {
        sha2::Sha256::new()
    }

    fn verify_ed25519(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        verify_strict(key, message, signature)
    }
}
