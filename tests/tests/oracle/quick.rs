//! Signatures at a speed that allows many cases.

use ed25519_dalek::{Signature as FastSignature, VerifyingKey};
use twinslot_bootloader::crypto::{Builtin, Crypto, PublicKey, Signature};

/// The loader's own check for one signature in eight, that of ed25519-dalek for the others. `tests/ed25519.rs` holds the two against each other;
/// here both stand against the oracle's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quick;

impl Crypto for Quick {
    type Hash = <Builtin as Crypto>::Hash;

    fn sha256(&mut self) -> Self::Hash {
        Builtin.sha256()
    }

    fn verify_ed25519(&mut self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        if signature[62] & 7 == 0 {
            return Builtin.verify_ed25519(key, message, signature);
        }
        let signature = FastSignature::from_bytes(signature);
        VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}
