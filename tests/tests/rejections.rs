//! One forged or malformed input for each refusal, which yields exactly that refusal; and the codes that must never change.

use twinslot_bootloader::anchor::{AnchorError, TrustAnchor};
use twinslot_bootloader::boot::Outcome;
use twinslot_bootloader::crypto::{Builtin, Crypto};
use twinslot_bootloader::image::bundle::{self, BundleLayout, index_entry};
use twinslot_bootloader::image::chunks::{CHUNK_SIZE, ChunkTable};
use twinslot_bootloader::image::manifest::{Check, Encoding, Kind, Manifest, Place, SlotRule};
use twinslot_bootloader::image::{Expectations, HEADER_SIZE, Header, SIGNED_SIZE, SlotUse};
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::SlotState;
use twinslot_bootloader::load::{LoadError, load};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection as R;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{ReadAt, Region, StorageError};
use twinslot_tests::board::{LinuxMemory, RAM_BASE, SimMemory};
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, Settings, identity, image, large_image, signed};
use twinslot_tests::image::{Image, ImageBuilder, PartDraft, Signer, Stored, kernel};
use twinslot_tests::storage::Geometry;

type Verdict = Result<(), R>;

/// Slot A of the simulated host.
const EXPECT: Expectations<'static> =
    Expectations { identity: identity(), slot_use: SlotUse::Slot(Slot::A), slot_size: 16 * 1024, write_size: 4, floor: 0, revoked: &[] };

/// Slot A of a Linux host.
const fn linux_expectations() -> Expectations<'static> {
    Expectations { slot_size: 1 << 20, write_size: 512, ..EXPECT }
}

/// What the loader says about a header in slot A, with one key needed.
fn verify(header: &[u8; HEADER_SIZE]) -> Verdict {
    verify_with(header, &Settings::new(1), &CheapCrypto)
}

fn verify_with(header: &[u8; HEADER_SIZE], settings: &Settings, crypto: &(impl Crypto + Clone)) -> Verdict {
    Header::verify(header, &settings.anchor, &EXPECT, &mut crypto.clone()).map(|_| ())
}

/// A manifest that its owner signed as it is.
fn forged(change: impl Fn(&mut Manifest) + 'static) -> Verdict {
    verify(signed(ImageBuilder::new(1).forge(change)).header())
}

/// Bytes changed after signing, with the CRC made right again.
fn tampered(change: impl Fn(&mut [u8; HEADER_SIZE])) -> Verdict {
    let mut header = *image(1).header();
    change(&mut header);
    seal(&mut header);
    verify(&header)
}

/// Signed bytes changed, and signed anew.
fn resigned(change: impl Fn(&mut [u8; HEADER_SIZE])) -> Verdict {
    let mut header = *image(1).header();
    change(&mut header);
    let signature = Signer::cheap(1).sign(&header[..SIGNED_SIZE]);
    header[SIGNED_SIZE + 8..SIGNED_SIZE + 72].copy_from_slice(&signature);
    seal(&mut header);
    verify(&header)
}

fn seal(header: &mut [u8; HEADER_SIZE]) {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&header[..HEADER_SIZE - 4]);
    header[HEADER_SIZE - 4..].copy_from_slice(&crc.to_le_bytes());
}

fn body_len(header: &[u8; HEADER_SIZE]) -> usize {
    u32::from_le_bytes([header[12], header[13], header[14], header[15]]) as usize
}

/// Puts these bytes in place of the body.
fn set_body(header: &mut [u8; HEADER_SIZE], body: &[u8]) {
    header[12..16].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[16..SIGNED_SIZE].fill(0);
    header[16..16 + body.len()].copy_from_slice(body);
}

/// What a whole boot says about an image in slot A, with nothing else there.
fn boots(image: &Image) -> Verdict {
    boots_on(Host::new(NOR), image)
}

fn boots_on(mut host: Host<4, 4096>, image: &Image) -> Verdict {
    host.storage.put(Region::Slot(Slot::A), &image.slot);
    let boot = host.boot(ResetCause::PowerOn);
    match boot.outcome {
        Outcome::Boot(_) => Ok(()),
        Outcome::Halt(Reason::Refused(rejection)) => Err(rejection),
        other => panic!("{other:?}"),
    }
}

