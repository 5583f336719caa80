//! The input of each refusal. A refusal without one fails the test.

use twinslot_bootloader::anchor::TrustAnchor;
use twinslot_bootloader::image::bundle::{self, index_entry};
use twinslot_bootloader::image::manifest::{Check, Encoding, Kind, Place, SlotRule};
use twinslot_bootloader::image::{Expectations, HEADER_SIZE, Header, SIGNED_SIZE};
use twinslot_bootloader::install::{InstallError, Refusal};
use twinslot_bootloader::journal::SlotState;
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection as R;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::board::RAM_BASE;
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, Settings, image, signed};
use twinslot_tests::image::{ImageBuilder, PartDraft, Signer, kernel};

use crate::forge::{
    EXPECT, Verdict, add_part, body_len, boots, boots_on, command_line, firmware_at, forged, index, install_of, kernel_part, kind_of_first, loads,
    resigned, root_fs, set_body, tampered, verify, verify_with, with_aux,
};

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
        R::UnusableDeviceTree => loads(vec![kernel_part(), PartDraft::new(Kind::DeviceTree, Place::Auto, vec![0; 64])]),
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
