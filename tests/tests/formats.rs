//! Frozen bytes and codes, and formats against arbitrary bytes.

use std::fs;
use std::path::{Path, PathBuf};

use twinslot_bootloader::crypto::Builtin;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::{Booted, HANDOFF_SIZE, Handoff, HandoffError, Reads, Verdict};
use twinslot_bootloader::image::manifest::{Extra, Kind, Place, SlotRule, Version};
use twinslot_bootloader::image::{HEADER_SIZE, HeaderBytes};
use twinslot_bootloader::install::Refusal;
use twinslot_bootloader::journal::{Phase, Policy, Record, Revert, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_tests::fuzzing::TARGETS;
use twinslot_tests::image::{Image, ImageBuilder, PartDraft, Signer};
use twinslot_tests::random::Random;

/// Bytes that lie on hosts in the field. If this test fails, do not change the test, nor the file: raise the format's version.
fn assert_golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/golden").join(name);
    let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(golden == bytes, "{name}: the encoding has changed");
}

/// An image that uses every field of the manifest.
fn golden_image() -> Image {
    let firmware = PartDraft::firmware(1, 300, Place::At(0x2000_0000), 0x2000_0000);
    let aux = PartDraft::new(Kind::Aux(200), Place::InPlace, b"auxiliary".to_vec());
    ImageBuilder::new(1)
        .parts(vec![firmware, aux])
        .align(1024)
        .revoke(&[[0xaa; 8]])
        .counter(300)
        .signer(Signer::ed25519(1))
        .signer(Signer::ed25519(2))
        .forge(|manifest| {
            manifest.hw = 0x8000_0001;
            manifest.version = Version { major: 1, minor: 200, patch: 40_000, build: 3_000_000_000 };
            manifest.slot = SlotRule::B;
            manifest.created = (1 << 48) - 1;
            manifest.min_loader = 1;
            let extra = Extra { tag: 513, data: heapless::Vec::from_slice(b"x").expect("room") };
            manifest.extra.push(extra).expect("room");
        })
        .build(&mut Builtin)
}

fn golden_state() -> State {
    let mut state = State::new(300);
    state.preferred = Slot::B;
    state.slots.a = SlotState::confirmed([0xa1; 16]);
    state.slots.b = SlotState { attempts_left: 2, boots_left: 9, reason: Reason::Watchdog, ..SlotState::trial([0xb2; 16], &Policy::DEFAULT) };
    state.in_flight = Some(Slot::B);
    for number in 1..=6 {
        state.revoked.insert([number; 8]).expect("room");
    }
    state.last_revert = Some(Revert { slot: Slot::A, reason: Reason::Refused(Rejection::DigestMismatch), sequence: (1 << 48) - 2 });
    state
}

fn golden_handoff() -> Handoff {
    Handoff {
        loader_version: 1,
        reads: Reads { header: 1, journal: 1, keys: (1..=8).map(|number| [number; 8]).collect() },
        booted: Booted::Slot(Slot::B),
        phase: Phase::Trial,
        attempts_left: 2,
        why: Why::Trial,
        verdicts: BySlot { a: Verdict::Refused(Reason::Refused(Rejection::BelowFloor)), b: Verdict::Verified },
        last_revert: golden_state().last_revert,
        reset_cause: ResetCause::Watchdog,
        halt_reason: Reason::None,
        digest: [0xd1; 32],
        layout: [0x1a; 32],
        marks: [1, 200, 70_000, u32::MAX],
    }
}

#[test]
fn header_and_bundle_version_1_keep_their_bytes() {
    let image = golden_image();
    assert_golden("header-v1.bin", image.header());
    assert_golden("bundle-v1.bin", &image.bundle());
    let framed = HeaderBytes::parse(image.header()).expect("a header");
    assert_eq!(framed.unverified_manifest(), Ok(image.manifest.clone()));
}

#[test]
fn journal_layout_1_keeps_its_bytes() {
    let record = Record { sequence: (1 << 48) - 1, state: golden_state() };
    let bytes = record.encode().expect("the largest state fits");
    assert_golden("record-v1.bin", &bytes);
    assert_eq!(Record::decode(&bytes, &Policy::DEFAULT), Some(record));
}

