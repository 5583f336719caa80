//! What a header says, as data that every command prints alike. Nothing here is verified.

use std::fmt;

use serde::Serialize;
use twinslot_bootloader::{
    crypto::{Builtin, Crypto as _},
    image::{
        HeaderBytes,
        manifest::{Check, Encoding, Manifest, Part, Place, SlotRule},
    },
    rejection::Rejection,
};

use crate::{hex, image_file::is_release, pack::kind_name};

/// A header in people's words and units.
#[derive(Debug, Serialize)]
pub struct HeaderView {
    product: String,
    /// Accepted board revisions; empty for any.
    hardware_revisions: Vec<u32>,
    version: String,
    security_counter: u32,
    slot: &'static str,
    revokes: Vec<String>,
    created: u64,
    build_id: String,
    chunk_table_sha256: String,
    min_loader: u16,
    requires: u32,
    release: bool,
    header_digest: String,
    signed_by: Vec<String>,
    image_bytes: u64,
    parts: Vec<PartView>,
    extra: Vec<ExtraView>,
}

/// A part in people's words and units.
#[derive(Debug, Serialize)]
pub struct PartView {
    kind: String,
    offset: u64,
    len: u64,
    mem: u64,
    place: String,
    entry: u64,
    encoding: &'static str,
    sha256: String,
    checked_by: &'static str,
}

#[derive(Debug, Serialize)]
struct ExtraView {
    tag: u16,
    data: String,
}

impl HeaderView {
    /// Describes a header whose framing holds.
    ///
    /// # Errors
    /// Its body is no manifest.
    pub fn of(framed: &HeaderBytes<'_>) -> Result<Self, Rejection> {
        let manifest = framed.unverified_manifest()?;
        Ok(Self {
            product: manifest.product.as_str().to_owned(),
            hardware_revisions: (0..32).filter(|revision| manifest.hw >> revision & 1 == 1).collect(),
            version: manifest.version.to_string(),
            security_counter: manifest.security_counter,
            slot: slot_name(manifest.slot),
            revokes: manifest.revoke.iter().map(|id| hex::encode(id)).collect(),
            created: manifest.created,
            build_id: hex::encode(&manifest.build),
            chunk_table_sha256: hex::encode(&manifest.chunks),
            min_loader: manifest.min_loader,
            requires: manifest.requires,
            release: is_release(&manifest),
            header_digest: hex::encode(&Builtin.digest(framed.signed())),
            signed_by: framed.signatures().map(|entry| hex::encode(&entry.key)).collect(),
            image_bytes: manifest.image_len().unwrap_or(0),
            parts: parts(&manifest),
            extra: manifest.extra.iter().map(|extra| ExtraView { tag: extra.tag, data: hex::encode(&extra.data) }).collect(),
        })
    }
}

/// Describes the parts of a manifest.
#[must_use]
pub fn parts(manifest: &Manifest) -> Vec<PartView> {
    manifest.parts.iter().map(PartView::of).collect()
}

impl PartView {
    fn of(part: &Part) -> Self {
        Self {
            kind: kind_name(part.kind),
            offset: part.offset,
            len: part.len,
            mem: part.mem,
            place: place_name(part.place),
            entry: part.entry,
            encoding: encoding_name(part.encoding),
            sha256: hex::encode(&part.sha256),
            checked_by: match part.check {
                Check::AtBoot => "the loader, at every boot",
                Check::ByOs => "the operating system, block by block",
            },
        }
    }
}

/// `a`, `b` or `any`.
#[must_use]
pub const fn slot_name(rule: SlotRule) -> &'static str {
    match rule {
        SlotRule::Any => "any",
        SlotRule::A => "a",
        SlotRule::B => "b",
    }
}

fn place_name(place: Place) -> String {
    match place {
        Place::InPlace => "inplace".to_owned(),
        Place::Auto => "auto".to_owned(),
        Place::At(address) => format!("{address:#x}"),
    }
}

const fn encoding_name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Plain => "plain",
        Encoding::Lz4 => "lz4",
        Encoding::Zstd => "zstd",
        Encoding::Aes => "aes",
    }
}

impl fmt::Display for HeaderView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "product           {}", self.product)?;
        writeln!(f, "version           {}", self.version)?;
        writeln!(f, "security counter  {}", self.security_counter)?;
        writeln!(f, "hardware          {}", self.hardware())?;
        writeln!(f, "slot              {}", self.slot)?;
        writeln!(f, "created           {} (Unix seconds)", self.created)?;
        writeln!(f, "build id          {}", self.build_id)?;
        writeln!(f, "revokes           {}", or_nothing(&self.revokes))?;
        writeln!(f, "release           {}", if self.release { "yes" } else { "no" })?;
        writeln!(f, "oldest loader     {}", self.min_loader)?;
        writeln!(f, "header digest     {}", self.header_digest)?;
        writeln!(f, "signed by         {}", or_nothing(&self.signed_by))?;
        writeln!(f, "image             {} bytes in {} part(s)", self.image_bytes, self.parts.len())?;
        self.parts.iter().try_for_each(|part| part.fmt(f))
    }
}

impl HeaderView {
    fn hardware(&self) -> String {
        let revisions: Vec<String> = self.hardware_revisions.iter().map(u32::to_string).collect();
        if revisions.is_empty() { "any revision".to_owned() } else { format!("revision {}", revisions.join(", ")) }
    }
}

fn or_nothing(list: &[String]) -> String {
    if list.is_empty() { "nothing".to_owned() } else { list.join(" ") }
}

impl fmt::Display for PartView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, offset, len, mem, place, entry, .. } = self;
        writeln!(f, "  {kind:<12}    {len} bytes at {offset:#x}, {mem} in memory, place {place}, entry {entry:#x}")?;
        writeln!(f, "                  sha256 {}, checked by {}", self.sha256, self.checked_by)
    }
}
