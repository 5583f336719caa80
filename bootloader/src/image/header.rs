//! From 1 KiB of bytes to a verified header.
//!
//! The order is fixed: bounds on the prefix, CRC, padding and signature list, signatures, and only then the body and policy.

use core::hint::black_box;

use super::manifest::{Manifest, SlotRule};
use super::{CRC_AT, CRC32, ENTRY_SIZE, FORMAT_VERSION, HEADER_SIZE, MAGIC, MAX_BODY, PREFIX, SIGNED_SIZE, rules};
use crate::anchor::{KeyId, KeySet, TrustAnchor};
use crate::codec::DecodeError;
use crate::crypto::{self, Crypto, Digest, Signature};
use crate::evidence::{Evidence, Shown, difference};
use crate::rejection::Rejection;
use crate::slot::Slot;

/// The first 16 bytes of a header digest, as the journal keeps them.
pub type HeaderDigest = [u8; 16];

/// What a host is: the product it belongs to and its board revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The product's name.
    pub product: &'a str,
    /// The board's revision, 0..=31.
    pub hardware: u8,
}

/// Where an image lies or shall lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotUse {
    /// In a slot.
    Slot(Slot),
    /// In the golden region: the header must allow any slot.
    Golden,
}

/// What a header must fit.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// This host.
    pub identity: Identity<'a>,
    /// Where the image lies.
    pub slot_use: SlotUse,
    /// The size of that place in bytes.
    pub slot_size: u64,
    /// The flash's write size in bytes.
    pub write_size: u64,
    /// The lowest acceptable security counter, journal and ports included; the anchor's own floor always holds as well.
    pub floor: u32,
    /// Keys that the journal has revoked.
    pub revoked: &'a [KeyId],
}

/// A header whose framing holds: magic, sizes, CRC, padding and signature list. Nothing in it is trusted.
#[derive(Debug, Clone, Copy)]
pub struct HeaderBytes<'a> {
    bytes: &'a [u8; HEADER_SIZE],
    body_len: usize,
}

/// One signature of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureEntry {
    /// The id of the key that signed.
    pub key: KeyId,
    /// Its signature over the first 732 bytes.
    pub signature: Signature,
}

impl<'a> HeaderBytes<'a> {
    /// Checks the framing.
    ///
    /// # Errors
    /// The first rule that does not hold, in the order of the bytes but the CRC before the padding.
    pub fn parse(bytes: &'a [u8; HEADER_SIZE]) -> Result<Self, Rejection> {
        let body_len = check_prefix(bytes)?;
        if crc_of(bytes) != stored_crc(bytes) {
            return Err(Rejection::CrcMismatch);
        }
        let header = Self { bytes, body_len };
        let body_end = PREFIX.saturating_add(body_len);
        if !bytes.get(body_end..SIGNED_SIZE).is_some_and(is_blank) {
            return Err(Rejection::NonZeroPadding);
        }
        header.check_entries()?;
        Ok(header)
    }

