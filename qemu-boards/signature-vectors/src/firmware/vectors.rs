//! The vectors that the build script made.

use twinslot_bootloader::crypto::{Digest, PublicKey, Signature};

/// Vectors that stand for one thing.
pub(super) struct Group<V: 'static> {
    pub(super) name: &'static str,
    pub(super) vectors: &'static [V],
}

/// A signature, and whether it must be accepted.
pub(super) struct Vector {
    pub(super) key: PublicKey,
    pub(super) message: &'static [u8],
    pub(super) signature: Signature,
    pub(super) is_valid: bool,
}

/// A piece of a message, how often it comes, and the digest of all of it.
pub(super) struct Hashed {
    pub(super) piece: &'static [u8],
    pub(super) times: u32,
    pub(super) digest: Digest,
}

include!(concat!(env!("OUT_DIR"), "/vectors.rs"));
