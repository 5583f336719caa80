//! Taking an update from the staging region, through the library's writer.

use core::fmt::Write as _;

use mps2::devices::Uart;
use mps2::nor;
use twinslot_bootloader::crypto::Builtin;
use twinslot_bootloader::crypto::Crypto as _;
use twinslot_bootloader::image::bundle::{self, BundleLayout};
use twinslot_bootloader::image::manifest::Version;
use twinslot_bootloader::image::{Expectations, HEADER_SIZE, Header, HeaderBytes, SlotUse, short_digest};
use twinslot_bootloader::install::{Host, InstallError};
use twinslot_bootloader::journal::{Phase, SlotState};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;

use super::{BOARD, Writer};

/// What became of the staging region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Updated {
    /// Nothing to do.
    Nothing,
    /// A trial is armed: a reset starts it.
    Armed,
}

/// Installs what lies in the staging region, if it is a newer image that this board has not given up.
///
/// A cut at any instant is made good by the next start: the writer resumes at the last whole chunk that the slot holds.
pub(super) fn from_staging(
    writer: &mut Writer<'_, '_>,
    host: &Host<'_>,
    staging: &[u8],
    running: Version,
    mut console: Uart,
) -> Result<Updated, InstallError> {
    let Ok(bytes) = bundle::header_bytes(staging) else { return Ok(Updated::Nothing) };
    if is_known(writer, bytes)? {
        return Ok(Updated::Nothing);
    }
    let slot = writer.inactive()?;
    let header = verify(writer, host, slot.slot(), bytes)?;
    let version = header.manifest().version;
    if version <= running {
        return Ok(Updated::Nothing);
    }
    let staged = Staged::new(staging, &header)?;
    let name = slot.slot().name();
    let mut install = writer.install(slot, bytes, staged.table)?;
    let resume = install.next_chunk().unwrap_or(install.chunk_count());
    let _ = writeln!(console, "app: installing {version} to {name} resume={resume}");
    while let Some(index) = install.next_chunk() {
        install.write_chunk(staged.chunk(index)?)?;
    }
    install.finish()?;
    let _ = writeln!(console, "app: installed");
    Ok(Updated::Armed)
}

/// Judges the header as the loader will, which knows no floor and no revocation when the journal is lost; only then its version is worth reading.
fn verify(writer: &Writer<'_, '_>, host: &Host<'_>, slot: Slot, bytes: &[u8; HEADER_SIZE]) -> Result<Header, InstallError> {
    let state = writer.state();
    let expect = Expectations {
        identity: host.identity,
        slot_use: SlotUse::Slot(slot),
        slot_size: BOARD.layout().slot(slot).size.into(),
        write_size: nor::WRITE_SIZE.into(),
        floor: state.map_or(0, |state| state.floor),
        revoked: state.map_or(&[], |state| &state.revoked),
    };
    Ok(Header::verify(bytes, host.anchor, &expect, &mut Builtin)?)
}

/// Whether this very image lies in a slot already, whatever became of it: one that was given up is not tried again.
fn is_known(writer: &Writer<'_, '_>, bytes: &[u8; HEADER_SIZE]) -> Result<bool, Rejection> {
    let digest = short_digest(&Builtin.digest(HeaderBytes::parse(bytes)?.signed()));
    let holds = |entry: &SlotState| entry.phase != Phase::Empty && entry.digest == digest;
    Ok(writer.state().is_some_and(|state| holds(&state.slots.a) || holds(&state.slots.b)))
}

/// The staged bundle, cut up by its verified header. Its index needs no trust: the chunk table pins every byte.
struct Staged<'b> {
    bundle: &'b [u8],
    layout: BundleLayout,
    table: &'b [u8],
}

impl<'b> Staged<'b> {
    fn new(bundle: &'b [u8], header: &Header) -> Result<Self, Rejection> {
        let layout = BundleLayout::new(header.manifest().image_len().ok_or(Rejection::Overflow)?);
        let table = range(bundle, BundleLayout::TABLE_AT, layout.table_len())?;
        Ok(Self { bundle, layout, table })
    }

    /// The plain bytes of a chunk. This board has no decompressor.
    fn chunk(&self, index: u64) -> Result<&'b [u8], Rejection> {
        let entries = range(self.bundle, self.layout.index_at(), self.layout.index_len())?;
        let number = usize::try_from(index).map_err(|_| Rejection::Overflow)?;
        let stored = bundle::stored_chunks(self.layout, entries).nth(number).ok_or(Rejection::BundleIndexInvalid)??;
        if stored.compressed {
            return Err(Rejection::UnsupportedChunkEncoding);
        }
        range(self.bundle, stored.offset, stored.len.into())
    }
}

fn range(bundle: &[u8], offset: u64, len: u64) -> Result<&[u8], Rejection> {
    let start = usize::try_from(offset).map_err(|_| Rejection::Overflow)?;
    let len = usize::try_from(len).map_err(|_| Rejection::Overflow)?;
    let end = start.checked_add(len).ok_or(Rejection::Overflow)?;
    bundle.get(start..end).ok_or(Rejection::BundleLengthWrong)
}