/// What a Linux board says about these parts.
fn loads(parts: Vec<PartDraft>) -> Verdict {
    loads_changed(parts, |_| {})
}

/// The same for stored bytes that were changed after signing.
fn loads_changed(parts: Vec<PartDraft>, change: impl Fn(&mut [u8])) -> Verdict {
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

fn kernel_part() -> PartDraft {
    PartDraft::new(Kind::Kernel, Place::Auto, kernel(4096, 0, 4096))
}

fn command_line(line: &[u8]) -> Vec<PartDraft> {
    vec![kernel_part(), PartDraft::new(Kind::CommandLine, Place::Auto, line.to_vec())]
}

fn root_fs(line: &str) -> Vec<PartDraft> {
    let mut root = PartDraft::new(Kind::RootFs, Place::InPlace, vec![1; 4096]);
    root.part.sha256 = [0xab; 32];
    vec![kernel_part(), PartDraft::new(Kind::CommandLine, Place::Auto, line.as_bytes().to_vec()), root]
}

fn firmware_at(place: Place, address: u64) -> Image {
    signed(ImageBuilder::new(1).parts(vec![PartDraft::firmware(1, 5_000, place, address)]))
}

fn with_aux(place: Place) -> Image {
    let aux = PartDraft::new(Kind::Aux(1), place, vec![1; 100]);
    signed(ImageBuilder::new(1).parts(vec![PartDraft::firmware(1, 5_000, Place::At(RAM_BASE), RAM_BASE), aux]))
}

fn kind_of_first(kind: Kind) -> Verdict {
    forged(move |manifest| manifest.parts[0].kind = kind)
}

fn add_part(change: impl Fn(&mut twinslot_bootloader::image::manifest::Part) + 'static) -> Verdict {
    forged(move |manifest| {
        let mut part = manifest.parts[0];
        part.offset = 12 * 1024;
        part.len = 64;
        part.mem = 64;
        change(&mut part);
        manifest.parts.push(part).expect("room");
    })
}

fn install_of(image: &Image, change: impl Fn(&mut Vec<u8>)) -> Verdict {
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

fn index(entries: &[[u8; 4]], image_len: u64) -> Verdict {
    bundle::stored_chunks(BundleLayout::new(image_len), entries.as_flattened()).try_for_each(|chunk| chunk.map(|_| ()))
}

/// The input of each refusal. The two that no function of the verifier gives are named in [`GIVEN_BY_INSTALLERS`].
fn verdict_of(rejection: R) -> Option<Verdict> {
    Some(match rejection {
        R::WrongMagic => tampered(|header| header[0] ^= 1),
        R::WrongFormatVersion => resigned(|header| header[8] = 2),
        R::WrongHeaderSize => resigned(|header| header[10] = 2),
        R::ReservedByteSet => resigned(|header| header[11] = 1),
        R::BodyLengthOutOfRange => resigned(|header| header[12..16].copy_from_slice(&717_u32.to_le_bytes())),
        R::NonZeroPadding => resigned(|header| header[SIGNED_SIZE - 1] = 1),
        R::CrcMismatch => verify(&{
            let mut header = *image(1).header();
            header[HEADER_SIZE - 1] ^= 1;
            header
        }),
        R::EntryAfterEnd => tampered(|header| header[HEADER_SIZE - 5] = 1),
        R::RepeatedKeyId => tampered(|header| header.copy_within(SIGNED_SIZE..SIGNED_SIZE + 72, SIGNED_SIZE + 72)),
        R::BadSignature => tampered(|header| header[SIGNED_SIZE + 8] ^= 1),
        R::TooFewSignatures => verify(ImageBuilder::new(1).signer(Signer::cheap(7)).build(&mut CheapCrypto).header()),
        R::BodyMalformed => resigned(|header| set_body(header, &[4, b's', b'i', b'm'])),
        R::BodyLeftOver => resigned(|header| {
            let len = body_len(header) as u32 + 1;
            header[12..16].copy_from_slice(&len.to_le_bytes());
        }),
        R::BodyNotCanonical => resigned(|header| {
            let mut body = header[16..16 + body_len(header)].to_vec();
            // The mask `hw` is the single byte 0 behind the product's name; 0x80 0x00 is the same number in two bytes.
            body.splice(4..5, [0x80, 0x00]);
            set_body(header, &body);
        }),
        other => return verdict_on_manifest(other).or_else(|| verdict_on_parts(other)).or_else(|| verdict_on_chunks(other)),
    })
}

fn verdict_on_manifest(rejection: R) -> Option<Verdict> {
    Some(match rejection {
        R::NumberTooLarge => forged(|manifest| manifest.created = 1 << 48),
        R::UnknownRequirement => forged(|manifest| manifest.requires = 1),
        R::NoBootablePart => kind_of_first(Kind::Aux(0)),
        R::FirmwareAndKernel => add_part(|part| part.kind = Kind::Kernel),
        R::RepeatedPart => add_part(|_| {}),
        R::PartNeedsKernel => add_part(|part| part.kind = Kind::Initrd),
        R::WrongCheck => forged(|manifest| manifest.parts[0].check = Check::ByOs),
        R::LoaderPartReserved => kind_of_first(Kind::Loader),
        R::UnsupportedEncoding => forged(|manifest| manifest.parts[0].encoding = Encoding::Lz4),
        R::PartsOverlap => add_part(|part| (part.kind, part.offset) = (Kind::Aux(0), 8 * 1024)),
        R::PartMisaligned => forged(|manifest| manifest.parts[0].offset = 4096 + 512),
        R::PartOutsideSlot => forged(|manifest| manifest.parts[0].offset = 12 * 1024),
        R::MemoryTooSmall => forged(|manifest| manifest.parts[0].mem -= 1),
        R::EntryOutsidePart => forged(|manifest| manifest.parts[0].entry = manifest.parts[0].len),
        R::WrongProduct => forged(|manifest| manifest.product = "other".try_into().expect("a name")),
        R::WrongHardware => forged(|manifest| manifest.hw = 0b1011),
        R::WrongSlot => forged(|manifest| manifest.slot = SlotRule::B),
        R::LoaderTooOld => forged(|manifest| manifest.min_loader = u16::MAX),
        R::BelowFloor => {
            let mut settings = Settings::new(1);
            let keys: Vec<_> = (1..=3).map(|number| Signer::cheap(number).public()).collect();
            settings.anchor = TrustAnchor::new(&keys, 1, 6, &mut CheapCrypto).expect("good keys");
            verify_with(image(1).header(), &settings, &CheapCrypto)
        }
        R::TooFewKeysLeft => too_few_keys_left(),
        _ => return None,
    })
}

/// Two keys are needed and the journal has revoked two of four; the header, signed by the two that are left, revokes one of those.
fn too_few_keys_left() -> Verdict {
    let keys: Vec<_> = (1..=4).map(|number| Signer::cheap(number).public()).collect();
    let anchor = TrustAnchor::new(&keys, 2, 0, &mut CheapCrypto).expect("good keys");
    let id = |number| Signer::cheap(number).id(&mut CheapCrypto);
    let image = ImageBuilder::new(1).revoke(&[id(2)]).signer(Signer::cheap(1)).signer(Signer::cheap(2)).build(&mut CheapCrypto);
    let revoked = [id(3), id(4)];
    let expect = Expectations { revoked: &revoked, ..EXPECT };
    Header::verify(image.header(), &anchor, &expect, &mut CheapCrypto).map(|_| ())
}

fn verdict_on_parts(rejection: R) -> Option<Verdict> {
    let hash = "ab".repeat(32);
    Some(match rejection {
        R::WrongPlacement => boots(&firmware_at(Place::Auto, RAM_BASE)),
        R::VectorTableMisaligned => boots(&firmware_at(Place::At(RAM_BASE + 4), RAM_BASE + 4)),
        R::ForbiddenCommandLine => loads(command_line(b"quiet twinslot.slot=b")),
        R::CommandLineTooLong => loads(command_line(&[b'x'; 1793])),
        R::RootHashNotSigned => loads(root_fs(&format!("root=/dev/dm-0 roothash={}", &hash[2..]))),
        R::RangeConflict => boots(&with_aux(Place::At(RAM_BASE + 4_096))),
        R::RangeOutsideRam => boots(&with_aux(Place::At(RAM_BASE + 64 * 1024 - 50))),
        R::DigestMismatch => {
            let mut image = image(1);
            image.slot[4096 + 4_999] ^= 1;
            boots(&image)
        }
        R::KernelClaimsMore => loads(vec![PartDraft::new(Kind::Kernel, Place::Auto, kernel(4096, 0, 4097))]),
        R::WrongKernel => loads(vec![PartDraft::new(Kind::Kernel, Place::Auto, vec![0; 4096])]),
        R::Overflow => {
            let mut host = Host::new(NOR);
            host.memory.move_mapped(u64::MAX - 2048);
            boots_on(host, &firmware_at(Place::InPlace, RAM_BASE))
        }
        R::NotTheArmedImage => {
            let mut host = Host::<4, 4096>::new(NOR);
            host.storage.put(Region::Slot(Slot::A), &image(1).slot);
            let mut state = twinslot_bootloader::journal::State::new(0);
            state.slots.a = SlotState::trial(image(2).short_digest(), &host.settings.policy);
            host.set_state(&state);
            match host.boot(ResetCause::PowerOn).handoff.last_revert.map(|revert| revert.reason) {
                Some(Reason::Refused(rejection)) => Err(rejection),
                other => panic!("{other:?}"),
            }
        }
        _ => return None,
    })
}

fn verdict_on_chunks(rejection: R) -> Option<Verdict> {
    Some(match rejection {
        R::ChunkTableMismatch => {
            let mut image = image(1);
            image.table[0] ^= 1;
            install_of(&image, |_| {})
        }
        R::ChunkMismatch => install_of(&image(1), |chunk| chunk[4_000] ^= 1),
        R::TooManyRevocations => {
            let mut host = Host::<4, 4096>::running(NOR, &image(9));
            let mut state = host.state().expect("a journal");
            for number in 0..6 {
                state.revoked.insert([0x90 + number; 8]).expect("room");
            }
            host.set_state(&state);
            let revoked = Signer::cheap(2).id(&mut CheapCrypto);
            match host.install(&signed(ImageBuilder::new(1).revoke(&[revoked]))) {
                Err(InstallError::Refused(Refusal::Image(rejection))) => Err(rejection),
                other => panic!("{other:?}"),
            }
        }
        R::WrongBundleMagic => bundle::header_bytes(b"TWINBNDX").map(|_| ()),
        R::BundleLengthWrong => bundle::header_bytes(&image(1).bundle()[..1031]).map(|_| ()),
        R::BundleIndexInvalid => index(&[index_entry(4095, false)], 5 * 1024),
        _ => return None,
    })
}

/// Refusals that only callers of the verifier give: a reader of slots that is no loader, and an installer without a decompressor.
const GIVEN_BY_INSTALLERS: [R; 2] = [R::Unreadable, R::UnsupportedChunkEncoding];

#[test]
fn every_refusal_has_an_input_that_yields_exactly_it() {
    for rejection in R::ALL.iter().copied() {
        match verdict_of(rejection) {
            Some(verdict) => assert_eq!(verdict, Err(rejection)),
            None => assert!(GIVEN_BY_INSTALLERS.contains(&rejection), "{rejection:?} has no test"),
        }
    }
}

#[test]
fn what_the_forgeries_start_from_is_accepted() {
    assert_eq!(verify(image(1).header()), Ok(()));
    assert_eq!(tampered(|_| {}), Ok(()));
    assert_eq!(resigned(|_| {}), Ok(()));
    assert_eq!(forged(|_| {}), Ok(()));
    assert_eq!(boots(&image(1)), Ok(()));
    assert_eq!(boots(&with_aux(Place::At(RAM_BASE + 8 * 1024))), Ok(()));
    assert_eq!(boots(&with_aux(Place::InPlace)), Ok(()));
    let address = twinslot_tests::board::mapped_address(Region::Slot(Slot::A)).expect("mapped") + 4096;
    assert_eq!(boots(&firmware_at(Place::InPlace, address)), Ok(()));
    assert_eq!(loads(vec![kernel_part()]), Ok(()));
    assert_eq!(loads(command_line(b"console=ttyS0 quiet")), Ok(()));
    assert_eq!(loads(command_line(&[b'x'; 1792])), Ok(()));
    assert_eq!(loads(root_fs(&format!("roothash={}", "ab".repeat(32)))), Ok(()));
    assert_eq!(install_of(&image(1), |_| {}), Ok(()));
    assert_eq!(index(&[index_entry(4096, false)], 5 * 1024), Ok(()));
    let large = large_image(1, Region::Slot(Slot::A));
    let geometry = Geometry { slot_size: 768 * 1024, ..NOR };
    assert_eq!(boots_on(Host::new(geometry), &large), Ok(()));
}

#[test]
fn further_forgeries_yield_the_refusal_of_their_rule() {
    assert_eq!(resigned(|header| header[12..16].fill(0)), Err(R::BodyLengthOutOfRange));
    assert_eq!(resigned(|header| header[12..16].fill(0xff)), Err(R::BodyLengthOutOfRange));
    for field in 0..5 {
        let verdict = forged(move |manifest| {
            let part = &mut manifest.parts[0];
            match field {
                0 => part.offset = 1 << 48,
                1 => part.len = u64::MAX,
                2 => part.mem = 1 << 48,
                3 => part.entry = u64::MAX,
                _ => part.place = Place::At(1 << 48),
            }
        });
        assert_eq!(verdict, Err(R::NumberTooLarge), "field {field}");
    }
    assert_eq!(forged(|manifest| manifest.parts[0].mem = (1 << 48) - 1), Ok(()), "the format takes it; the board will not");
    assert_eq!(forged(|manifest| manifest.parts[0].len = 0), Err(R::MemoryTooSmall));
    assert_eq!(forged(|manifest| manifest.parts[0].offset = 0), Err(R::PartMisaligned));
    assert_eq!(forged(|manifest| manifest.parts.clear()), Err(R::NoBootablePart));
    assert_eq!(forged(|manifest| manifest.parts[0].entry = 4), Err(R::WrongPlacement), "the vector table leads");
    assert_eq!(forged(|manifest| manifest.requires = 1 << 31), Err(R::UnknownRequirement));
    for encoding in [Encoding::Lz4, Encoding::Zstd, Encoding::Aes] {
        assert_eq!(forged(move |manifest| manifest.parts[0].encoding = encoding), Err(R::UnsupportedEncoding));
    }
    for kind in [Kind::Initrd, Kind::DeviceTree, Kind::CommandLine] {
        assert_eq!(add_part(move |part| part.kind = kind), Err(R::PartNeedsKernel));
    }
    assert_eq!(add_part(|part| part.kind = Kind::RootFs), Err(R::WrongCheck));
    assert_eq!(add_part(|part| (part.kind, part.check) = (Kind::RootFs, Check::ByOs)), Err(R::RootHashNotSigned));
    assert_eq!(add_part(|part| part.kind = Kind::Aux(0)), Ok(()));
    assert_eq!(forged(|manifest| manifest.hw = 0b100), Ok(()), "revision 2");
    assert_eq!(forged(|manifest| manifest.slot = SlotRule::A), Ok(()));
    assert_eq!(forged(|manifest| manifest.hw = u32::MAX), Ok(()));
}

#[test]
fn a_command_line_hides_nothing_of_what_the_loader_appends() {
    // Kernel: lib/cmdline.c, `next_arg`, and lib/ctype.c, `isspace`: quotes are stripped, and six characters and 0xa0 part tokens.
    let forbidden: [&[u8]; 15] = [
        b"a -- b",
        b"-- b",
        b"a --",
        b"a\t--\tb",
        b"a\n",
        b"a\0b",
        b"twinslot.slot=a",
        b"a rauc.slot=A",
        b"a \"twinslot.slot=b\"",
        b"a \"--\" b",
        b"a\rtwinslot.slot=b",
        b"a\x0btwinslot.slot=b",
        b"a\x0ctwinslot.slot=b",
        b"a\xa0twinslot.slot=b",
        b"init=\"/bin/sh",
    ];
    for line in forbidden {
        assert_eq!(loads(command_line(line)), Err(R::ForbiddenCommandLine), "{}", line.escape_ascii());
    }
    for line in [&b"a --b c"[..], b"nottwinslot.slot=a", b"x=\"a b\" y", b"a---"] {
        assert_eq!(loads(command_line(line)), Ok(()), "{}", line.escape_ascii());
    }
}

#[test]
fn vectors_that_leave_the_part_are_refused() {
    let with_reset = |reset: u32| {
        let mut part = PartDraft::firmware(1, 5_000, Place::At(RAM_BASE), RAM_BASE);
        part.bytes[4..8].copy_from_slice(&reset.to_le_bytes());
        boots(&signed(ImageBuilder::new(1).parts(vec![part])))
    };
    let base = RAM_BASE as u32;
    assert_eq!(with_reset(base + 0x41), Ok(()));
    for reset in [base + 0x40, base - 1, base + 5_001, 0, u32::MAX] {
        assert_eq!(with_reset(reset), Err(R::EntryOutsidePart), "{reset:#x}");
    }
    let mut tiny = PartDraft::new(Kind::Firmware, Place::At(RAM_BASE), vec![1; 7]);
    tiny.part.mem = 7;
    assert_eq!(boots(&signed(ImageBuilder::new(1).parts(vec![tiny]))), Err(R::EntryOutsidePart));
}

#[test]
fn a_kernel_that_changes_after_it_was_looked_at_is_refused() {
    let base = vec![kernel_part()];
    assert_eq!(loads_changed(base.clone(), |stored| stored[4096 + 20] ^= 1), Err(R::KernelClaimsMore));
    assert_eq!(loads_changed(base, |stored| stored[4096 + 100] ^= 1), Err(R::DigestMismatch));
}

#[test]
fn a_kernel_that_storage_shows_differently_twice_is_refused() {
    /// Shows another text offset until the whole kernel is read.
    struct Flickering<'a>(Stored<'a>);

    impl ReadAt for Flickering<'_> {
        fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
            self.0.read_at(offset, bytes)?;
            if bytes.len() == 64 {
                bytes[8..16].copy_from_slice(&0x1000_u64.to_le_bytes());
            }
            Ok(())
        }

        fn size(&self) -> u64 {
            self.0.size()
        }
    }

    let image = signed(ImageBuilder::new(1).parts(vec![kernel_part()]));
    let header = Header::verify(image.header(), &Settings::new(1).anchor, &linux_expectations(), &mut CheapCrypto).expect("a good header");
    let mut memory = LinuxMemory(SimMemory::new(16 << 20, 1024));
    let loaded = load(&header, Region::Slot(Slot::A), &mut Flickering(Stored(&image.slot)), &mut memory, &mut CheapCrypto);
    assert_eq!(loaded.map(|_| ()), Err(LoadError::Refused(R::WrongKernel)));
}

