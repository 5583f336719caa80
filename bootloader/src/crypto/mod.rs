//! The verification port: Ed25519 and SHA-256.
//!
//! Both providers here have a strict verification of our own over salty's curve arithmetic. [`Builtin`] hashes with sha2, for hosts; [`Compact`] with
//! half of that code, for microcontrollers. A board may bring hardware or CPU instructions, a simulator something cheap.

mod ed25519;
mod sha256;
mod sha512;

pub use ed25519::{is_on_curve, is_strong_key, point_of, recompute_strict};
use sha2::Digest as _;
pub use sha256::CompactSha256;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// A raw Ed25519 public key.
pub type PublicKey = [u8; 32];

/// A raw Ed25519 signature: R, then S.
pub type Signature = [u8; 64];

/// A point of the curve, encoded, as R of a signature.
pub type Point = [u8; 32];

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

    /// Recomputes R of `signature` over `message` under `key`: \[S\]B - \[k\]A, encoded. The signature holds when that is its R. So the verdict is a
    /// value, which no skipped branch can make right.
    ///
    /// By the *strict* rules: canonical S below L, canonical A and R, neither of small order, and the cofactorless equation; `None` when one of them
    /// does not hold. Source: RFC 8032 section 5.1.7; Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs".
    fn recompute(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Option<Point>;

    /// Whether `signature` over `message` holds under `key` by the rules of [`Crypto::recompute`].
    fn verify_ed25519(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        self.recompute(key, message, signature) == Some(point_of(signature))
    }

    /// Hashes one byte string.
    fn digest(&mut self, bytes: &[u8]) -> Digest {
        let mut digest = [0; 32];
        self.digest_into(bytes, &mut digest);
        digest
    }

    /// Hashes one byte string into `digest`.
    #[inline(never)]
    fn digest_into(&mut self, bytes: &[u8], digest: &mut Digest) {
        let mut hash = self.sha256();
        hash.update(bytes);
        *digest = hash.finish();
    }
}

/// SHA-256 by sha2, Ed25519 by [`recompute_strict`]: in software, for hosts.
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

    fn recompute(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Option<Point> {
        recompute_strict(key, message, signature)
    }
}

/// SHA-256 and Ed25519 in as little code as they take: for microcontrollers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compact;

impl Crypto for Compact {
    type Hash = CompactSha256;

    fn sha256(&mut self) -> CompactSha256 {
        CompactSha256::new()
    }

    fn recompute(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Option<Point> {
        recompute_strict(key, message, signature)
    }
}
