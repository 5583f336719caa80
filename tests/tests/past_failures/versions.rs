//! Versions and counters are unsigned over their whole range (wolfBoot compared an unsigned version as a signed number: large ones counted as small).

use twinslot_bootloader::decide::Why;
use twinslot_bootloader::image::manifest::Version;
use twinslot_bootloader::journal::State;
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;
use twinslot_bootloader::storage::Region;
use twinslot_tests::geometry::NOR;
use twinslot_tests::host::{Host, signed};
use twinslot_tests::image::{Image, ImageBuilder};

/// Neighbours around which signed and unsigned order, or a cut to fewer bits, differ.
const COUNTERS: [(u32, u32); 6] =
    [(0, 0x8000_0000), (0x7fff_ffff, 0x8000_0000), (0x7fff_ffff, u32::MAX), (0xffff, 0x1_0000), (0xff, 0x100), (u32::MAX - 1, u32::MAX)];

const fn version(major: u16, minor: u16, patch: u16, build: u32) -> Version {
    Version { major, minor, patch, build }
}

/// Pairs of versions, the lower one first.
const VERSIONS: [(Version, Version); 6] = [
    (version(0x7fff, 0, 0, 0), version(0x8000, 0, 0, 0)),
    (version(1, 0x7fff, 0, 0), version(1, 0x8000, 0, 0)),
    (version(1, 0, 0x7fff, 0), version(1, 0, u16::MAX, 0)),
    (version(1, 0, 0, 0x7fff_ffff), version(1, 0, 0, 0x8000_0000)),
    (version(1, u16::MAX, u16::MAX, u32::MAX), version(2, 0, 0, 0)),
    (version(1, 0, 0, 0xffff), version(1, 0, 0, 0x1_0000)),
];

fn image(seed: u16, version: Version, counter: u32) -> Image {
    signed(ImageBuilder::new(seed).counter(counter).forge(move |manifest| manifest.version = version))
}

/// The slot that a host without a journal tries first.
fn first_after_a_loss(a: &Image, b: &Image) -> Slot {
    let mut host = Host::<4, 4096>::new(NOR);
    host.storage.put(Region::Slot(Slot::A), &a.slot);
    host.storage.put(Region::Slot(Slot::B), &b.slot);
    match host.boot(ResetCause::PowerOn).slot() {
        Some((slot, Why::Trial)) => slot,
        other => panic!("a trial boots: {other:?}"),
    }
}

#[test]
fn versions_and_counters_are_ordered_as_unsigned_numbers_after_a_loss() {
    let plain = version(1, 0, 0, 0);
    for (low, high) in COUNTERS {
        assert_eq!(first_after_a_loss(&image(1, plain, low), &image(2, plain, high)), Slot::B, "counter {high:#x} goes before {low:#x}");
        assert_eq!(first_after_a_loss(&image(1, plain, high), &image(2, plain, low)), Slot::A, "counter {high:#x} goes before {low:#x}");
    }
    for (low, high) in VERSIONS {
        assert_eq!(first_after_a_loss(&image(1, low, 5), &image(2, high, 5)), Slot::A, "version {low} goes before {high}");
        assert_eq!(first_after_a_loss(&image(1, high, 5), &image(2, low, 5)), Slot::B, "version {low} goes before {high}");
    }
}

#[test]
fn a_floor_refuses_every_lower_counter_as_an_unsigned_number() {
    let plain = version(1, 0, 0, 0);
    for (low, high) in COUNTERS {
        let mut host = Host::<4, 4096>::running(NOR, &image(1, plain, high));
        let state = host.state().expect("a journal");
        host.set_state(&State { floor: high, ..state });
        assert_eq!(host.boot(ResetCause::PowerOn).slot(), Some((Slot::A, Why::Confirmed)), "an image at the floor {high:#x} boots");
        assert_eq!(host.install(&image(2, plain, low)), Err(Rejection::BelowFloor.into()), "{low:#x} is below the floor {high:#x}");
        assert_eq!(host.install(&image(2, plain, high)), Ok(()), "{high:#x} is not");
    }
}
