//! One input for both readers: what the oracle is told, and what our codec answers.

use serde_json::json;
use twinslot_bootloader::LOADER_VERSION;
use twinslot_bootloader::anchor::{KeyId, TrustAnchor};
use twinslot_bootloader::crypto::{Builtin, Crypto, PublicKey, Signature};
use twinslot_bootloader::image::bundle::{self, BundleLayout, INDEX_ENTRY, StoredChunk};
use twinslot_bootloader::image::chunks::ChunkTable;
use twinslot_bootloader::image::{Expectations, HEADER_SIZE, Header, Identity, SlotUse};
use twinslot_bootloader::journal::{Policy, RECORD_SIZE, Record};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;

use crate::dump::{self, hex};
use crate::quick::Quick;

/// The answer to a record that does not count and to a set of keys that is no trust anchor.
const NOT_VALID: u8 = 255;

/// A host: whom it trusts and what it expects.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) keys: Vec<PublicKey>,
    pub(crate) threshold: u8,
    pub(crate) trust_floor: u32,
    pub(crate) product: String,
    pub(crate) hardware: u8,
    pub(crate) slot_use: SlotUse,
    pub(crate) slot_size: u64,
    pub(crate) write_size: u64,
    pub(crate) floor: u32,
    pub(crate) revoked: Vec<KeyId>,
}

#[derive(Debug, Clone)]
pub(crate) enum Input {
    Header(World, Box<[u8; HEADER_SIZE]>),
    Bundle(World, Vec<u8>),
    Index { image_len: u64, bundle_len: u64, bytes: Vec<u8> },
    Anchor { keys: Vec<PublicKey>, threshold: u8 },
    Signature { key: PublicKey, message: Vec<u8>, signature: Signature },
    Record(Policy, Box<[u8; RECORD_SIZE]>),
}

/// An input and how it was made.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) label: String,
    pub(crate) input: Input,
}

/// The code, and what an accepted input was decoded to.
type Answer = Result<String, u8>;

impl Case {
    /// What our codec says, as the oracle would write it.
    pub(crate) fn ours(&self) -> String {
        match self.judge() {
            Ok(dump) => format!("0 {dump}"),
            Err(code) => code.to_string(),
        }
    }

    fn judge(&self) -> Answer {
        match &self.input {
            Input::Header(world, bytes) => judge_header(world, bytes).map(|header| dump::manifest(header.manifest())).map_err(Rejection::code),
            Input::Bundle(world, bytes) => judge_bundle(world, bytes).map(|header| dump::manifest(header.manifest())).map_err(Rejection::code),
            Input::Index { image_len, bundle_len, bytes } => {
                judge_index(BundleLayout::new(*image_len), bytes, *bundle_len).map(|chunks| dump::chunks(&chunks)).map_err(Rejection::code)
            }
            Input::Anchor { keys, threshold } => TrustAnchor::new(keys, *threshold, 0, &mut Quick).map(|_| "valid".to_owned()).map_err(|_| NOT_VALID),
            Input::Signature { key, message, signature } => {
                if Builtin.verify_ed25519(key, message, signature) {
                    Ok("valid".to_owned())
                } else {
                    Err(Rejection::BadSignature.code())
                }
            }
            Input::Record(policy, bytes) => Record::decode(bytes, policy).map(|record| dump::record(&record)).ok_or(NOT_VALID),
        }
    }

    /// The line for the oracle.
    pub(crate) fn line(&self) -> String {
        let value = match &self.input {
            Input::Header(world, bytes) => world.line("header", &bytes[..]),
            Input::Bundle(world, bytes) => world.line("bundle", bytes),
            Input::Index { image_len, bundle_len, bytes } => {
                json!({"kind": "index", "image_len": image_len, "bundle_len": bundle_len, "bytes": hex(bytes)})
            }
            Input::Anchor { keys, threshold } => {
                json!({"kind": "anchor", "threshold": threshold, "keys": keys.iter().map(|key| hex(key)).collect::<Vec<_>>()})
            }
            Input::Signature { key, message, signature } => {
                json!({"kind": "signature", "key": hex(key), "message": hex(message), "bytes": hex(signature)})
            }
            Input::Record(policy, bytes) => {
                json!({"kind": "record", "attempts": policy.attempts, "boots": policy.boots, "bytes": hex(&bytes[..])})
            }
        };
        format!("{value}\n")
    }
}

impl World {
    fn line(&self, kind: &str, bytes: &[u8]) -> serde_json::Value {
        json!({
            "kind": kind,
            "bytes": hex(bytes),
            "keys": self.keys.iter().map(|key| hex(key)).collect::<Vec<_>>(),
            "threshold": self.threshold,
            "trust_floor": self.trust_floor,
            "product": self.product,
            "hw": self.hardware,
            "place": match self.slot_use {
                SlotUse::Slot(Slot::A) => "a",
                SlotUse::Slot(Slot::B) => "b",
                SlotUse::Golden => "golden",
            },
            "slot_size": self.slot_size,
            "write_size": self.write_size,
            "floor": self.floor,
            "revoked": self.revoked.iter().map(|id| hex(id)).collect::<Vec<_>>(),
            "loader": LOADER_VERSION,
        })
    }
}

/// The verdict of the loader on a header.
pub(crate) fn judge_header(world: &World, bytes: &[u8; HEADER_SIZE]) -> Result<Header, Rejection> {
    let anchor = TrustAnchor::new(&world.keys, world.threshold, world.trust_floor, &mut Quick).expect("a world's keys make an anchor");
    let identity = Identity { product: &world.product, hardware: world.hardware };
    let expect = Expectations {
        identity,
        slot_use: world.slot_use,
        slot_size: world.slot_size,
        write_size: world.write_size,
        floor: world.floor,
        revoked: &world.revoked,
    };
    Header::verify(bytes, &anchor, &expect, &mut Quick)
}

/// The verdict of an installer that does not decompress on a whole bundle.
fn judge_bundle(world: &World, bytes: &[u8]) -> Result<Header, Rejection> {
    let header = judge_header(world, bundle::header_bytes(bytes)?)?;
    let image_len = header.manifest().image_len().ok_or(Rejection::Overflow)?;
    let layout = BundleLayout::new(image_len);
    let at = |offset: u64| usize::try_from(offset).map_err(|_| Rejection::Overflow);
    let (index_at, chunks_at) = (at(layout.index_at())?, at(layout.chunks_at())?);
    let index = bytes.get(index_at..chunks_at).ok_or(Rejection::BundleLengthWrong)?;
    let table = ChunkTable::verify(&header, &bytes[at(BundleLayout::TABLE_AT)?..index_at], &mut Quick)?;
    for (number, chunk) in (0..).zip(judge_index(layout, index, bytes.len() as u64)?) {
        if chunk.compressed {
            return Err(Rejection::UnsupportedChunkEncoding);
        }
        let start = at(chunk.offset)?;
        if table.digest(number) != Some(&Quick.digest(&bytes[start..start + chunk.len as usize])) {
            return Err(Rejection::ChunkMismatch);
        }
    }
    Ok(header)
}

fn judge_index(layout: BundleLayout, index: &[u8], bundle_len: u64) -> Result<Vec<StoredChunk>, Rejection> {
    let whole_entries = index.len().is_multiple_of(INDEX_ENTRY);
    let chunks = bundle::stored_chunks(layout, index).collect::<Result<Vec<_>, _>>()?;
    let end = chunks.last().map_or(layout.chunks_at(), |chunk| chunk.offset + u64::from(chunk.len));
    if whole_entries && end == bundle_len { Ok(chunks) } else { Err(Rejection::BundleLengthWrong) }
}
