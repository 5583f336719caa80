//! Builds slot images and bundles the way `hosttool` does, and lets a test forge any field before it is signed.

use ed25519_dalek::{Signer as _, SigningKey};
use twinslot_bootloader::anchor::{KeyId, key_id};
use twinslot_bootloader::crypto::{Crypto, Digest, PublicKey, Signature};
use twinslot_bootloader::image::bundle::{self, index_entry};
use twinslot_bootloader::image::chunks::{self, CHUNK_SIZE};
use twinslot_bootloader::image::manifest::{Check, Encoding, Kind, Manifest, Part, Place, SlotRule, Version};
use twinslot_bootloader::image::{HEADER_SIZE, HeaderDigest, SIGNED_SIZE, SignatureEntry, draft, short_digest};
use twinslot_bootloader::storage::{ReadAt, StorageError};

use crate::board::RAM_BASE;
use crate::random::Random;

/// The product of every simulated host.
pub const PRODUCT: &str = "sim";

/// The security counter of an image that a test says nothing about.
pub const COUNTER: u32 = 5;

/// Who signs an image.
#[derive(Debug, Clone)]
pub enum Signer {
    /// A key for [`crate::crypto::CheapCrypto`].
    Cheap(PublicKey),
    /// A real one.
    Ed25519(Box<SigningKey>),
}

impl Signer {
    /// The cheap key of a number.
    #[must_use]
    pub const fn cheap(number: u8) -> Self {
        Self::Cheap([number | 0x40; 32])
    }

    /// The real key of a number.
    #[must_use]
    pub fn ed25519(number: u8) -> Self {
        Self::Ed25519(Box::new(SigningKey::from_bytes(&[number; 32])))
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match self {
            Self::Cheap(public) => *public,
            Self::Ed25519(key) => key.verifying_key().to_bytes(),
        }
    }

    /// The key's id under the digest of `crypto`.
    #[must_use]
    pub fn id(&self, crypto: &mut impl Crypto) -> KeyId {
        key_id(&self.public(), crypto)
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        match self {
            Self::Cheap(public) => crate::crypto::sign(public, message),
            Self::Ed25519(key) => key.sign(message).to_bytes(),
        }
    }
}

/// A part and its bytes.
#[derive(Debug, Clone)]
pub struct PartDraft {
    /// What the manifest says; offset, length and digest are filled in.
    pub part: Part,
    /// The stored bytes.
    pub bytes: Vec<u8>,
}

impl PartDraft {
    /// A part of a kind with these bytes.
    #[must_use]
    pub fn new(kind: Kind, place: Place, bytes: Vec<u8>) -> Self {
        let check = if kind == Kind::RootFs { Check::ByOs } else { Check::AtBoot };
        let mem = bytes.len() as u64;
        let part = Part { kind, offset: 0, len: mem, mem, place, entry: 0, encoding: Encoding::Plain, sha256: [0; 32], check };
        Self { part, bytes }
    }

    /// Firmware of `len` bytes that runs at `address`: a vector table, then noise of a seed.
    #[must_use]
    pub fn firmware(seed: u64, len: usize, place: Place, address: u64) -> Self {
        let mut bytes = Random::new(seed).bytes(len);
        bytes[..4].copy_from_slice(&0x2000_8000_u32.to_le_bytes());
        bytes[4..8].copy_from_slice(&(address as u32 + 0x41).to_le_bytes());
        Self::new(Kind::Firmware, place, bytes)
    }
}

type Forge = Box<dyn Fn(&mut Manifest)>;

/// Drafts an image.
pub struct ImageBuilder {
    manifest: Manifest,
    parts: Vec<PartDraft>,
    signers: Vec<Signer>,
    forge: Option<Forge>,
    align: u64,
}

impl ImageBuilder {
    /// Firmware of 5,000 bytes that is copied to RAM; its bytes and its version follow from `seed`. Unsigned.
    #[must_use]
    pub fn new(seed: u16) -> Self {
        let firmware = PartDraft::firmware(u64::from(seed), 5_000, Place::At(RAM_BASE), RAM_BASE);
        Self { manifest: manifest(seed), parts: vec![firmware], signers: Vec::new(), forge: None, align: 4096 }
    }

    /// The same image with these parts instead.
    #[must_use]
    pub fn parts(mut self, parts: Vec<PartDraft>) -> Self {
        self.parts = parts;
        self
    }

    /// With this security counter.
    #[must_use]
    pub const fn counter(mut self, security_counter: u32) -> Self {
        self.manifest.security_counter = security_counter;
        self
    }

    /// Signed by one more key.
    #[must_use]
    pub fn signer(mut self, signer: Signer) -> Self {
        self.signers.push(signer);
        self
    }

    /// With these keys revoked by its confirm.
    #[must_use]
    pub fn revoke(mut self, ids: &[KeyId]) -> Self {
        self.manifest.revoke = ids.iter().copied().collect();
        self
    }

    /// With parts at multiples of `align`.
    #[must_use]
    pub const fn align(mut self, align: u64) -> Self {
        self.align = align;
        self
    }

    /// With a manifest that is changed after everything is in place and before it is signed.
    #[must_use]
    pub fn forge(mut self, forge: impl Fn(&mut Manifest) + 'static) -> Self {
        self.forge = Some(Box::new(forge));
        self
    }