#[test]
fn thresholds_count_distinct_anchor_keys() {
    let settings = Settings::new(2);
    let by = |keys: &[u8]| {
        let builder = keys.iter().fold(ImageBuilder::new(1), |builder, key| builder.signer(Signer::cheap(*key)));
        verify_with(builder.build(&mut CheapCrypto).header(), &settings, &CheapCrypto)
    };
    assert_eq!(by(&[1, 2]), Ok(()));
    assert_eq!(by(&[3, 2]), Ok(()));
    assert_eq!(by(&[8, 9, 1, 3]), Ok(()), "unknown keys do no harm");
    assert_eq!(by(&[1]), Err(R::TooFewSignatures));
    assert_eq!(by(&[1, 8, 9]), Err(R::TooFewSignatures));
    assert_eq!(by(&[]), Err(R::TooFewSignatures));
}

#[test]
fn a_header_is_refused_by_real_keys_as_by_cheap_ones() {
    let keys: Vec<_> = (1..=3).map(|number| Signer::ed25519(number).public()).collect();
    let settings = Settings { anchor: TrustAnchor::new(&keys, 2, 0, &mut Builtin).expect("good keys"), ..Settings::new(1) };
    let builder = |numbers: &[u8]| {
        let builder = numbers.iter().fold(ImageBuilder::new(1), |builder, number| builder.signer(Signer::ed25519(*number)));
        *builder.build(&mut Builtin).header()
    };
    assert_eq!(verify_with(&builder(&[1, 3]), &settings, &Builtin), Ok(()));
    assert_eq!(verify_with(&builder(&[1]), &settings, &Builtin), Err(R::TooFewSignatures));
    assert_eq!(verify_with(&builder(&[1, 4]), &settings, &Builtin), Err(R::TooFewSignatures));
    let mut header = builder(&[1, 2, 3]);
    header[SIGNED_SIZE + 2 * 72 + 20] ^= 1;
    seal(&mut header);
    assert_eq!(verify_with(&header, &settings, &Builtin), Err(R::BadSignature), "two good ones do not make up for it");
    let mut header = builder(&[1, 2]);
    header[100] ^= 1;
    seal(&mut header);
    assert_eq!(verify_with(&header, &settings, &Builtin), Err(R::BadSignature));
}

