//! What the format accepts: where parts may lie and which kinds may run where, and that every choice of a manifest is read as it was written.

use twinslot_bootloader::image::bundle::{COMPRESSED, index_entry};
use twinslot_bootloader::image::draft::unsigned_header;
use twinslot_bootloader::image::manifest::{Check, Encoding, Extra, Kind, Manifest, Place, SlotRule};
use twinslot_bootloader::image::{HeaderBytes, SIGNED_SIZE, check_format};
use twinslot_bootloader::rejection::Rejection as R;
use twinslot_tests::host::{image, signed};
use twinslot_tests::image::{ImageBuilder, PartDraft, kernel};

use crate::forge::seal;

fn laid_out(align: u64, parts: Vec<PartDraft>) -> Manifest {
    signed(ImageBuilder::new(1).align(align).parts(parts)).manifest
}

#[test]
fn parts_may_touch_the_header_each_other_and_the_end_of_the_slot() {
    let firmware = PartDraft::firmware(1, 1024, Place::InPlace, 0);
    let manifest = laid_out(1024, vec![firmware, PartDraft::new(Kind::Aux(1), Place::InPlace, vec![1; 1000])]);
    let end = 3 * 1024 - 24;
    assert_eq!((manifest.parts[0].offset, manifest.image_len()), (1024, Some(end)));
    assert_eq!(check_format(&manifest, end, 4), Ok(()));
    assert_eq!(check_format(&manifest, end - 1, 4), Err(R::PartOutsideSlot));
}

#[test]
fn parts_start_where_a_write_can_start() {
    for (offset, write_size, expected) in
        [(2048, 2048, Ok(())), (3072, 2048, Err(R::PartMisaligned)), (3072, 512, Ok(())), (1536, 512, Err(R::PartMisaligned))]
    {
        let mut manifest = image(1).manifest;
        manifest.parts[0].offset = offset;
        assert_eq!(check_format(&manifest, 1 << 20, write_size), expected, "{offset} on a flash that writes {write_size} bytes");
    }
}

/// Which of in place, at an address and where the loader likes a kind may run.
fn allowed(kind: Kind) -> [bool; 3] {
    match kind {
        Kind::Firmware | Kind::Aux(_) => [true, true, false],
        Kind::Kernel | Kind::Initrd | Kind::DeviceTree => [false, true, true],
        Kind::CommandLine => [true, true, true],
        Kind::RootFs | Kind::Loader => [true, false, false],
    }
}

#[test]
fn each_kind_runs_only_where_the_format_lets_it() {
    let of = |kind, place| PartDraft::new(kind, place, kernel(4096, 0, 4096));
    for kind in [Kind::Firmware, Kind::Kernel, Kind::Initrd, Kind::DeviceTree, Kind::CommandLine, Kind::RootFs, Kind::Aux(7)] {
        for (place, allowed) in [Place::InPlace, Place::At(4096), Place::Auto].into_iter().zip(allowed(kind)) {
            let mut parts = vec![of(kind, place)];
            if !matches!(kind, Kind::Firmware | Kind::Kernel) {
                parts.insert(0, of(Kind::Kernel, Place::Auto));
            }
            if kind == Kind::RootFs {
                parts.push(of(Kind::CommandLine, Place::Auto));
            }
            let expected = if allowed { Ok(()) } else { Err(R::WrongPlacement) };
            assert_eq!(check_format(&laid_out(4096, parts), 1 << 20, 512), expected, "{kind:?} {place:?}");
        }
    }
}

#[test]
fn every_choice_of_a_manifest_is_read_as_it_was_written() {
    let base = image(1).manifest;
    let is_read_back = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = base.clone();
        change(&mut manifest);
        let header = unsigned_header(&manifest).expect("it fits");
        assert_eq!(HeaderBytes::parse(&header).and_then(|framed| framed.unverified_manifest()), Ok(manifest));
    };
    for slot in [SlotRule::Any, SlotRule::A, SlotRule::B] {
        is_read_back(&|manifest| manifest.slot = slot);
    }
    let kinds =
        [Kind::Firmware, Kind::Kernel, Kind::Initrd, Kind::DeviceTree, Kind::CommandLine, Kind::RootFs, Kind::Aux(0), Kind::Aux(255), Kind::Loader];
    for kind in kinds {
        is_read_back(&|manifest| manifest.parts[0].kind = kind);
    }
    for place in [Place::InPlace, Place::At(0), Place::At((1 << 48) - 1), Place::Auto] {
        is_read_back(&|manifest| manifest.parts[0].place = place);
    }
    for encoding in [Encoding::Plain, Encoding::Lz4, Encoding::Zstd, Encoding::Aes] {
        is_read_back(&|manifest| manifest.parts[0].encoding = encoding);
    }
    for check in [Check::AtBoot, Check::ByOs] {
        is_read_back(&|manifest| manifest.parts[0].check = check);
    }
    for len in [0, 1, 32] {
        let extra = Extra { tag: 513, data: (0..len).collect() };
        is_read_back(&|manifest| manifest.extra.push(extra.clone()).expect("room"));
    }
}

#[test]
fn a_body_has_1_to_716_bytes() {
    for (len, expected) in [(0, Err(R::BodyLengthOutOfRange)), (1, Ok(())), (716, Ok(())), (717, Err(R::BodyLengthOutOfRange))] {
        let mut header = *image(1).header();
        header[12..16].copy_from_slice(&u32::to_le_bytes(len));
        header[16..SIGNED_SIZE].fill(0);
        seal(&mut header);
        assert_eq!(HeaderBytes::parse(&header).map(|_| ()), expected, "{len} bytes");
    }
}

#[test]
fn an_index_entry_says_that_its_chunk_is_compressed_whatever_its_length() {
    for len in [0, 1, COMPRESSED - 1, COMPRESSED, u32::MAX] {
        assert_eq!(index_entry(len, true), (len | COMPRESSED).to_le_bytes());
    }
}
