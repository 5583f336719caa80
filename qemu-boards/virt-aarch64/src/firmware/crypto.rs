//! The verification port: SHA-256 by the processor's instructions where it has them, Ed25519 in software.

use twinslot_bootloader::crypto::{Compact, Crypto, Digest, Point, PublicKey, Sha256, Signature, recompute_strict};

use super::sha256::InstructionSha256;

/// Who hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerated {
    /// The SHA-256 instructions.
    Instructions,
    /// Software: the processor has no such instructions.
    Software,
    /// Software: the processor says that it has them, and they give another digest than software.
    SoftwareAfterTest,
}

impl Accelerated {
    /// What this processor can do.
    pub(super) fn of_this_processor() -> Self {
        match InstructionSha256::new() {
            None => Self::Software,
            Some(instructions) if is_right(&instructions) => Self::Instructions,
            Some(_) => Self::SoftwareAfterTest,
        }
    }

    /// How it hashes, for the log.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Software => "software (this processor has no SHA-256 instructions)",
            Self::SoftwareAfterTest => "software (the processor's instructions failed their test)",
        }
    }
}

/// Whether both ways give the same digest, for messages that end at different places of a block and lie at different alignments.
fn is_right(instructions: &InstructionSha256) -> bool {
    let message: [u8; 300] = core::array::from_fn(|at| (at * 7) as u8);
    [0..0, 0..64, 3..119, 1..300].into_iter().all(|range| {
        let bytes = message.get(range).unwrap_or_default();
        let mut hash = instructions.clone();
        hash.update(bytes);
        hash.finish() == Compact.digest(bytes)
    })
}

/// A running SHA-256 of either kind.
#[derive(Clone)]
pub(super) enum Hash {
    Instructions(InstructionSha256),
    Software(<Compact as Crypto>::Hash),
}

impl Sha256 for Hash {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Instructions(hash) => hash.update(bytes),
            Self::Software(hash) => Sha256::update(hash, bytes),
        }
    }

    fn finish(self) -> Digest {
        match self {
            Self::Instructions(hash) => hash.finish(),
            Self::Software(hash) => hash.finish(),
        }
    }
}

impl Crypto for Accelerated {
    type Hash = Hash;

    fn sha256(&mut self) -> Hash {
        match (*self, InstructionSha256::new()) {
            (Self::Instructions, Some(hash)) => Hash::Instructions(hash),
            _ => Hash::Software(Compact.sha256()),
        }
    }

    fn recompute(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Option<Point> {
        recompute_strict(key, message, signature)
    }
}