#[test]
fn the_golden_region_takes_only_images_for_any_slot() {
    let settings = Settings::new(1);
    let verify = |rule: SlotRule| {
        let image = signed(ImageBuilder::new(1).forge(move |manifest| manifest.slot = rule));
        let expect = Expectations { slot_use: SlotUse::Golden, ..EXPECT };
        Header::verify(image.header(), &settings.anchor, &expect, &mut CheapCrypto).map(|_| ())
    };
    assert_eq!((verify(SlotRule::Any), verify(SlotRule::A), verify(SlotRule::B)), (Ok(()), Err(R::WrongSlot), Err(R::WrongSlot)));
}

#[test]
fn keys_that_anybody_could_sign_for_make_no_anchor() {
    let good = Signer::ed25519(1).public();
    let anchor = |keys: &[[u8; 32]], threshold| TrustAnchor::new(keys, threshold, 0, &mut Builtin).map(|_| ());
    let mut not_canonical = [0xff; 32];
    not_canonical[0] = 0xee;
    let small_order = {
        let mut one = [0; 32];
        one[0] = 1;
        one
    };
    for weak in [[0; 32], not_canonical, small_order, [0xff; 32]] {
        assert_eq!(anchor(&[good, weak], 1), Err(AnchorError::WeakKey), "{weak:02x?}");
    }
    assert_eq!(anchor(&[good, good], 1), Err(AnchorError::RepeatedKey));
    assert_eq!(anchor(&[], 1), Err(AnchorError::NoKeys));
    assert_eq!(anchor(&[good], 0), Err(AnchorError::ThresholdZero));
    assert_eq!(anchor(&[good], 2), Err(AnchorError::ThresholdAboveKeys));
    let nine: Vec<_> = (1..=9).map(|number| Signer::ed25519(number).public()).collect();
    assert_eq!(anchor(&nine, 1), Err(AnchorError::TooManyKeys));
    assert_eq!(anchor(&nine[..8], 8), Ok(()));
}

