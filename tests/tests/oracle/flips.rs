//! A single changed bit is never believed: not in what is signed, not in a signature, not in a part, not in a journal record. Every bit of one image,
//! its gaps included, and every bit of some records; whole journals are in `journal_flips`.

use std::collections::BTreeMap;

use twinslot_bootloader::crypto::{Builtin, Crypto};
use twinslot_bootloader::image::chunks::ChunkTable;
use twinslot_bootloader::image::manifest::{Kind, Place};
use twinslot_bootloader::image::{HEADER_SIZE, SIGNED_SIZE, SlotUse};
use twinslot_bootloader::journal::{Journal, Policy, RECORD_SIZE, Record, State};
use twinslot_bootloader::load::{LoadError, load};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::board::{LinuxMemory, RAM_BASE, SimMemory};
use twinslot_tests::geometry::NOR;
use twinslot_tests::image::{Image, ImageBuilder, PRODUCT, PartDraft, Signer, Stored, kernel};
use twinslot_tests::random::Random;
use twinslot_tests::storage::SimStorage;

use crate::case::{World, judge_header};
use crate::headers::{ENTRY, seal};
use crate::{records, wire};

fn linux_world() -> World {
    World {
        keys: vec![Signer::ed25519(1).public(), Signer::ed25519(2).public()],
        threshold: 1,
        trust_floor: 0,
        product: PRODUCT.to_owned(),
        hardware: 0,
        slot_use: SlotUse::Slot(Slot::A),
        slot_size: 1 << 20,
        write_size: 512,
        floor: 0,
        revoked: Vec::new(),
    }
}

/// Small enough that every bit of it can be tried.
fn linux_image() -> Image {
    let parts = vec![
        PartDraft::new(Kind::Kernel, Place::Auto, kernel(640, 0, 640)),
        PartDraft::new(Kind::Initrd, Place::Auto, Random::new(2).bytes(400)),
        PartDraft::new(Kind::CommandLine, Place::Auto, b"console=ttyS0 quiet".to_vec()),
        PartDraft::new(Kind::Aux(3), Place::At(RAM_BASE + (8 << 20)), vec![0x5a; 100]),
    ];
    ImageBuilder::new(1).parts(parts).align(1024).signer(Signer::ed25519(1)).build(&mut Builtin)
}

const fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn any_changed_bit_of_the_signed_bytes_is_refused_even_under_a_right_crc() {
    let (world, image) = (linux_world(), linux_image());
    let body_end = 16 + usize::from(u16::from_le_bytes([image.header()[12], image.header()[13]]));
    assert!(judge_header(&world, image.header()).is_ok());
    for bit in 0..SIGNED_SIZE * 8 {
        let mut header: [u8; HEADER_SIZE] = *image.header();
        flip(&mut header, bit);
        seal(&mut header);
        let refusal = judge_header(&world, &header).expect_err("a refusal");
        let expected = match bit / 8 {
            0..8 => vec![Rejection::WrongMagic],
            8..10 => vec![Rejection::WrongFormatVersion],
            10 => vec![Rejection::WrongHeaderSize],
            11 => vec![Rejection::ReservedByteSet],
            12..16 => vec![Rejection::BodyLengthOutOfRange, Rejection::NonZeroPadding, Rejection::BadSignature],
            byte if byte < body_end => vec![Rejection::BadSignature],
            _ => vec![Rejection::NonZeroPadding],
        };
        assert!(expected.contains(&refusal), "bit {bit}: {refusal:?}");
    }
}

/// The list of signatures is not signed: one more entry of an unknown key does no harm. Nothing else of it may change.
#[test]
fn any_changed_bit_behind_the_signed_bytes_is_refused_or_does_no_harm() {
    let (world, image) = (linux_world(), linux_image());
    let first_blank = (SIGNED_SIZE + ENTRY) * 8;
    let crc = (HEADER_SIZE - 4) * 8;
    let (mut harmless, mut refusals) = (0, BTreeMap::new());
    for bit in SIGNED_SIZE * 8..HEADER_SIZE * 8 {
        let mut header: [u8; HEADER_SIZE] = *image.header();
        flip(&mut header, bit);
        if bit < crc {
            seal(&mut header);
        }
        match judge_header(&world, &header) {
            Err(refusal) => *refusals.entry(refusal).or_insert(0) += 1,
            Ok(header) => {
                assert!((first_blank..first_blank + ENTRY * 8).contains(&bit), "bit {bit} is accepted");
                assert_eq!((header.manifest(), header.digest()), (&image.manifest, &image.digest), "bit {bit}");
                harmless += 1;
            }
        }
    }
    // An entry that is not of the key has no valid signature beside it; one whose signature is another is bad.
    let expected = [
        (Rejection::CrcMismatch, 32),
        (Rejection::EntryAfterEnd, 2 * ENTRY * 8),
        (Rejection::BadSignature, 64 * 8),
        (Rejection::TooFewSignatures, 8 * 8),
    ];
    assert_eq!((harmless, refusals), (ENTRY * 8, BTreeMap::from(expected)));
}

