//! Signatures at a speed that allows many cases.

use ed25519_dalek::{Signature as FastSignature, VerifyingKey};
use twinslot_bootloader::crypto::{Builtin, Crypto, Point, PublicKey, Signature, point_of};

/// The loader's own check for one signature in 32, that of ed25519-dalek for the others. `tests/ed25519/` holds the two against each other;
/// here both stand against the oracle's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quick;

impl Crypto for Quick {
    type Hash = <Builtin as Crypto>::Hash;

    fn sha256(&mut self) -> Self::Hash {
        Builtin.sha256()
    }

    fn recompute(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> Option<Point> {
        if signature[62] & 31 == 0 {
            return Builtin.recompute(key, message, signature);
        }
        let fast = FastSignature::from_bytes(signature);
        let holds = VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &fast).is_ok());
        holds.then(|| point_of(signature))
    }
}
