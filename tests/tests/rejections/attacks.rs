//! Further forgeries, each named after what it tries.

use twinslot_bootloader::anchor::{AnchorError, TrustAnchor};
use twinslot_bootloader::crypto::Builtin;
use twinslot_bootloader::image::bundle::index_entry;
use twinslot_bootloader::image::chunks::{CHUNK_SIZE, ChunkTable};
use twinslot_bootloader::image::manifest::{Check, Encoding, Kind, Place, SlotRule};
use twinslot_bootloader::image::{Expectations, Header, SIGNED_SIZE, SlotUse};
use twinslot_bootloader::load::{LoadError, load};
use twinslot_bootloader::rejection::Rejection as R;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::{ReadAt, Region, StorageError};
use twinslot_tests::board::{LinuxMemory, RAM_BASE, SimMemory};
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, Settings, image, large_image, signed};
use twinslot_tests::image::{ImageBuilder, PartDraft, Signer, Stored};
use twinslot_tests::storage::Geometry;

use crate::forge::{
    EXPECT, add_part, boots, boots_on, command_line, firmware_at, forged, index, install_of, kernel_part, linux_expectations, loads, loads_changed,
    resigned, root_fs, seal, tampered, verify, verify_with, with_aux,
};

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
