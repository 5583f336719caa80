//! The build side of headers, and what readers of single parts of the format refuse.

use twinslot_bootloader::crypto::Crypto as _;
use twinslot_bootloader::image::bundle::{self, BundleLayout, StoredChunk, index_entry};
use twinslot_bootloader::image::chunks::{self, CHUNK_SIZE, ChunkTable};
use twinslot_bootloader::image::draft::{DraftError, add_signature, unsigned_header};
use twinslot_bootloader::image::kernel::{Architecture, HEAD, claim};
use twinslot_bootloader::image::manifest::Place;
use twinslot_bootloader::image::manifest::{Extra, Kind};
use twinslot_bootloader::image::{
    Expectations, Header, HeaderBytes, InvalidProduct, MAX_PRODUCT, Product, SIGNED_SIZE, SignatureEntry, check_format,
};
use twinslot_bootloader::rejection::Rejection as R;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::host::{Settings, image, large_image, signed};
use twinslot_tests::image::{ImageBuilder, PartDraft, kernel};

use crate::forge::EXPECT;

const fn entry(key: u8, signature: u8) -> SignatureEntry {
    SignatureEntry { key: [key; 8], signature: [signature; 64] }
}

#[test]
fn a_header_takes_four_signatures_of_different_keys() {
    let mut header = unsigned_header(&image(1).manifest).expect("it fits");
    let digest = header[..SIGNED_SIZE].to_vec();
    assert_eq!(add_signature(&mut header, &entry(0, 0)), Err(DraftError::ZeroEntry));
    for number in 1..=4 {
        assert_eq!(add_signature(&mut header, &entry(number, number)), Ok(()));
        let before = header;
        assert_eq!(add_signature(&mut header, &entry(number, 9)), Err(DraftError::AlreadySigned));
        assert_eq!(header, before);
        let held: Vec<_> = HeaderBytes::parse(&header).expect("a header").signatures().collect();
        assert_eq!(held, (1..=number).map(|number| entry(number, number)).collect::<Vec<_>>());
    }
    assert_eq!(add_signature(&mut header, &entry(5, 5)), Err(DraftError::NoRoom));
    assert_eq!(header[..SIGNED_SIZE], digest[..], "what is signed does not change");
    header[0] = 0;
    assert_eq!(add_signature(&mut header, &entry(6, 6)), Err(DraftError::NotAHeader(R::WrongMagic)));
}

#[test]
fn an_entry_of_zeros_is_one_with_a_key_and_a_signature_of_zeros() {
    for half in [SignatureEntry { key: [0; 8], ..entry(0, 7) }, entry(7, 0)] {
        let mut header = unsigned_header(&image(1).manifest).expect("it fits");
        assert_eq!(add_signature(&mut header, &half), Ok(()));
        assert_eq!(HeaderBytes::parse(&header).expect("a header").signatures().collect::<Vec<_>>(), [half]);
    }
}

#[test]
fn a_manifest_that_no_header_has_room_for_is_not_drafted() {
    let mut manifest = image(1).manifest;
    let part = manifest.parts[0];
    manifest.product = Product::try_from("y".repeat(MAX_PRODUCT).as_str()).expect("a name");
    (manifest.hw, manifest.security_counter, manifest.requires, manifest.created) = (u32::MAX, u32::MAX, u32::MAX, u64::MAX);
    while manifest.parts.push(part).is_ok() {}
    for part in &mut manifest.parts {
        (part.offset, part.len, part.mem, part.place) = (u64::MAX, u64::MAX, u64::MAX, Place::At(u64::MAX));
    }
    while manifest.extra.push(Extra { tag: 1, data: [7; 32].into_iter().collect() }).is_ok() {}
    manifest.revoke = [[1; 8]; 4].into_iter().collect();
    assert_eq!(unsigned_header(&manifest), Err(DraftError::ManifestTooLong));
}

#[test]
fn a_product_has_one_to_32_visible_characters() {
    let of = |name: &str| Product::try_from(name).map(|product| product.to_string());
    assert_eq!(of("x"), Ok("x".to_owned()));
    assert_eq!(of(&"y".repeat(MAX_PRODUCT)), Ok("y".repeat(32)));
    for wrong in ["", "a b", "a\n", "\u{7f}", "ä", &"y".repeat(33)] {
        assert_eq!(of(wrong), Err(InvalidProduct), "{wrong:?}");
    }
    let product = Product::try_from("sim").expect("a name");
    assert_eq!((product.as_str(), product.as_bytes()), ("sim", &b"sim"[..]));
}