#[test]
fn handoff_version_1_keeps_its_bytes() {
    let mut bytes = [0; HANDOFF_SIZE];
    golden_handoff().encode(&mut bytes);
    assert_golden("handoff-v1.bin", &bytes);
    assert_eq!(Handoff::decode(&bytes), Ok(golden_handoff()));
}

/// The refusals of the codes from 1 on. If a test of it fails, do not change the list: it only grows, at its end.
const REJECTIONS: &str = "
    WrongMagic WrongFormatVersion WrongHeaderSize ReservedByteSet BodyLengthOutOfRange NonZeroPadding CrcMismatch EntryAfterEnd RepeatedKeyId
    BadSignature TooFewSignatures BodyMalformed BodyLeftOver BodyNotCanonical NumberTooLarge UnknownRequirement NoBootablePart FirmwareAndKernel
    RepeatedPart PartNeedsKernel WrongCheck LoaderPartReserved UnsupportedEncoding PartsOverlap PartMisaligned PartOutsideSlot MemoryTooSmall
    EntryOutsidePart WrongPlacement VectorTableMisaligned ForbiddenCommandLine CommandLineTooLong RootHashNotSigned WrongProduct WrongHardware
    WrongSlot LoaderTooOld BelowFloor TooFewKeysLeft RangeConflict RangeOutsideRam DigestMismatch ChunkTableMismatch ChunkMismatch
    KernelClaimsMore WrongKernel Unreadable Overflow WrongBundleMagic BundleIndexInvalid BundleLengthWrong UnsupportedChunkEncoding
    TooManyRevocations NotTheArmedImage UnusableDeviceTree
";

#[test]
fn rejection_codes_are_stable() {
    for (code, name) in (1..).zip(REJECTIONS.split_whitespace()) {
        assert_eq!(Rejection::from_code(code).map(Rejection::name), Some(name), "code {code}");
    }
    assert!(Rejection::ALL.len() >= 54 && REJECTIONS.split_whitespace().count() >= 54);
    for rejection in Rejection::ALL.iter().copied() {
        assert_eq!(Rejection::from_code(rejection.code()), Some(rejection));
        assert!((1..100).contains(&rejection.code()));
        assert!(!rejection.text().is_empty() && !rejection.text().starts_with(char::is_uppercase));
    }
}

/// If this test fails, do not change the test: codes are stable and append-only.
#[test]
fn reason_codes_are_stable() {
    let reasons = [
        (0, Reason::None),
        (42, Reason::Refused(Rejection::DigestMismatch)),
        (100, Reason::Watchdog),
        (101, Reason::SoftwareReset),
        (102, Reason::Fault),
        (103, Reason::UnknownReset),
        (104, Reason::BootsUsedUp),
        (105, Reason::HealthCheck),
        (106, Reason::Condemned),
        (107, Reason::Operator),
        (108, Reason::ReadError),
    ];
    for (code, reason) in reasons {
        assert_eq!((reason.code(), Reason::from_code(code)), (code, reason));
    }
}

/// If this test fails, do not change the test: codes are stable and append-only.
#[test]
fn refusal_codes_are_stable() {
    let refusals = [
        (38, Refusal::Image(Rejection::BelowFloor)),
        (128, Refusal::WrongLayout),
        (129, Refusal::LoaderReadsOtherFormats),
        (130, Refusal::LoaderLacksKeys),
        (131, Refusal::JournalLost),
        (132, Refusal::NotTheTrial),
        (133, Refusal::TrialPending),
        (134, Refusal::RunningSlot),
        (135, Refusal::OnlyConfirmedSlot),
        (136, Refusal::NoOtherImage),
        (137, Refusal::NotConfirmed),
        (138, Refusal::Incomplete),
        (139, Refusal::OnlyOffline),
    ];
    for (code, refusal) in refusals {
        assert_eq!(refusal.code(), code, "{refusal:?}");
        assert!(!refusal.text().starts_with(char::is_uppercase));
    }
}