#[test]
fn a_chunk_table_of_another_length_is_refused() {
    let image = image(1);
    let header = Header::verify(image.header(), &Settings::new(1).anchor, &EXPECT, &mut CheapCrypto).expect("a good header");
    let check = |table: &[u8]| ChunkTable::verify(&header, table, &mut CheapCrypto).map(|table| table.count());
    assert_eq!(check(&image.table), Ok(1));
    let twice = image.table.repeat(2);
    for table in [&[][..], &image.table[..31], &twice] {
        assert_eq!(check(table), Err(R::ChunkTableMismatch));
    }
}

#[test]
fn an_index_that_does_not_fit_its_header_is_refused() {
    let two_chunks = 1024 + CHUNK_SIZE + 10;
    let good = [index_entry(CHUNK_SIZE as u32, false), index_entry(10, false)];
    assert_eq!(index(&good, two_chunks), Ok(()));
    assert_eq!(index(&[index_entry(1, true), index_entry(2 * CHUNK_SIZE as u32, true)], two_chunks), Ok(()));
    let bad: [&[[u8; 4]]; 6] = [
        &good[..1],
        &[],
        &[good[0], index_entry(9, false)],
        &[good[0], index_entry(0, true)],
        &[good[0], index_entry(2 * CHUNK_SIZE as u32 + 1, true)],
        &[good[0], good[1], good[1]],
    ];
    for entries in bad {
        assert_eq!(index(entries, two_chunks), Err(R::BundleIndexInvalid), "{entries:?}");
    }
}
