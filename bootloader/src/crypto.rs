//! The verification port: Ed25519 and SHA-256.
//!
//! [`Builtin`] is salty and sha2 behind a strict wrapper. A board may bring hardware or CPU instructions, a simulator something cheap.

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

/// sha2 and salty, in software, on any target.
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

/// Whether a public key may stand in a trust anchor: canonical and not of small order, which includes the all-zero key.
#[must_use]
pub fn is_strong_key(key: &PublicKey) -> bool {
    is_strong_point(key)
}

/// Whether a public key is a point of the curve at all. Costly; a key that is not one can never accept a signature, so tools ask and loaders need not.
#[must_use]
pub fn is_on_curve(key: &PublicKey) -> bool {
    salty::PublicKey::try_from(key).is_ok()
}

/// salty's Ed25519 behind the strict rules of [`Crypto::verify_ed25519`], for boards that bring a SHA-256 of their own.
///
/// salty accepts far more than RFC 8032 asks for (S + kL, small-order points); this adds what it leaves out.
#[must_use]
pub fn verify_strict(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let (Some(r), Some(s)) = (signature.first_chunk::<32>(), signature.last_chunk::<32>()) else {
        return false;
    };
    if !is_below(s, &ORDER) || !is_strong_point(r) || !is_strong_point(key) {
        return false;
    }
    let Ok(key) = salty::PublicKey::try_from(key) else {
        return false;
    };
    key.verify(message, &salty::Signature::from(signature)).is_ok()
}

/// Canonical (y < p) and not one of the eight small-order points. Says nothing about being on the curve.
fn is_strong_point(point: &[u8; 32]) -> bool {
    let mut y = *point;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    is_below(&y, &FIELD_PRIME) && !SMALL_ORDER_Y.contains(&y)
}

/// `a < b` for little-endian integers.
fn is_below(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().rev().cmp(b.iter().rev()).is_lt()
}

/// L = 2^252 + 27742317777372353535851937790883648493, little-endian. Source: RFC 8032 section 5.1.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// p = 2^255 - 19, little-endian. Source: RFC 8032 section 5.1.
const FIELD_PRIME: [u8; 32] = [
    0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
];

/// The canonical y coordinates of the points of order 1, 2, 4 and 8: 1, -1, 0 and the two of order 8.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [0; 32],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33,
        0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc,
        0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];
