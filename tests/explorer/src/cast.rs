//! The images that lives are made of.

use std::sync::LazyLock;

use twinslot_bootloader::anchor::KeyId;
use twinslot_bootloader::decide::Verified;
use twinslot_bootloader::image::HeaderDigest;
use twinslot_bootloader::image::manifest::Place;

use twinslot_tests::board::RAM_BASE;
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::image::{COUNTER, Image, ImageBuilder, PartDraft, Signer};

/// An image, by the part that it plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// What runs at the beginning.
    Old,
    /// An update.
    New,
    /// Another update.
    Third,
    /// An update with a higher security counter.
    Higher,
    /// An update that revokes the key that signed all others.
    Revoking,
    /// An update that revokes the only key that signed it.
    Orphaning,
}

impl Role {
    /// Every image.
    pub const ALL: [Self; 6] = [Self::Old, Self::New, Self::Third, Self::Higher, Self::Revoking, Self::Orphaning];

    /// The image.
    #[must_use]
    pub fn image(self) -> &'static Image {
        &CAST[self as usize]
    }

    /// Its digest as the journal keeps it.
    #[must_use]
    pub fn digest(self) -> HeaderDigest {
        self.image().short_digest()
    }

    /// What an examination finds of it.
    #[must_use]
    pub fn verified(self) -> Verified {
        let manifest = &self.image().manifest;
        Verified { digest: self.digest(), security_counter: manifest.security_counter, version: manifest.version }
    }

    /// The security counter.
    #[must_use]
    pub fn counter(self) -> u32 {
        self.image().manifest.security_counter
    }

    /// The keys that it revokes.
    #[must_use]
    pub fn revokes(self) -> &'static [KeyId] {
        &self.image().manifest.revoke
    }

    /// Whether a host with this floor and these revoked keys must accept it: one key has to sign.
    #[must_use]
    pub fn is_authentic(self, floor: u32, revoked: &[KeyId]) -> bool {
        let counts = |key: &KeyId| !revoked.contains(key) && !self.revokes().contains(key);
        self.counter() >= floor && self.signers().iter().any(counts)
    }

    /// Whether it revokes all keys that signed it.
    #[must_use]
    pub fn orphans_itself(self) -> bool {
        self.signers().iter().all(|key| self.revokes().contains(key))
    }

    fn signers(self) -> &'static [KeyId] {
        let [first, second] = &*KEYS;
        match self {
            Self::Revoking => std::slice::from_ref(second),
            _ => std::slice::from_ref(first),
        }
    }
}

static KEYS: LazyLock<[KeyId; 2]> = LazyLock::new(|| [1, 2].map(|number| Signer::cheap(number).id(&mut CheapCrypto)));

static CAST: LazyLock<[Image; 6]> = LazyLock::new(|| {
    [
        draft(1, COUNTER).signer(Signer::cheap(1)),
        draft(2, COUNTER).signer(Signer::cheap(1)),
        draft(3, COUNTER).signer(Signer::cheap(1)),
        draft(4, COUNTER + 4).signer(Signer::cheap(1)),
        draft(5, COUNTER).signer(Signer::cheap(2)).revoke(&[KEYS[0]]),
        draft(6, COUNTER).signer(Signer::cheap(1)).revoke(&[KEYS[0]]),
    ]
    .map(|builder| builder.build(&mut CheapCrypto))
});

/// Small, so that a boot costs little: one part of two pages.
fn draft(seed: u16, counter: u32) -> ImageBuilder {
    let firmware = PartDraft::firmware(u64::from(seed), 300, Place::At(RAM_BASE), RAM_BASE);
    ImageBuilder::new(seed).parts(vec![firmware]).align(1024).counter(counter)
}
