//! Images without Linux, and images that are signed by the owner and still not fit to start.
//!
//! Their kernel is the probe ([`probe`]). Manifests are written as they are asked for, whatever a packing tool would say; signatures are OpenSSL's.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use twinslot_bootloader::anchor::{KeyId, key_id};
use twinslot_bootloader::crypto::Builtin;
use twinslot_bootloader::image::chunks::CHUNK_SIZE;
use twinslot_bootloader::image::draft::{add_signature, unsigned_header};
use twinslot_bootloader::image::manifest::{Check, Encoding, Kind, Manifest, Part, Place, SlotRule, Version};
use twinslot_bootloader::image::{HEADER_SIZE, Product, SIGNED_SIZE, SignatureEntry};
use twinslot_config::Layout;
use twinslot_config::layout::Purpose;

use super::board::Board;
use super::probe::{self, IMAGE_SIZE_AT, MAGIC_AT};
use crate::process;

/// Parts of a forged image begin at multiples of this.
const ALIGNMENT: usize = 4096;

/// Bytes of a forged image's initrd.
const INITRD_SIZE: usize = 40_000;

const MIB: u64 = 1024 * 1024;

/// What is wrong with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// Nothing: the proof that the others are refused for what is wrong with them.
    Nothing,
    /// The kernel says that it is for the other board.
    OtherArchitecture,
    /// The kernel's header is not one.
    NoKernel,
    /// The kernel's header claims more memory than the manifest.
    HiddenBss,
    /// Both claim so much that the initrd lies in the kernel's BSS.
    BssOverInitrd,
    /// The kernel shall lie where the loader does.
    OverLoader,
    /// The kernel shall lie where the machine's device tree does.
    OverTree,
    /// Only the first half of the bytes was ever written.
    Truncated,
    /// A part ends behind the slot.
    BehindSlot,
    /// A part takes more memory than the machine has.
    LargerThanMemory,
}

/// A part that has no place in an image yet.
struct Piece {
    kind: Kind,
    content: Vec<u8>,
    mem: u64,
    place: Place,
}

impl Piece {
    fn new(kind: Kind, content: Vec<u8>) -> Self {
        let mem = content.len() as u64;
        Self { kind, content, mem, place: Place::Auto }
    }
}

