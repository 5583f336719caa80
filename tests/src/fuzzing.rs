//! What must hold for any bytes at all: the bodies of the fuzz targets, which tests run over the seed corpus as well.
//!
//! Each function panics when a property does not hold. Checksums are made right first, so that mutations reach what lies behind them.

mod draw;
mod journal;
mod layout;
mod message;
mod tree;
mod trust;

use serde::Serialize;
use twinslot_bootloader::crypto::{Crypto, Point, PublicKey, Signature, point_of};
use twinslot_bootloader::handoff::{HANDOFF_SIZE, Handoff};
use twinslot_bootloader::image::bundle::{self, BundleLayout, INDEX_ENTRY};
use twinslot_bootloader::image::chunks::{self, CHUNK_SIZE};
use twinslot_bootloader::image::manifest::{Kind, Manifest, NUMBER_LIMIT, Place};
use twinslot_bootloader::image::{Expectations, HEADER_SIZE, Header, HeaderBytes, MAX_BODY, SIGNED_SIZE, SlotUse, draft};
use twinslot_bootloader::journal::{Policy, RECORD_SIZE, Record, State};
use twinslot_bootloader::slot::Slot;

use crate::crypto::{CheapCrypto, CheapHash};
use crate::host::{Settings, identity};
use crate::image::Signer;

pub use journal::journal;
pub use layout::layout;
pub use tree::tree;
pub use trust::trust;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target, with the name of its corpus.
pub const TARGETS: [(&str, Target); 9] = [
    ("header", header),
    ("manifest", manifest),
    ("bundle", bundle),
    ("record", record),
    ("journal", journal),
    ("handoff", handoff),
    ("layout", layout),
    ("trust", trust),
    ("tree", tree),
];

/// Takes every signature for good, so that a mutated header gets as far as its policy.
#[derive(Debug, Clone, Copy)]
struct Credulous;

impl Crypto for Credulous {
    type Hash = CheapHash;

    fn sha256(&mut self) -> CheapHash {
        CheapCrypto.sha256()
    }

    fn recompute(&mut self, _key: &PublicKey, _message: &[u8], signature: &Signature) -> Option<Point> {
        Some(point_of(signature))
    }
}

