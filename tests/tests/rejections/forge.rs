//! Forges headers, parts and bundles, and asks the verifier about them.

use twinslot_bootloader::boot::Outcome;
use twinslot_bootloader::crypto::Crypto;
use twinslot_bootloader::image::bundle::{self, BundleLayout};
use twinslot_bootloader::image::manifest::{Kind, Manifest, Place};
use twinslot_bootloader::image::{Expectations, HEADER_SIZE, Header, SIGNED_SIZE, SlotUse};
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::load::{LoadError, load};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection as R;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::board::{LinuxMemory, RAM_BASE, SimMemory};
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, Settings, identity, image, signed};
use twinslot_tests::image::{Image, ImageBuilder, PartDraft, Signer, Stored, kernel};

pub(crate) type Verdict = Result<(), R>;

/// Slot A of the simulated host.
pub(crate) const EXPECT: Expectations<'static> =
    Expectations { identity: identity(), slot_use: SlotUse::Slot(Slot::A), slot_size: 16 * 1024, write_size: 4, floor: 0, revoked: &[] };

/// Slot A of a Linux host.
pub(crate) const fn linux_expectations() -> Expectations<'static> {
    Expectations { slot_size: 1 << 20, write_size: 512, ..EXPECT }
}

/// What the loader says about a header in slot A, with one key needed.
pub(crate) fn verify(header: &[u8; HEADER_SIZE]) -> Verdict {
    verify_with(header, &Settings::new(1), &CheapCrypto)
}

pub(crate) fn verify_with(header: &[u8; HEADER_SIZE], settings: &Settings, crypto: &(impl Crypto + Clone)) -> Verdict {
    Header::verify(header, &settings.anchor, &EXPECT, &mut crypto.clone()).map(|_| ())
}

/// A manifest that its owner signed as it is.
pub(crate) fn forged(change: impl Fn(&mut Manifest) + 'static) -> Verdict {
    verify(signed(ImageBuilder::new(1).forge(change)).header())
}

/// Bytes changed after signing, with the CRC made right again.
pub(crate) fn tampered(change: impl Fn(&mut [u8; HEADER_SIZE])) -> Verdict {
    let mut header = *image(1).header();
    change(&mut header);
    seal(&mut header);
    verify(&header)
}

/// Signed bytes changed, and signed anew.
pub(crate) fn resigned(change: impl Fn(&mut [u8; HEADER_SIZE])) -> Verdict {
    let mut header = *image(1).header();
    change(&mut header);
    let signature = Signer::cheap(1).sign(&header[..SIGNED_SIZE]);
    header[SIGNED_SIZE + 8..SIGNED_SIZE + 72].copy_from_slice(&signature);
    seal(&mut header);
    verify(&header)
}

pub(crate) fn seal(header: &mut [u8; HEADER_SIZE]) {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&header[..HEADER_SIZE - 4]);
    header[HEADER_SIZE - 4..].copy_from_slice(&crc.to_le_bytes());
}

pub(crate) fn body_len(header: &[u8; HEADER_SIZE]) -> usize {
    u32::from_le_bytes([header[12], header[13], header[14], header[15]]) as usize
}

/// Puts these bytes in place of the body.
pub(crate) fn set_body(header: &mut [u8; HEADER_SIZE], body: &[u8]) {
    header[12..16].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[16..SIGNED_SIZE].fill(0);
    header[16..16 + body.len()].copy_from_slice(body);
}

/// What a whole boot says about an image in slot A, with nothing else there.
pub(crate) fn boots(image: &Image) -> Verdict {
    boots_on(Host::new(NOR), image)
}

pub(crate) fn boots_on(mut host: Host<4, 4096>, image: &Image) -> Verdict {
    host.storage.put(Region::Slot(Slot::A), &image.slot);
    let boot = host.boot(ResetCause::PowerOn);
    match boot.outcome {
        Outcome::Boot(_) => Ok(()),
        Outcome::Halt(Reason::Refused(rejection)) => Err(rejection),
        other => panic!("{other:?}"),
    }
}

