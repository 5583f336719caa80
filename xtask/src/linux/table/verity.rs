//! The situations of a root file system behind dm-verity.

use twinslot_bootloader::image::manifest::Kind;

use super::{Between, Disk, GOOD, Image, Next, ORDINARY, Scenario};
use crate::linux::disk::{Change, Slot};
use crate::linux::initramfs::Userspace;
use crate::linux::machine::End;
use crate::linux::root;

const ROOTED: Image = Image { userspace: Userspace::SwitchesRoot, ..GOOD };
const NEXT: Image = Image { version: "2.0.0", ..ROOTED };

/// A block in the middle of the file system's data, and the topmost block of the hash tree, which every other block hangs on.
const DATA: u64 = root::SIZE / 2;
const HASH_TREE: u64 = root::SIZE;

/// How the kernel's lines about a broken block begin.
const KERNEL_REFUSES: &str = "device-mapper: verity: ";

/// What the root file system of a slot shows when it runs. The part is mapped on the slot's partition, so that the others can still be mounted.
const fn runs(slot: Slot) -> [&'static str; 5] {
    let partition = match slot {
        Slot::A => "root: part on vda2",
        Slot::B => "root: part on vda3",
    };
    ["init: mapped /dev/dm-1", "root: mounted /dev/dm-1 / ext4 ro,", "root: device twinslot-root read-only 1", partition, "root: done"]
}

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![boots(), unprinted(), trial_is_reverted(), confirmed_is_condemned(), only_confirmed_stays()]
}

fn boots() -> Scenario {
    let disk = Disk { a: Some(ROOTED), b: None, confirmed: &[Slot::A], trial: None };
    let expected = ["twinslot: boot slot=a why=confirmed"].into_iter().chain(runs(Slot::A)).collect();
    Scenario {
        name: "verity-boot",
        disk: Some(disk),
        changes: vec![],
        hardware: ORDINARY,
        expected,
        forbidden: vec!["init: root file system"],
        end: End::Off,
        then: vec![],
    }
}

/// A device that is there is not told as a failure, and whoever reads standard error learns its name.
fn unprinted() -> Scenario {
    let image = Image { userspace: Userspace::MapsUnprinted, ..ROOTED };
    Scenario {
        name: "verity-unprinted",
        disk: Some(Disk { a: Some(image), b: None, confirmed: &[Slot::A], trial: None }),
        changes: vec![],
        hardware: ORDINARY,
        expected: vec![
            "twinslot: boot slot=a why=confirmed",
            "twinslot-agent: it is done, but the answer can not be printed: No space left on device",
            "/dev/dm-1",
            "init: map-root ends with 3",
            "init: mapped twinslot-root",
        ],
        forbidden: vec![],
        end: End::Off,
        then: vec![],
    }
}

/// The verdict is the initramfs's: one boot is enough, where a hang takes three.
fn trial_is_reverted() -> Scenario {
    let expected = [
        "twinslot: boot slot=b why=trial",
        KERNEL_REFUSES,
        "init: root file system is broken: it can not be read",
        "slot b: rejected, image ",
        "init: gave up: revert",
        "twinslot: boot slot=a why=confirmed",
        "init: twinslot,last-revert-reason=",
        "init: twinslot,last-revert-slot=b",
    ];
    Scenario {
        name: "verity-trial",
        disk: Some(Disk { a: Some(ROOTED), b: Some(NEXT), confirmed: &[Slot::A], trial: Some(Slot::B) }),
        changes: vec![Change::FlipPart(Slot::B, Kind::RootFs, DATA)],
        hardware: ORDINARY,
        expected: expected.into_iter().chain(runs(Slot::A)).collect(),
        forbidden: vec!["twinslot-agent: "],
        end: End::Off,
        then: vec![],
    }
}

fn confirmed_is_condemned() -> Scenario {
    let expected = [
        "twinslot: boot slot=a why=confirmed",
        KERNEL_REFUSES,
        "init: root file system is broken: it can not be read",
        "slot a: rejected, image ",
        "slot b: confirmed, preferred, image ",
        "init: gave up: condemn",
        "twinslot: boot slot=b why=confirmed",
        "init: twinslot,last-revert-reason=",
        "init: twinslot,last-revert-slot=a",
    ];
    Scenario {
        name: "verity-condemn",
        disk: Some(Disk { a: Some(ROOTED), b: Some(NEXT), confirmed: &[Slot::A, Slot::B], trial: None }),
        changes: vec![Change::FlipPart(Slot::A, Kind::RootFs, HASH_TREE)],
        hardware: ORDINARY,
        expected: expected.into_iter().chain(runs(Slot::B)).collect(),
        forbidden: vec!["twinslot-agent: "],
        end: End::Off,
        then: vec![],
    }
}

/// The other slot holds a good image, but nobody has confirmed it: the journal stays as it is, and so does what the next boot does.
fn only_confirmed_stays() -> Scenario {
    let expected = vec![
        "twinslot: boot slot=a why=confirmed",
        KERNEL_REFUSES,
        "init: root file system is broken: it can not be read",
        "twinslot-agent: refused: code=135 the slot holds the only confirmed image",
        "init: stays, no condemn",
        "slot a: confirmed, preferred, image ",
    ];
    let forbidden = vec!["init: gave up", "twinslot: boot slot=b", "root: "];
    Scenario {
        name: "verity-only-confirmed",
        disk: Some(Disk { a: Some(ROOTED), b: Some(NEXT), confirmed: &[Slot::A], trial: None }),
        changes: vec![Change::FlipPart(Slot::A, Kind::RootFs, DATA)],
        hardware: ORDINARY,
        expected: expected.clone(),
        forbidden: forbidden.clone(),
        end: End::Off,
        then: vec![Next { before: Between::Nothing, expected, forbidden, end: End::Off }],
    }
}