    /// Lays the parts out, fills digests and chunk table in, signs.
    ///
    /// # Panics
    /// When the draft has more than a header can hold.
    #[must_use]
    pub fn build(&self, crypto: &mut impl Crypto) -> Image {
        let mut manifest = self.manifest.clone();
        let mut slot = vec![0xff; HEADER_SIZE];
        for draft in &self.parts {
            let offset = (slot.len() as u64).next_multiple_of(self.align);
            slot.resize(offset as usize, 0xff);
            slot.extend_from_slice(&draft.bytes);
            let sha256 = if draft.part.sha256 == [0; 32] { crypto.digest(&draft.bytes) } else { draft.part.sha256 };
            let part = Part { offset, len: draft.bytes.len() as u64, sha256, ..draft.part };
            manifest.parts.push(part).expect("at most 6 parts");
        }
        let table = chunk_table(&slot, crypto);
        manifest.chunks = crypto.digest(&table);
        if let Some(forge) = &self.forge {
            forge(&mut manifest);
        }
        let header = signed_header(&manifest, &self.signers, crypto);
        slot[..HEADER_SIZE].copy_from_slice(&header);
        let digest = crypto.digest(&header[..SIGNED_SIZE]);
        Image { slot, table, manifest, digest }
    }
}

fn manifest(seed: u16) -> Manifest {
    Manifest {
        product: PRODUCT.try_into().expect("a short name"),
        hw: 0,
        version: Version { major: 1, minor: seed, patch: 0, build: 0 },
        security_counter: COUNTER,
        slot: SlotRule::Any,
        revoke: heapless::Vec::new(),
        created: 1_700_000_000,
        build: [7; 32],
        chunks: [0; 32],
        min_loader: 1,
        requires: 0,
        parts: heapless::Vec::new(),
        extra: heapless::Vec::new(),
    }
}

fn chunk_table(slot: &[u8], crypto: &mut impl Crypto) -> Vec<u8> {
    slot[HEADER_SIZE..].chunks(CHUNK_SIZE as usize).flat_map(|chunk| crypto.digest(chunk)).collect()
}

/// A header with this manifest, signed by these keys.
///
/// # Panics
/// When the manifest is too long for a header.
#[must_use]
pub fn signed_header(manifest: &Manifest, signers: &[Signer], crypto: &mut impl Crypto) -> [u8; HEADER_SIZE] {
    let mut header = draft::unsigned_header(manifest).expect("a manifest that fits");
    for signer in signers {
        let entry = SignatureEntry { key: signer.id(crypto), signature: signer.sign(&header[..SIGNED_SIZE]) };
        draft::add_signature(&mut header, &entry).expect("room for a signature");
    }
    header
}

/// A built image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Header and parts, as they lie in a slot.
    pub slot: Vec<u8>,
    /// The chunk table.
    pub table: Vec<u8>,
    /// What the header says.
    pub manifest: Manifest,
    /// The header digest.
    pub digest: Digest,
}

impl Image {
    /// The header.
    ///
    /// # Panics
    /// Never: every image begins with one.
    #[must_use]
    pub fn header(&self) -> &[u8; HEADER_SIZE] {
        self.slot.first_chunk().expect("an image begins with its header")
    }

    /// The journal's half of the header digest.
    #[must_use]
    pub fn short_digest(&self) -> HeaderDigest {
        short_digest(&self.digest)
    }

    /// The bytes of a chunk.
    #[must_use]
    pub fn chunk(&self, index: u64) -> &[u8] {
        let range = chunks::range(index, self.slot.len() as u64);
        &self.slot[range.start as usize..range.end as usize]
    }

    /// How many chunks there are.
    #[must_use]
    pub const fn chunk_count(&self) -> u64 {
        chunks::count(self.slot.len() as u64)
    }

    /// What is shipped, with plain chunks.
    #[must_use]
    pub fn bundle(&self) -> Vec<u8> {
        let mut bytes = bundle::MAGIC.to_vec();
        bytes.extend_from_slice(self.header());
        bytes.extend_from_slice(&self.table);
        for index in 0..self.chunk_count() {
            bytes.extend_from_slice(&index_entry(self.chunk(index).len() as u32, false));
        }
        bytes.extend_from_slice(&self.slot[HEADER_SIZE..]);
        bytes
    }
}

/// Stored bytes as a source of parts.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a>(pub &'a [u8]);

impl ReadAt for Stored<'_> {
    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        let start = usize::try_from(offset).map_err(|_| StorageError)?;
        let end = start.checked_add(bytes.len()).ok_or(StorageError)?;
        bytes.copy_from_slice(self.0.get(start..end).ok_or(StorageError)?);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }
}

/// An arm64 `Image` of `len` bytes that claims `memory` bytes from `text_offset` on.
#[must_use]
pub fn kernel(len: usize, text_offset: u64, memory: u64) -> Vec<u8> {
    let mut bytes = Random::new(64).bytes(len);
    bytes[8..16].copy_from_slice(&text_offset.to_le_bytes());
    bytes[16..24].copy_from_slice(&memory.to_le_bytes());
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}