#[test]
fn any_changed_bit_of_a_part_is_refused() {
    let image = linux_image();
    let Ok(header) = judge_header(&linux_world(), image.header()) else { panic!("the image is good") };
    let mut memory = LinuxMemory(SimMemory::new(16 << 20, 1024));
    let mut loads = |slot: &[u8]| load(&header, Region::Slot(Slot::A), &mut Stored(slot), &mut memory, &mut Builtin).map(|_| ());
    assert_eq!(loads(&image.slot), Ok(()));
    let mut slot = image.slot.clone();
    let mut tried = 0;
    for part in &image.manifest.parts {
        let (first, bits) = (part.offset as usize * 8, part.len as usize * 8);
        for bit in 0..bits {
            flip(&mut slot, first + bit);
            let refusal = loads(&slot);
            flip(&mut slot, first + bit);
            let by_header = part.kind == Kind::Kernel && bit < 64 * 8 && matches!(refusal, Err(LoadError::Refused(_)));
            assert!(by_header || refusal == Err(LoadError::Refused(Rejection::DigestMismatch)), "{:?}, bit {bit}: {refusal:?}", part.kind);
            tried += 1;
        }
    }
    assert_eq!(tried, (640 + 400 + 19 + 100) * 8);
}

/// Also in the gaps between parts, which a loader does not read and an installer writes.
#[test]
fn any_changed_bit_of_a_chunk_is_not_what_the_header_pins() {
    let image = linux_image();
    let Ok(header) = judge_header(&linux_world(), image.header()) else { panic!("the image is good") };
    let table = ChunkTable::verify(&header, &image.table, &mut Builtin).expect("the image's own table");
    let mut chunk = image.chunk(0).to_vec();
    assert_eq!((image.chunk_count(), table.digest(0)), (1, Some(&Builtin.digest(&chunk))));
    for bit in 0..chunk.len() * 8 {
        flip(&mut chunk, bit);
        assert_ne!(table.digest(0), Some(&Builtin.digest(&chunk)), "bit {bit}");
        flip(&mut chunk, bit);
    }
    for bit in 0..image.table.len() * 8 {
        let mut changed = image.table.clone();
        flip(&mut changed, bit);
        assert_eq!(ChunkTable::verify(&header, &changed, &mut Builtin).err(), Some(Rejection::ChunkTableMismatch), "bit {bit}");
    }
}

#[test]
fn any_changed_bit_of_a_record_makes_it_torn() {
    let mut random = Random::new(6);
    for sequence in 1..=40 {
        let state = records::possible(&Policy::DEFAULT, &mut random);
        let good = records::record(sequence, &wire::state(&state));
        assert_eq!(Record::decode(&good, &Policy::DEFAULT), Some(Record { sequence, state }));
        for bit in 0..RECORD_SIZE * 8 {
            let mut torn = good.clone();
            flip(&mut torn[..], bit);
            assert_eq!(Record::decode(&torn, &Policy::DEFAULT), None, "bit {bit} of {state:?}");
        }
    }
}

#[test]
fn a_changed_bit_of_the_newest_records_yields_the_state_before_and_never_another() {
    let mut random = Random::new(7);
    let [before, newest] = [5, 6].map(|sequence| (sequence, records::possible(&Policy::DEFAULT, &mut random)));
    let bytes = |(sequence, state): &(u64, State)| records::record(*sequence, &wire::state(state));
    for bit in 0..RECORD_SIZE * 8 {
        let mut torn = bytes(&newest);
        flip(&mut torn[..], bit);
        let one = open(&[&bytes(&before)[..], &torn[..]], &[&bytes(&before)[..], &bytes(&newest)[..]]);
        assert_eq!((one.state(), one.is_clean()), (Some(&newest.1), false), "bit {bit} in one log");
        let both = open(&[&bytes(&before)[..], &torn[..]], &[&bytes(&before)[..], &torn[..]]);
        assert_eq!((both.state(), both.is_clean()), (Some(&before.1), false), "bit {bit} in both logs");
        assert!(both.next_sequence() > newest.0, "bit {bit}: the next record is newer than every one that was begun");
        let lost = open(&[&torn[..]], &[&torn[..]]);
        assert_eq!(lost.state(), None, "bit {bit}, and nothing before");
    }
}

fn open(first: &[&[u8]], second: &[&[u8]]) -> Journal {
    let mut storage = SimStorage::<4, 4096>::new(NOR);
    storage.put(Region::Log0, &first.concat());
    storage.put(Region::Log1, &second.concat());
    Journal::open(&mut storage, &Policy::DEFAULT)
}