#[test]
fn a_damaged_handoff_is_refused_by_name() {
    let mut good = [0; HANDOFF_SIZE];
    golden_handoff().encode(&mut good);
    for bit in 0..HANDOFF_SIZE * 8 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let expected = if bit < 64 { HandoffError::WrongMagic } else { HandoffError::CrcMismatch };
        assert_eq!(Handoff::decode(&bytes), Err(expected), "bit {bit}");
    }
    assert_eq!(Handoff::decode(&[0; HANDOFF_SIZE]), Err(HandoffError::WrongMagic));
    assert_eq!(Handoff::decode(&[0xff; HANDOFF_SIZE]), Err(HandoffError::WrongMagic));
    let resealed = |change: &dyn Fn(&mut [u8; HANDOFF_SIZE])| {
        let mut bytes = good;
        change(&mut bytes);
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[..HANDOFF_SIZE - 4]);
        bytes[HANDOFF_SIZE - 4..].copy_from_slice(&crc.to_le_bytes());
        Handoff::decode(&bytes)
    };
    assert_eq!(resealed(&|bytes| bytes[8] = 2), Err(HandoffError::WrongVersion(2)));
    assert_eq!(resealed(&|bytes| bytes[10] += 1), Err(HandoffError::Malformed), "a byte left over");
    assert_eq!(resealed(&|bytes| bytes[11] = 0xff), Err(HandoffError::Malformed), "a body that does not end");
    assert_eq!(resealed(&|bytes| bytes[HANDOFF_SIZE - 5] = 1), Err(HandoffError::Malformed), "padding");
}

#[test]
fn any_changed_bit_of_a_header_is_refused() {
    let image = golden_image();
    for bit in 0..HEADER_SIZE * 8 {
        let mut bytes = *image.header();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(HeaderBytes::parse(&bytes).is_err(), "bit {bit}");
    }
}

/// Mutations that each target gets, spread over its seeds.
const MUTATIONS: usize = 2_000;

/// The repository's own files that are seeds as they are: folders, and how their names begin.
const REAL_FILES: [(&str, &str, &str); 5] = [
    ("layout", "qemu-boards/mps2-an386", "layout"),
    ("layout", "qemu-boards/mps2-an505", "layout"),
    ("layout", "agent/tests", "layout"),
    ("trust", "qemu-boards/test-keys", "trust"),
    ("trust", "qemu-boards/test-keys", "key-1.key"),
];

/// The committed seeds of a target, and the real files of its format.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths = files(&root.join("fuzz/corpus").join(target), "");
    for (_, folder, beginning) in REAL_FILES.iter().filter(|(name, ..)| *name == target) {
        let found = files(&root.join(folder), beginning);
        assert!(!found.is_empty(), "{folder} has no {beginning}*");
        paths.extend(found);
    }
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("a readable seed"))).collect()
}

fn files(folder: &Path, beginning: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let all = entries.map(|entry| entry.expect("a readable folder"));
    let mut paths: Vec<PathBuf> = all.filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning)).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_fuzz_target_holds_on_its_corpus_and_on_mutations_of_it() {
    for (name, target) in TARGETS {
        let seeds = corpus(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        let mut random = Random::new(seeds.len() as u64);
        for (path, seed) in &seeds {
            println!("{}", path.display());
            target(seed);
            for _ in 0..MUTATIONS / seeds.len() {
                target(&mutated(seed, &mut random));
            }
        }
        for length in [0, 1, 7, 8, 127, 128, 512, 1024, 1032, 5_000] {
            target(&random.bytes(length));
        }
    }
}

/// A few bytes replaced, inserted, removed or repeated.
fn mutated(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = random.below(bytes.len() as u64) as usize;
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.byte(),
            2 => bytes.insert(at, [0, 0x7f, 0x80, 0xff][random.below(4) as usize]),
            3 => drop(bytes.remove(at)),
            4 => bytes[at] = bytes[at].wrapping_add(1),
            _ => bytes[at] |= 0x80,
        }
    }
    bytes
}
