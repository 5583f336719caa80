//! Signatures and what must be made of them.

use ed25519_dalek::{Signature, VerifyingKey};

/// A signature, and whether it must be accepted.
pub(crate) struct Vector {
    pub(crate) key: [u8; 32],
    pub(crate) message: Vec<u8>,
    pub(crate) signature: [u8; 64],
    pub(crate) is_valid: bool,
}

impl Vector {
    /// The vector that ed25519-dalek's `verify_strict` judges.
    pub(crate) fn judged(key: [u8; 32], message: impl Into<Vec<u8>>, signature: [u8; 64]) -> Self {
        let message = message.into();
        let accepts = |key: VerifyingKey| key.verify_strict(&message, &Signature::from_bytes(&signature)).is_ok();
        let is_valid = VerifyingKey::from_bytes(&key).is_ok_and(accepts);
        Self { key, message, signature, is_valid }
    }
}

/// Vectors that stand for one thing.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) vectors: Vec<Vector>,
}

impl Group {
    /// The group, or an error when not exactly so many of its vectors are valid: vectors that miss their point prove nothing.
    pub(crate) fn new(name: &'static str, vectors: Vec<Vector>, valid: usize) -> Result<Self, String> {
        let found = vectors.iter().filter(|vector| vector.is_valid).count();
        if found != valid {
            return Err(format!("{name}: {found} of {} vectors are valid, not {valid}", vectors.len()));
        }
        Ok(Self { name, vectors })
    }
}