    /// The bytes that the signatures cover.
    #[must_use]
    pub fn signed(&self) -> &'a [u8] {
        self.bytes.get(..SIGNED_SIZE).unwrap_or_default()
    }

    /// The signatures, from the front of the list to its end.
    pub fn signatures(&self) -> impl Iterator<Item = SignatureEntry> + use<'a> {
        self.signature_list().map(|(key, signature)| SignatureEntry { key: *key, signature: *signature })
    }

    fn signature_list(&self) -> impl Iterator<Item = (&'a KeyId, &'a Signature)> + use<'a> {
        self.entries().iter().take_while(|entry| !is_blank(*entry)).filter_map(|entry| entry.first_chunk().zip(entry.last_chunk()))
    }

    /// The manifest, unverified: for tools that show what a header claims, never for a decision.
    ///
    /// # Errors
    /// The body is not the canonical encoding of one manifest.
    pub fn unverified_manifest(&self) -> Result<Manifest, Rejection> {
        let mut manifest = Manifest::UNREAD;
        self.read_manifest(&mut manifest)?;
        Ok(manifest)
    }

    #[inline(never)]
    fn read_manifest(&self, manifest: &mut Manifest) -> Result<(), Rejection> {
        let body_end = PREFIX.saturating_add(self.body_len);
        let body = self.bytes.get(PREFIX..body_end).unwrap_or_default();
        let rest = manifest.read(body).map_err(|error| match error {
            DecodeError::Malformed => Rejection::BodyMalformed,
            DecodeError::NotCanonical => Rejection::BodyNotCanonical,
            DecodeError::TooLarge => Rejection::NumberTooLarge,
        })?;
        if rest.is_empty() { Ok(()) } else { Err(Rejection::BodyLeftOver) }
    }

    /// Reads the manifest and holds it to the format and to what this host expects.
    #[inline(never)]
    fn read_acceptable(&self, manifest: &mut Manifest, anchor: &TrustAnchor, expect: &Expectations<'_>) -> Result<(), Rejection> {
        self.read_manifest(manifest)?;
        rules::check_format(manifest, expect.slot_size, expect.write_size)?;
        check_policy(manifest, anchor, expect)
    }

    fn entries(&self) -> &'a [[u8; ENTRY_SIZE]] {
        self.bytes.get(SIGNED_SIZE..CRC_AT).unwrap_or_default().as_chunks().0
    }

    /// Once a blank entry has ended the list nothing follows, and no key id stands twice.
    fn check_entries(&self) -> Result<(), Rejection> {
        let mut rest = self.entries();
        while let [entry, behind @ ..] = rest {
            if is_blank(entry) {
                return if is_blank(behind.as_flattened()) { Ok(()) } else { Err(Rejection::EntryAfterEnd) };
            }
            if behind.iter().any(|later| later.first_chunk::<8>() == entry.first_chunk::<8>() && !is_blank(later)) {
                return Err(Rejection::RepeatedKeyId);
            }
            rest = behind;
        }
        Ok(())
    }
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// Bounds on the fixed prefix; gives the body's length.
fn check_prefix(bytes: &[u8; HEADER_SIZE]) -> Result<usize, Rejection> {
    let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, size, reserved, l0, l1, l2, l3, ..] = *bytes;
    if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
        return Err(Rejection::WrongMagic);
    }
    if u16::from_le_bytes([v0, v1]) != FORMAT_VERSION {
        return Err(Rejection::WrongFormatVersion);
    }
    if size != 1 {
        return Err(Rejection::WrongHeaderSize);
    }
    if reserved != 0 {
        return Err(Rejection::ReservedByteSet);
    }
    let body_len = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    if body_len == 0 || body_len > MAX_BODY {
        return Err(Rejection::BodyLengthOutOfRange);
    }
    Ok(body_len)
}

pub(super) fn crc_of(bytes: &[u8; HEADER_SIZE]) -> u32 {
    CRC32.checksum(bytes.get(..CRC_AT).unwrap_or_default())
}

fn stored_crc(bytes: &[u8; HEADER_SIZE]) -> u32 {
    bytes.last_chunk::<4>().map_or(0, |crc| u32::from_le_bytes(*crc))
}

/// A verified header: enough distinct, unrevoked keys of the anchor signed it, and it fits this host and slot.
///
/// Its fields are private and its only constructor is [`Header::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    manifest: Manifest,
    digest: Digest,
    evidence: Evidence,
}

impl Header {
    /// Verifies a header against the anchor and against what this host expects.
    ///
    /// # Errors
    /// The first rule that does not hold.
    #[inline(never)]
    pub fn verify(bytes: &[u8; HEADER_SIZE], anchor: &TrustAnchor, expect: &Expectations<'_>, crypto: &mut impl Crypto) -> Result<Self, Rejection> {
        let framed = HeaderBytes::parse(bytes)?;
        let signers = check_signatures(&framed, anchor, expect.revoked, crypto)?;
        Self::accept(&framed, anchor, expect, signers, crypto.digest(framed.signed()))
    }

    /// What remains once the signatures hold. Not inlined: the manifest would lie on the stack while they are checked.
    #[inline(never)]
    fn accept(framed: &HeaderBytes<'_>, anchor: &TrustAnchor, expect: &Expectations<'_>, signers: KeySet, digest: Digest) -> Result<Self, Rejection> {
        let mut header = Self { manifest: Manifest::UNREAD, digest, evidence: Evidence::NONE };
        let manifest = &mut header.manifest;
        // Twice, from the bytes on: a fault that leaves an instruction out of one pass, from a rule or from a number, meets the other one.
        for _pass in 0..2 {
            framed.read_acceptable(manifest, anchor, expect)?;
        }
        let counted = check_revocations(manifest, anchor, expect.revoked, signers)?;
        // The second line of product and revision.
        let elsewhere =
            difference(manifest.product.as_bytes(), expect.identity.product.as_bytes()) | lacks_revision(manifest.hw, expect.identity.hardware);
        header.evidence.absorb(Shown::Signatures, anchor.missing_from(counted) | elsewhere);
        Ok(header)
    }