/// What a Linux board says about these parts.
pub(crate) fn loads(parts: Vec<PartDraft>) -> Verdict {
    loads_changed(parts, |_| {})
}

/// The same for stored bytes that were changed after signing.
pub(crate) fn loads_changed(parts: Vec<PartDraft>, change: impl Fn(&mut [u8])) -> Verdict {
    let image = signed(ImageBuilder::new(1).parts(parts));
    let header = Header::verify(image.header(), &Settings::new(1).anchor, &linux_expectations(), &mut CheapCrypto)?;
    let mut stored = image.slot.clone();
    change(&mut stored);
    let mut memory = LinuxMemory(SimMemory::new(16 << 20, 1024));
    match load(&header, Region::Slot(Slot::A), &mut Stored(&stored), &mut memory, &mut CheapCrypto) {
        Ok(_) => Ok(()),
        Err(LoadError::Refused(rejection)) => Err(rejection),
        Err(LoadError::Storage) => panic!("the storage is good"),
    }
}

pub(crate) fn kernel_part() -> PartDraft {
    PartDraft::new(Kind::Kernel, Place::Auto, kernel(4096, 0, 4096))
}

pub(crate) fn command_line(line: &[u8]) -> Vec<PartDraft> {
    vec![kernel_part(), PartDraft::new(Kind::CommandLine, Place::Auto, line.to_vec())]
}

pub(crate) fn root_fs(line: &str) -> Vec<PartDraft> {
    let mut root = PartDraft::new(Kind::RootFs, Place::InPlace, vec![1; 4096]);
    root.part.sha256 = [0xab; 32];
    vec![kernel_part(), PartDraft::new(Kind::CommandLine, Place::Auto, line.as_bytes().to_vec()), root]
}

pub(crate) fn firmware_at(place: Place, address: u64) -> Image {
    signed(ImageBuilder::new(1).parts(vec![PartDraft::firmware(1, 5_000, place, address)]))
}

pub(crate) fn with_aux(place: Place) -> Image {
    let aux = PartDraft::new(Kind::Aux(1), place, vec![1; 100]);
    signed(ImageBuilder::new(1).parts(vec![PartDraft::firmware(1, 5_000, Place::At(RAM_BASE), RAM_BASE), aux]))
}

pub(crate) fn kind_of_first(kind: Kind) -> Verdict {
    forged(move |manifest| manifest.parts[0].kind = kind)
}

pub(crate) fn add_part(change: impl Fn(&mut twinslot_bootloader::image::manifest::Part) + 'static) -> Verdict {
    forged(move |manifest| {
        let mut part = manifest.parts[0];
        part.offset = 12 * 1024;
        part.len = 64;
        part.mem = 64;
        change(&mut part);
        manifest.parts.push(part).expect("room");
    })
}

pub(crate) fn install_of(image: &Image, change: impl Fn(&mut Vec<u8>)) -> Verdict {
    let mut host = Host::<4, 4096>::running(NOR, &twinslot_tests::host::image(9));
    let mut chunk = image.chunk(0).to_vec();
    change(&mut chunk);
    let before = host.storage.bytes(Region::Slot(Slot::B)).to_vec();
    let done = host.write(|session| {
        let slot = session.inactive()?;
        session.install(slot, image.header(), &image.table)?.write_chunk(&chunk)
    });
    match done {
        Ok(()) => Ok(()),
        Err(InstallError::Refused(Refusal::Image(rejection))) => {
            assert!(before == host.storage.bytes(Region::Slot(Slot::B)), "nothing was written");
            Err(rejection)
        }
        Err(other) => panic!("{other:?}"),
    }
}

pub(crate) fn index(entries: &[[u8; 4]], image_len: u64) -> Verdict {
    bundle::stored_chunks(BundleLayout::new(image_len), entries.as_flattened()).try_for_each(|chunk| chunk.map(|_| ()))
}