/// A forged image, signed with a key file.
pub(super) fn image(forgery: Forgery, layout: &Layout, key: &Path) -> Result<Vec<u8>> {
    let board = Board::named(&layout.board).context("the layout is of no board that boots Linux")?;
    let ram = |purpose| layout.ram_for(purpose).next().map(|ram| ram.base).context("the layout lacks RAM for images or the loader");
    let image_ram = ram(Purpose::Image)?;
    let mut pieces = ordinary(board);
    let [kernel, initrd, _] = &mut pieces;
    match forgery {
        Forgery::OtherArchitecture => kernel.content[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(probe::magic(board.other())),
        Forgery::NoKernel => kernel.content[MAGIC_AT..MAGIC_AT + 4].fill(0),
        Forgery::HiddenBss => kernel.content[IMAGE_SIZE_AT..IMAGE_SIZE_AT + 8].copy_from_slice(&(64 * MIB).to_le_bytes()),
        Forgery::BssOverInitrd => {
            kernel.content[IMAGE_SIZE_AT..IMAGE_SIZE_AT + 8].copy_from_slice(&(64 * MIB).to_le_bytes());
            (kernel.mem, kernel.place, initrd.place) = (64 * MIB, Place::At(image_ram), Place::At(image_ram + 32 * MIB));
        }
        Forgery::OverLoader => kernel.place = Place::At(ram(Purpose::Loader)?),
        Forgery::OverTree => kernel.place = Place::At(board.machine_tree()),
        Forgery::LargerThanMemory => initrd.mem = 1024 * MIB,
        Forgery::Nothing | Forgery::Truncated | Forgery::BehindSlot => {}
    }
    let (mut manifest, content) = compose(&layout.product, &pieces)?;
    if let (Forgery::BehindSlot, Some(last)) = (forgery, manifest.parts.last_mut()) {
        last.offset = 1024 * MIB;
    }
    let mut bytes = signed(&manifest, key)?.to_vec();
    bytes.extend(content);
    if forgery == Forgery::Truncated {
        bytes.truncate(probe::SIZE);
    }
    Ok(bytes)
}

/// What every forged image begins as.
fn ordinary(board: Board) -> [Piece; 3] {
    let line = b"console=none".to_vec();
    [Piece::new(Kind::Kernel, probe(board)), Piece::new(Kind::Initrd, initrd()), Piece::new(Kind::CommandLine, line)]
}

/// An initrd for a kernel that reads none.
pub(super) fn initrd() -> Vec<u8> {
    filler(INITRD_SIZE)
}

/// Bytes that no part of which repeats: a splitmix64 generator's.
fn filler(len: usize) -> Vec<u8> {
    let mut state = 0x7457_696e_u64;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bytes.extend((mixed ^ (mixed >> 27)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The probe as a kernel's `Image`.
pub(super) fn probe(board: Board) -> Vec<u8> {
    probe::kernel(board, probe::RUNS, filler)
}

/// The manifest of an image of these pieces, and everything that follows its header.
fn compose(product: &str, pieces: &[Piece]) -> Result<(Manifest, Vec<u8>)> {
    let mut content = Vec::new();
    let mut manifest = bare(product)?;
    for piece in pieces {
        let offset = (HEADER_SIZE + content.len()).next_multiple_of(ALIGNMENT);
        content.resize(offset - HEADER_SIZE, 0);
        content.extend(&piece.content);
        let part = Part {
            kind: piece.kind,
            offset: offset as u64,
            len: piece.content.len() as u64,
            mem: piece.mem,
            place: piece.place,
            entry: 0,
            encoding: Encoding::Plain,
            sha256: Sha256::digest(&piece.content).into(),
            check: Check::AtBoot,
        };
        manifest.parts.push(part).map_err(|_| anyhow::anyhow!("an image has too many parts"))?;
    }
    manifest.chunks = chunk_table(&content);
    Ok((manifest, content))
}

/// A manifest without parts.
fn bare(product: &str) -> Result<Manifest> {
    Ok(Manifest {
        product: Product::try_from(product).map_err(|_| anyhow::anyhow!("{product} is no product's name"))?,
        hw: 0,
        version: Version { major: 1, ..Version::default() },
        security_counter: 1,
        slot: SlotRule::Any,
        revoke: Default::default(),
        created: 0,
        build: [0; 32],
        chunks: [0; 32],
        min_loader: 0,
        requires: 0,
        parts: Default::default(),
        extra: Default::default(),
    })
}

/// The digest of the table of the chunks' digests. Source: `docs/format.md`.
fn chunk_table(content: &[u8]) -> [u8; 32] {
    let table: Vec<u8> = content.chunks(CHUNK_SIZE as usize).flat_map(Sha256::digest).collect();
    Sha256::digest(table).into()
}

/// A header with one signature.
pub(super) fn signed(manifest: &Manifest, key: &Path) -> Result<[u8; HEADER_SIZE]> {
    let mut header = unsigned_header(manifest).context("a manifest that is too long")?;
    sign(&mut header, key)?;
    Ok(header)
}

/// Adds the signature of a key file over whatever the header says.
fn sign(header: &mut [u8; HEADER_SIZE], key: &Path) -> Result<()> {
    let entry = SignatureEntry { key: key_id_of(key)?, signature: signature_of(&header[..SIGNED_SIZE], key)? };
    add_signature(header, &entry).context("a header that can not be signed")
}

/// The signature of a key file over a message.
pub(super) fn signature_of(message: &[u8], key: &Path) -> Result<[u8; 64]> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("message");
    std::fs::write(&path, message)?;
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-sign", "-rawin", "-inkey"]).arg(key).arg("-in").arg(path);
    process::output_of(&mut openssl)?.try_into().map_err(|_| anyhow::anyhow!("openssl gave no Ed25519 signature"))
}

pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The id of a key file's key: the key itself is the end of its public half in DER (RFC 8410).
fn key_id_of(key: &Path) -> Result<KeyId> {
    let der = process::output_of(Command::new("openssl").args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(key))?;
    let public = der.last_chunk::<32>().context("openssl gave no Ed25519 key")?;
    Ok(key_id(public, &mut Builtin))
}