#[test]
fn a_part_whose_end_overflows_is_refused() {
    let mut manifest = image(1).manifest;
    manifest.parts[0].offset = !4095;
    (manifest.parts[0].len, manifest.parts[0].mem) = (8192, 8192);
    assert_eq!(check_format(&manifest, u64::MAX, 4), Err(R::Overflow));
    assert_eq!(manifest.image_len(), None);
    manifest.parts.clear();
    assert_eq!(manifest.image_len(), None);
    assert_eq!(manifest.part(Kind::Firmware), None);
}

#[test]
fn a_kernel_says_its_machine_its_place_and_its_size() {
    let head = |magic: &[u8; 4], memory: u64| {
        let mut head = *kernel(HEAD, 0x1234_5678_9abc, memory).first_chunk::<HEAD>().expect("a head");
        head[56..60].copy_from_slice(magic);
        claim(&head).map(|claim| (claim.architecture, claim.text_offset, claim.memory))
    };
    assert_eq!(head(b"ARM\x64", 0x0102_0304_0506), Ok((Architecture::Aarch64, 0x1234_5678_9abc, 0x0102_0304_0506)));
    assert_eq!(head(b"RSC\x05", 4096), Ok((Architecture::Riscv64, 0x1234_5678_9abc, 4096)));
    assert_eq!(head(b"ARM\x65", 4096), Err(R::WrongKernel));
    assert_eq!(head(b"ARM\x64", 0), Err(R::WrongKernel), "kernels before 3.17 claim no size");
}

#[test]
fn chunks_cover_an_image_without_gaps_and_end_with_it() {
    assert_eq!(chunks::count(0), 0);
    assert_eq!(chunks::count(1024), 0);
    for (image_len, count) in [(1025, 1), (1024 + CHUNK_SIZE, 1), (1025 + CHUNK_SIZE, 2), (1024 + 3 * CHUNK_SIZE, 3)] {
        assert_eq!(chunks::count(image_len), count);
        let mut at = 1024;
        for index in 0..count {
            let range = chunks::range(index, image_len);
            assert!(range.start == at && range.end > at && range.end - at <= CHUNK_SIZE);
            at = range.end;
        }
        assert_eq!(at, image_len);
        assert!(chunks::range(count, image_len).is_empty() && chunks::range(u64::MAX, image_len).is_empty());
    }
}

#[test]
fn a_chunk_table_has_as_many_digests_as_the_image_has_chunks() {
    let image = image(1);
    let header = Header::verify(image.header(), &Settings::new(1).anchor, &EXPECT, &mut CheapCrypto).expect("a good header");
    let table = ChunkTable::verify(&header, &image.table, &mut CheapCrypto).expect("its table");
    assert_eq!((table.count(), table.image_len(), table.range(0)), (1, image.slot.len() as u64, 1024..image.slot.len() as u64));
    assert_eq!(table.digest(0).map(|digest| &digest[..]), Some(&image.table[..]));
    assert_eq!((table.digest(1), table.digest(u64::MAX)), (None, None));
    let longer = [&image.table[..], &[0; 32]].concat();
    for wrong in [&image.table[..31], &longer, &[]] {
        assert_eq!(ChunkTable::verify(&header, wrong, &mut CheapCrypto).err(), Some(R::ChunkTableMismatch));
    }
    let slot_size = 1 << 20;
    let large = large_image(1, Region::Slot(Slot::A));
    let expect = Expectations { slot_size, ..EXPECT };
    let header = Header::verify(large.header(), &Settings::new(1).anchor, &expect, &mut CheapCrypto).expect("a good header");
    let table = ChunkTable::verify(&header, &large.table, &mut CheapCrypto).expect("its table");
    assert_eq!((table.count(), table.digest(2).is_some(), table.digest(3)), (3, true, None));
}