/// The bytes cut or filled up with zeros, with the CRC-32 at their end made right.
fn sealed<const N: usize>(data: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    for (target, byte) in bytes.iter_mut().zip(data) {
        *target = *byte;
    }
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[..N - 4]);
    bytes[N - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn encoded<T: Serialize>(value: &T, buffer: &mut [u8]) -> Option<usize> {
    postcard::to_slice(value, buffer).ok().map(|used| used.len())
}

/// 1 KiB as a header: nothing unsigned is accepted, and whatever is accepted holds the rules of the format.
///
/// # Panics
/// When a property does not hold.
pub fn header(data: &[u8]) {
    let bytes = sealed::<HEADER_SIZE>(data);
    let Ok(framed) = HeaderBytes::parse(&bytes) else {
        assert!(verify(&bytes, &mut Credulous).is_none(), "a header without framing is accepted");
        return;
    };
    assert!(framed.signatures().count() <= 4);
    if let Ok(manifest) = framed.unverified_manifest() {
        let again = draft::unsigned_header(&manifest).expect("what fitted fits");
        assert!(again[..SIGNED_SIZE] == bytes[..SIGNED_SIZE], "two encodings of one manifest");
    }
    if let Some(header) = verify(&bytes, &mut Credulous) {
        assert_rules(header.manifest());
    }
    if verify(&bytes, &mut CheapCrypto).is_some() {
        let key = Signer::cheap(1);
        let signed = framed.signatures().any(|entry| entry.signature == key.sign(framed.signed()));
        assert!(signed, "an unsigned header is accepted");
    }
}

fn verify(bytes: &[u8; HEADER_SIZE], crypto: &mut impl Crypto) -> Option<Header> {
    let expect = Expectations { identity: identity(), slot_use: SlotUse::Slot(Slot::A), slot_size: 1 << 20, write_size: 4, floor: 3, revoked: &[] };
    Header::verify(bytes, &Settings::new(1).anchor, &expect, crypto).ok()
}

fn assert_rules(manifest: &Manifest) {
    assert_eq!(manifest.product.as_str(), identity().product);
    assert!(manifest.security_counter >= 3 && manifest.requires == 0);
    assert!(manifest.slot.allows(Slot::A));
    let mut free_from = HEADER_SIZE as u64;
    for part in &manifest.parts {
        assert!(part.offset >= free_from && part.offset.is_multiple_of(1024) && part.len > 0 && part.mem >= part.len);
        free_from = part.offset + part.len;
    }
    assert!(free_from <= 1 << 20, "a part ends outside the slot");
    let bootable = manifest.parts.iter().filter(|part| matches!(part.kind, Kind::Firmware | Kind::Kernel)).count();
    assert_eq!(bootable, 1);
}

/// Bytes as a body: accepted exactly when postcard decodes them and encodes them back to the same bytes, with small numbers and a printable name.
///
/// # Panics
/// When a property does not hold.
pub fn manifest(data: &[u8]) {
    let body = &data[..data.len().min(MAX_BODY)];
    if body.is_empty() {
        return;
    }
    let mut header = b"TWINSLOT\x01\x00\x01\x00".to_vec();
    header.extend_from_slice(&(body.len() as u32).to_le_bytes());
    header.extend_from_slice(body);
    let header = sealed::<HEADER_SIZE>(&header);
    let ours = HeaderBytes::parse(&header).expect("a good frame").unverified_manifest().ok();
    assert_eq!(ours, judged_manifest(body));
}

fn judged_manifest(body: &[u8]) -> Option<Manifest> {
    let (manifest, rest) = postcard::take_from_bytes::<Manifest>(body).ok()?;
    let mut buffer = [0; 2 * MAX_BODY];
    let used = encoded(&manifest, &mut buffer)?;
    let small = manifest.created < NUMBER_LIMIT && manifest.parts.iter().all(has_small_numbers);
    (rest.is_empty() && buffer[..used] == *body && small).then_some(manifest)
}

fn has_small_numbers(part: &twinslot_bootloader::image::manifest::Part) -> bool {
    let at = if let Place::At(address) = part.place { address } else { 0 };
    [part.offset, part.len, part.mem, part.entry, at].iter().all(|number| *number < NUMBER_LIMIT)
}

/// Bytes as a bundle, the last eight of them as the image's length: stored chunks follow each other and decode to no more than a chunk.
///
/// # Panics
/// When a property does not hold.
pub fn bundle(data: &[u8]) {
    if let Ok(header) = bundle::header_bytes(data) {
        assert!(data[8..8 + HEADER_SIZE] == *header);
    }
    let Some((rest, length)) = data.split_last_chunk::<8>() else { return };
    let image_len = u64::from_le_bytes(*length);
    let layout = BundleLayout::new(image_len);
    assert!(chunks::range(layout.chunks, image_len).is_empty());
    let index = &rest[..rest.len() / INDEX_ENTRY * INDEX_ENTRY];
    let mut at = layout.chunks_at();
    for (number, chunk) in bundle::stored_chunks(layout, index).enumerate() {
        let Ok(chunk) = chunk else { break };
        assert_eq!(chunk.offset, at, "chunks follow each other");
        let plain = chunks::range(number as u64, image_len);
        let length = plain.end - plain.start;
        assert!(length > 0 && length <= CHUNK_SIZE);
        assert!(if chunk.compressed { u64::from(chunk.len) <= 2 * CHUNK_SIZE } else { u64::from(chunk.len) == length });
        at += u64::from(chunk.len);
    }
}

/// Bytes as a journal record: one record has one encoding, and it is postcard's.
///
/// # Panics
/// When a property does not hold.
pub fn record(data: &[u8]) {
    let policy = Policy::DEFAULT;
    let bytes = sealed::<RECORD_SIZE>(data);
    if let Some(record) = Record::decode(&bytes, &policy) {
        assert_eq!(record.encode(), Some(bytes), "two encodings of one record");
        assert!(record.state.is_possible(&policy));
        let mut buffer = [0; 2 * RECORD_SIZE];
        let used = encoded(&record.state, &mut buffer).expect("what fitted fits");
        assert!(bytes[14..14 + used] == buffer[..used], "not what postcard writes");
    } else if let Some(state) = judged_state(&bytes) {
        assert!(!state.is_possible(&policy), "a possible record is refused: {state:?}");
    }
}

/// A record's state as postcard reads it, when everything but its possibility is in order.
fn judged_state(bytes: &[u8; RECORD_SIZE]) -> Option<State> {
    let sequence = u64::from_le_bytes(*bytes[6..].first_chunk::<8>()?);
    let (state, padding) = postcard::take_from_bytes::<State>(&bytes[14..RECORD_SIZE - 4]).ok()?;
    let mut buffer = [0; 2 * RECORD_SIZE];
    let used = encoded(&state, &mut buffer)?;
    let canonical = bytes[14..14 + used] == buffer[..used] && padding.iter().all(|byte| *byte == 0);
    let small = (1..NUMBER_LIMIT).contains(&sequence) && state.last_revert.is_none_or(|revert| revert.sequence < NUMBER_LIMIT);
    (bytes[..6] == *b"TWJR\x01\x00" && canonical && small).then_some(state)
}

/// Bytes as a hand-off: one hand-off has one encoding, and it is postcard's.
///
/// # Panics
/// When a property does not hold.
pub fn handoff(data: &[u8]) {
    let bytes = sealed::<HANDOFF_SIZE>(data);
    let mut buffer = [0; HANDOFF_SIZE];
    let length = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
    let body = bytes.get(12..12 + length).filter(|_| 12 + length <= HANDOFF_SIZE - 4);
    let judged = body.and_then(|body| {
        let (handoff, rest) = postcard::take_from_bytes::<Handoff>(body).ok()?;
        let used = encoded(&handoff, &mut buffer)?;
        let small = handoff.last_revert.is_none_or(|revert| revert.sequence < NUMBER_LIMIT);
        let padding = bytes[12 + length..HANDOFF_SIZE - 4].iter().all(|byte| *byte == 0);
        (rest.is_empty() && buffer[..used] == *body && small && padding && bytes.starts_with(b"TWHANDOF\x01\x00")).then_some(handoff)
    });
    let ours = Handoff::decode(&bytes).ok();
    assert_eq!(ours, judged);
    if let Some(handoff) = ours {
        let mut again = [0; HANDOFF_SIZE];
        handoff.encode(&mut again);
        assert!(again == bytes, "two encodings of one hand-off");
    }
}