    /// What the header says.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the signed bytes.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What the verification has shown.
    pub(crate) const fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// The first half of the digest, as the journal keeps it.
    #[must_use]
    pub fn short_digest(&self) -> HeaderDigest {
        short_digest(&self.digest)
    }
}

/// The journal's half of a header digest.
#[must_use]
pub fn short_digest(digest: &Digest) -> HeaderDigest {
    digest.first_chunk::<16>().copied().unwrap_or_default()
}

/// The anchor's unrevoked keys that signed. Unknown and revoked keys are skipped and do no harm.
#[inline(never)]
fn check_signatures(framed: &HeaderBytes<'_>, anchor: &TrustAnchor, revoked: &[KeyId], crypto: &mut impl Crypto) -> Result<KeySet, Rejection> {
    let mut signers = KeySet::NONE;
    for (id, signature) in framed.signature_list() {
        let Some(key) = anchor.key(id) else { continue };
        if revoked.contains(id) {
            continue;
        }
        // R's complement: the recomputed point has to be written, or it is not R.
        let mut point = crypto::point_of(signature).map(|byte| !byte);
        *black_box(&mut point) = crypto.recompute(&key.public, framed.signed(), signature).ok_or(Rejection::BadSignature)?;
        if !signature.starts_with(&point) {
            return Err(Rejection::BadSignature);
        }
        let unequal = difference(&point, signature.get(..point.len()).unwrap_or_default());
        signers = signers.and(anchor.set_of(core::slice::from_ref(id)).unless(unequal));
    }
    if anchor.is_met_by(signers) { Ok(signers) } else { Err(Rejection::TooFewSignatures) }
}

/// Zero when `hw` has the bit of this revision, or no bit at all, which stands for every revision.
fn lacks_revision(hw: u32, hardware: u8) -> u32 {
    let hw = black_box(hw);
    u32::from(hw != 0) & !hw.checked_shr(u32::from(hardware)).unwrap_or(0)
}

/// Whether the image is for this host and slot and not below the floor.
fn check_policy(manifest: &Manifest, anchor: &TrustAnchor, expect: &Expectations<'_>) -> Result<(), Rejection> {
    if manifest.product.as_bytes() != expect.identity.product.as_bytes() {
        return Err(Rejection::WrongProduct);
    }
    if manifest.hw != 0 && manifest.hw.checked_shr(u32::from(expect.identity.hardware)).unwrap_or(0) & 1 == 0 {
        return Err(Rejection::WrongHardware);
    }
    let may_lie_here = match expect.slot_use {
        SlotUse::Slot(slot) => manifest.slot.allows(slot),
        SlotUse::Golden => manifest.slot == SlotRule::Any,
    };
    if !may_lie_here {
        return Err(Rejection::WrongSlot);
    }
    if manifest.security_counter < anchor.floor().max(expect.floor) {
        return Err(Rejection::BelowFloor);
    }
    Ok(())
}

/// A header can not leave fewer keys than the threshold, nor count the signatures of keys that it revokes itself. The keys left are looked at first:
/// too few of them explain too few signatures. Gives the signers that count.
fn check_revocations(manifest: &Manifest, anchor: &TrustAnchor, revoked: &[KeyId], signers: KeySet) -> Result<KeySet, Rejection> {
    let gone = anchor.set_of(&manifest.revoke).and(anchor.set_of(revoked));
    if !anchor.is_met_by(KeySet::ALL.without(gone)) {
        return Err(Rejection::TooFewKeysLeft);
    }
    let counted = signers.without(gone);
    if anchor.is_met_by(counted) { Ok(counted) } else { Err(Rejection::TooFewSignatures) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_line_lacks_a_revision_when_the_mask_has_bits_but_not_that_one() {
        for hardware in 0..=u8::MAX {
            assert_eq!(lacks_revision(0, hardware), 0, "no bits stand for every revision");
            for bit in 0..32 {
                assert_eq!(lacks_revision(1 << bit, hardware) == 0, bit == hardware, "bit {bit}, revision {hardware}");
                assert_eq!(lacks_revision(!(1 << bit), hardware) == 0, bit != hardware && hardware < 32, "all but bit {bit}, revision {hardware}");
            }
        }
    }
}
