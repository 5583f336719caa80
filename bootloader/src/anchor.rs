//! The trust anchor: the owner's keys, compiled into the loader and a file for agent and host tool.

use core::fmt;

use heapless::Vec;

use crate::crypto::{self, Crypto, PublicKey};

/// Most keys in an anchor.
pub const MAX_KEYS: usize = 8;

/// First 8 bytes of the SHA-256 over a raw public key.
pub type KeyId = [u8; 8];

/// The key id of a raw public key.
pub fn key_id(key: &PublicKey, crypto: &mut impl Crypto) -> KeyId {
    let digest = crypto.digest(key);
    digest.first_chunk::<8>().copied().unwrap_or_default()
}

/// One key of an anchor. The algorithm belongs to the key, never to a header: all keys are Ed25519 in version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnchorKey {
    /// The key's id.
    pub id: KeyId,
    /// The raw Ed25519 public key.
    pub public: PublicKey,
}

/// Vetted keys, a threshold and the security floor below which nothing ever runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    keys: Vec<AnchorKey, MAX_KEYS>,
    threshold: u8,
    floor: u32,
    /// Threshold and floor once more, complemented.
    guard: u32,
}

impl TrustAnchor {
    /// Builds an anchor: at least `threshold` of `keys` must sign whatever runs, and its security counter must be at least `floor`.
    ///
    /// # Errors
    /// Names the first rule that does not hold. Zeroed, small-order, non-canonical and equal keys never make an anchor.
    pub fn new(keys: &[PublicKey], threshold: u8, floor: u32, crypto: &mut impl Crypto) -> Result<Self, AnchorError> {
        if keys.is_empty() {
            return Err(AnchorError::NoKeys);
        }
        let mut vetted: Vec<AnchorKey, MAX_KEYS> = Vec::new();
        for public in keys {
            if !crypto::is_strong_key(public) {
                return Err(AnchorError::WeakKey);
            }
            let id = key_id(public, crypto);
            if vetted.iter().any(|key| key.id == id) {
                return Err(AnchorError::RepeatedKey);
            }
            vetted.push(AnchorKey { id, public: *public }).map_err(|_| AnchorError::TooManyKeys)?;
        }
        if threshold == 0 {
            return Err(AnchorError::ThresholdZero);
        }
        if usize::from(threshold) > vetted.len() {
            return Err(AnchorError::ThresholdAboveKeys);
        }
        Ok(Self { keys: vetted, threshold, floor, guard: !(floor ^ u32::from(threshold)) })
    }

    /// The keys in the order given.
    #[must_use]
    pub fn keys(&self) -> &[AnchorKey] {
        &self.keys
    }

    /// How many distinct keys must sign.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The compiled-in security floor.
    #[must_use]
    pub const fn floor(&self) -> u32 {
        self.floor
    }

    /// The key of an id, if the anchor has it.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<&AnchorKey> {
        self.keys.iter().find(|key| key.id == *id)
    }

    /// The keys of the anchor that have one of these ids.
    #[must_use]
    pub fn set_of(&self, ids: &[KeyId]) -> KeySet {
        let mut set = KeySet::NONE;
        for (index, key) in (0_u32..).zip(&self.keys) {
            if ids.contains(&key.id) {
                set.0 |= 1_u32.wrapping_shl(index);
            }
        }
        set
    }

    /// Whether a set has as many of the anchor's keys as the threshold asks for.
    #[must_use]
    pub fn is_met_by(&self, set: KeySet) -> bool {
        let present = (0_u32..).zip(&self.keys).filter(|(index, _)| set.0.wrapping_shr(*index) & 1 == 1).count();
        present >= usize::from(self.threshold)
    }

    /// Zero when a set meets the threshold, counted in another way than by [`TrustAnchor::is_met_by`], and set and anchor are what they were made.
    pub(crate) fn missing_from(&self, set: KeySet) -> u32 {
        let mut missing = u32::from(self.threshold);
        let mut left = set.0 & KeySet::KEYS;
        while left != 0 {
            left &= left.wrapping_sub(1);
            missing = missing.saturating_sub(1);
        }
        let damage = self.guard ^ !(self.floor ^ u32::from(self.threshold));
        missing | damage | ((set.0 ^ KeySet::NONE.0) & !KeySet::KEYS)
    }
}

/// A set of an anchor's keys. Beside a bit for each key it has a constant, by which it can be told from whatever lay in its place before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySet(u32);

impl KeySet {
    /// The bits of keys.
    const KEYS: u32 = 0xff;

    /// No key.
    pub const NONE: Self = Self(0x6b2d_c500);

    /// Every key.
    pub const ALL: Self = Self(Self::NONE.0 | Self::KEYS);

    /// The keys of either set.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The keys of this set that `other` lacks.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !(other.0 & Self::KEYS))
    }

    /// The same set when `difference` is zero, else no key. Computed, not branched.
    #[must_use]
    pub(crate) const fn unless(self, difference: u32) -> Self {
        let is_zero = !difference & difference.wrapping_sub(1);
        let keep = 0_u32.wrapping_sub(is_zero >> 31);
        Self(self.0 & (keep | !Self::KEYS))
    }
}

/// Why keys do not make an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnchorError {
    /// No key at all.
    NoKeys,
    /// More than [`MAX_KEYS`].
    TooManyKeys,
    /// A key that is all zero, of small order or not canonical.
    WeakKey,
    /// One key twice, or two keys with one id.
    RepeatedKey,
    /// Threshold 0 would accept anything.
    ThresholdZero,
    /// Threshold above the number of keys would accept nothing.
    ThresholdAboveKeys,
}

impl fmt::Display for AnchorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKeys => "the trust anchor has no key: name at least one",
            Self::TooManyKeys => "the trust anchor has more than 8 keys",
            Self::WeakKey => "a key is all zero, of small order or not canonical: anybody could sign for it; make a new one",
            Self::RepeatedKey => "a key stands twice: every key counts once towards the threshold",
            Self::ThresholdZero => "threshold 0 would accept unsigned images: use 1 or more",
            Self::ThresholdAboveKeys => "the threshold is above the number of keys: nothing could ever be accepted",
        })
    }
}

impl core::error::Error for AnchorError {}