#[test]
fn a_table_of_another_length_is_refused_even_where_the_header_pins_it() {
    for len in [0, 31, 33, 64, 96] {
        let table = vec![7; len];
        let pinned = CheapCrypto.digest(&table);
        let image = signed(ImageBuilder::new(1).forge(move |manifest| manifest.chunks = pinned));
        let header = Header::verify(image.header(), &Settings::new(1).anchor, &EXPECT, &mut CheapCrypto).expect("its owner signed it");
        assert_eq!(ChunkTable::verify(&header, &table, &mut CheapCrypto).err(), Some(R::ChunkTableMismatch), "{len} bytes for one chunk");
    }
}

#[test]
fn a_bundle_is_laid_out_as_the_format_says() {
    let layout = BundleLayout::new(1024 + 2 * CHUNK_SIZE + 1);
    assert_eq!((layout.chunks, layout.table_len(), layout.index_len()), (3, 96, 12));
    assert_eq!((bundle::COMPRESSED, bundle::MAX_WINDOW), (0x8000_0000, 1_048_576));
    assert_eq!((BundleLayout::HEADER_AT, BundleLayout::TABLE_AT, layout.index_at(), layout.chunks_at()), (8, 1032, 1128, 1140));
    let plain = |len| index_entry(len, false);
    let index = [plain(CHUNK_SIZE as u32), index_entry(7, true), plain(1)];
    let chunks: Result<Vec<_>, _> = bundle::stored_chunks(layout, index.as_flattened()).collect();
    let expected = [(1140, CHUNK_SIZE as u32, false), (1140 + CHUNK_SIZE, 7, true), (1147 + CHUNK_SIZE, 1, false)];
    assert_eq!(chunks, Ok(expected.map(|(offset, len, compressed)| StoredChunk { offset, len, compressed }).to_vec()));
}

#[test]
fn an_index_says_no_length_that_its_chunk_can_not_have() {
    let of = |entries: &[[u8; 4]]| {
        let layout = BundleLayout::new(1024 + CHUNK_SIZE);
        bundle::stored_chunks(layout, entries.as_flattened()).collect::<Result<Vec<_>, _>>().map(|chunks| chunks.len())
    };
    let largest = 2 * CHUNK_SIZE as u32;
    assert_eq!(of(&[index_entry(CHUNK_SIZE as u32, false)]), Ok(1));
    assert_eq!((of(&[index_entry(1, true)]), of(&[index_entry(largest, true)])), (Ok(1), Ok(1)));
    for wrong in [index_entry(0, true), index_entry(largest + 1, true), index_entry(CHUNK_SIZE as u32 - 1, false), index_entry(0, false)] {
        assert_eq!(of(&[wrong]), Err(R::BundleIndexInvalid));
    }
    let good = index_entry(CHUNK_SIZE as u32, false);
    assert_eq!((of(&[]), of(&[good, good])), (Err(R::BundleIndexInvalid), Err(R::BundleIndexInvalid)));
    let longer = [&good[..], &[0]].concat();
    let chunks = bundle::stored_chunks(BundleLayout::new(1024 + CHUNK_SIZE), &longer).collect::<Vec<_>>();
    assert_eq!(chunks, [Err(R::BundleIndexInvalid)], "a byte that is no entry");
}

#[test]
fn a_bundle_begins_with_its_magic_and_a_whole_header() {
    let bundle = image(1).bundle();
    assert_eq!(bundle::header_bytes(&bundle), Ok(image(1).header()));
    assert_eq!(bundle::header_bytes(&bundle[..1032]), Ok(image(1).header()));
    for (start, rejection) in [(&bundle[..1031], R::BundleLengthWrong), (&bundle[..8], R::BundleLengthWrong), (&bundle[..7], R::WrongBundleMagic)] {
        assert_eq!(bundle::header_bytes(start), Err(rejection));
    }
}

#[test]
fn firmware_with_parts_beside_it_takes_only_what_stands_without_a_kernel() {
    let firmware = || PartDraft::firmware(1, 4096, Place::InPlace, 0);
    for (kind, expected) in [(Kind::Aux(0), Ok(())), (Kind::Initrd, Err(R::PartNeedsKernel)), (Kind::CommandLine, Err(R::PartNeedsKernel))] {
        let beside = PartDraft::new(kind, Place::At(0), vec![1; 64]);
        let manifest = signed(ImageBuilder::new(1).parts(vec![firmware(), beside])).manifest;
        assert_eq!(check_format(&manifest, 1 << 20, 4), expected, "{kind:?}");
    }
}
