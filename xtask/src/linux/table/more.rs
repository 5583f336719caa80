//! Situations of more than one power-on, images that the owner signed and no loader may start, and what else a machine can have.

use twinslot_bootloader::image::manifest::Kind;

use super::{BOTH, Between, Disk, GOOD, Image, NEXT, Next, ORDINARY, Scenario};
use crate::linux::disk::{Change, Slot};
use crate::linux::forge::Forgery;
use crate::linux::initramfs::{Tree, Userspace};
use crate::linux::machine::{Company, End, Hardware};
use crate::linux::probe::RUNS;

/// Images without Linux: a kernel that says that it runs.
const PROBE: Image = Image { userspace: Userspace::None, ..GOOD };
const PROBES: Disk = Disk { a: Some(PROBE), b: Some(Image { version: "2.0.0", ..PROBE }), confirmed: &[Slot::A, Slot::B], trial: None };

/// Disks on which nothing was ever written.
const EMPTY: Disk = Disk { a: None, b: None, confirmed: &[], trial: None };

/// A trial in slot B beside a confirmed slot A.
const TRIAL: Disk = Disk { trial: Some(Slot::B), ..BOTH };

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = vec![confirmed_trial(), cut_trial(), signed_tree(), named_disk(), nameless_disks(), small_disk()];
    all.extend(ambiguous_trees());
    all.extend(watchdog_drivers());
    all.extend(damaged_parts());
    all.extend(refused());
    all
}

/// What lies on the disk in front of its end is started all the same, and the reason stands in the log.
fn small_disk() -> Scenario {
    Scenario {
        name: "disk-too-small",
        disk: Some(Disk { b: None, confirmed: &[Slot::A], ..PROBES }),
        changes: vec![Change::EndIn(Slot::B)],
        hardware: ORDINARY,
        expected: vec!["twinslot: the disk ends before the layout does", "twinslot: boot slot=a why=confirmed", RUNS],
        forbidden: vec![],
        end: End::Off,
        then: vec![],
    }
}

/// A trial that is confirmed is what starts from then on.
fn confirmed_trial() -> Scenario {
    Scenario {
        name: "trial-confirmed",
        disk: Some(TRIAL),
        changes: vec![],
        hardware: ORDINARY,
        expected: vec![
            "twinslot: examined slot=b verified",
            "twinslot: watchdog armed",
            "twinslot: boot slot=b why=trial",
            "init: twinslot,attempts-left=00000003",
            "init: twinslot,phase=trial",
            "init: twinslot,slot=b",
            "init: done",
        ],
        forbidden: vec!["twinslot: boot slot=a"],
        end: End::Off,
        then: vec![Next {
            before: Between::Confirm(Slot::B),
            expected: vec![
                "twinslot: loader 1 on {board}, reset=power-on",
                "twinslot: boot slot=b why=confirmed",
                "init: twinslot,phase=confirmed",
                "init: twinslot,slot=b",
                "init: done",
            ],
            forbidden: vec!["twinslot: journal", "twinslot: watchdog", "twinslot: boot slot=a", "twinslot: revert"],
            end: End::Off,
        }],
    }
}

/// A power cut says nothing about a trial: it goes on with as many attempts.
fn cut_trial() -> Scenario {
    const STARTS: &str = "twinslot: boot slot=b why=trial";
    let cut = |at| Next { before: Between::Nothing, expected: vec![CUT_RESET, at], forbidden: vec!["twinslot: revert"], end: End::Cut(at) };
    Scenario {
        name: "trial-power-cut",
        disk: Some(TRIAL),
        changes: vec![],
        hardware: ORDINARY,
        expected: vec![CUT_RESET, STARTS],
        forbidden: vec![],
        end: End::Cut(STARTS),
        then: vec![
            cut("twinslot: journal: committed"),
            cut("init: cmdline"),
            Next {
                before: Between::Nothing,
                expected: vec![CUT_RESET, STARTS, "init: twinslot,attempts-left=00000003", "init: twinslot,phase=trial", "init: done"],
                forbidden: vec!["twinslot: revert", "twinslot: boot slot=a"],
                end: End::Off,
            },
        ],
    }
}

/// How a loader begins after a power cut.
const CUT_RESET: &str = "twinslot: loader 1 on {board}, reset=power-on";

/// The image's own device tree is what Linux gets, with the loader's properties in it, and none that steers Linux beside them.
fn signed_tree() -> Scenario {
    Scenario {
        name: "signed-device-tree",
        disk: Some(Disk { a: Some(Image { tree: Tree::Signed, ..GOOD }), b: None, confirmed: &[Slot::A], trial: None }),
        changes: vec![],
        hardware: ORDINARY,
        expected: vec![
            "twinslot: boot slot=a why=confirmed",
            "init: cmdline console={console} quiet panic=-1 twinslot.slot=a rauc.slot=A",
            "init: model a signed device tree",
            "init: twinslot,slot=a",
            "init: chosen bootargs",
            "init: chosen linux,initrd-end",
            "init: chosen stdout-path",
            "init: done",
        ],
        forbidden: vec!["init: chosen linux,usable-memory-range"],
        end: End::Off,
        then: vec![],
    }
}

/// What the loader can not edit for Linux is refused while another image can still be started.
fn ambiguous_trees() -> Vec<Scenario> {
    const AMBIGUOUS: Image = Image { tree: Tree::Ambiguous, ..GOOD };
    const FAULT: &str = "twinslot: signed tree: the device tree has a second /chosen";
    let trial = Scenario {
        name: "trial-with-ambiguous-tree",
        disk: Some(Disk { b: Some(Image { version: "2.0.0", ..AMBIGUOUS }), ..TRIAL }),
        changes: vec![],
        hardware: ORDINARY,
        expected: vec![
            FAULT,
            "twinslot: examined slot=b refused code=55 UnusableDeviceTree",
            "twinslot: revert slot=b code=55 the device tree is not one that this loader can give to Linux",
            "twinslot: boot slot=a why=confirmed",
            "init: twinslot,last-revert-code=00000037",
            "init: twinslot,last-revert-slot=b",
            "init: twinslot,slot=a",
            "init: done",
        ],
        forbidden: vec!["twinslot: watchdog", "twinslot: boot slot=b", "twinslot: halt"],
        end: End::Off,
        then: vec![],
    };
    let confirmed = Scenario {
        name: "confirmed-with-ambiguous-tree",
        disk: Some(Disk { a: Some(AMBIGUOUS), confirmed: &[Slot::A, Slot::B], ..BOTH }),
        expected: vec![
            FAULT,
            "twinslot: examined slot=a refused code=55 UnusableDeviceTree",
            "twinslot: examined slot=b verified",
            "twinslot: boot slot=b why=fallback",
            "init: twinslot,slot=b",
            "init: twinslot,verdict-a=refused",
            "init: twinslot,verdict-a-code=00000037",
            "init: done",
        ],
        forbidden: vec!["twinslot: journal", "twinslot: boot slot=a", "twinslot: halt"],
        changes: vec![],
        hardware: ORDINARY,
        end: End::Off,
        then: vec![],
    };
    vec![trial, confirmed]
}

fn named_disk() -> Scenario {
    Scenario {
        name: "named-disk-among-others",
        disk: Some(PROBES),
        changes: vec![],
        hardware: Hardware { company: Company::Named, ..ORDINARY },
        expected: vec!["twinslot: examined slot=a verified", "twinslot: boot slot=a why=confirmed", RUNS],
        forbidden: vec!["twinslot: disk", "twinslot: halt"],
        end: End::Off,
        then: vec![],
    }
}

fn nameless_disks() -> Scenario {
    Scenario {
        name: "nameless-disks",
        disk: Some(PROBES),
        changes: vec![],
        hardware: Hardware { company: Company::Nameless, ..ORDINARY },
        expected: vec!["twinslot: halt: there is more than one virtio disk; give the one with the slots the serial number twinslot"],
        forbidden: vec!["twinslot: boot", RUNS],
        end: End::Halt,
        then: vec![],
    }
}

/// The driver of Linux stops the running watchdog when it finds it, and starts it again when somebody opens it.
fn watchdog_drivers() -> Vec<Scenario> {
    let disk = |userspace| Disk { b: Some(Image { userspace, ..NEXT }), ..TRIAL };
    let start = ["twinslot: watchdog armed", "twinslot: boot slot=b why=trial", "init: watchdog driver is loaded and opened"];
    let reset = "twinslot: loader 1 on {board}, reset=watchdog";
    let mut expected: Vec<&str> = [start, start, start].iter().flat_map(|start| start.iter().copied().chain([reset])).collect();
    expected.extend(["twinslot: revert slot=b code=", "twinslot: boot slot=a why=confirmed", "init: twinslot,last-revert-slot=b", "init: done"]);
    vec![
        Scenario {
            name: "watchdog-driver-opened",
            disk: Some(disk(Userspace::OpensWatchdog)),
            changes: vec![],
            hardware: ORDINARY,
            expected,
            forbidden: vec![],
            end: End::Off,
            then: vec![],
        },
        Scenario {
            name: "watchdog-driver-trap",
            disk: Some(disk(Userspace::LoadsWatchdog)),
            changes: vec![],
            hardware: ORDINARY,
            expected: vec![
                "twinslot: watchdog armed, 60 s",
                "twinslot: boot slot=b why=trial",
                "init: watchdog driver is loaded and not opened",
                "init: nothing has reset the machine for 300 s",
            ],
            forbidden: vec!["twinslot: revert"],
            end: End::Off,
            then: vec![],
        },
    ]
}

/// One bit of a part of slot A has flipped, so that slot B is started.
fn damaged_parts() -> Vec<Scenario> {
    let damaged = |name, part, offset| Scenario {
        name,
        disk: Some(PROBES),
        changes: vec![Change::FlipPart(Slot::A, part, offset)],
        hardware: ORDINARY,
        expected: vec![
            "twinslot: examined slot=a refused code=42 DigestMismatch: a part's digest does not match",
            "twinslot: examined slot=b verified",
            "twinslot: boot slot=b why=fallback",
            RUNS,
        ],
        forbidden: vec!["twinslot: boot slot=a"],
        end: End::Off,
        then: vec![],
    };
    vec![damaged("flipped-initrd", Kind::Initrd, 20_000), damaged("flipped-command-line", Kind::CommandLine, 3)]
}

/// Images with the owner's signature that this machine can not run.
fn refused() -> Vec<Scenario> {
    let refused = |name, forgery, verdict| Scenario {
        name,
        disk: Some(EMPTY),
        changes: vec![Change::Forge(Slot::A, forgery)],
        hardware: ORDINARY,
        expected: vec![verdict, "twinslot: halt: code="],
        forbidden: vec!["twinslot: boot", RUNS, "twinslot: halt: the loader", "twinslot: halt: exception"],
        end: End::Halt,
        then: vec![],
    };
    let digest = "twinslot: examined slot=a refused code=42 DigestMismatch";
    vec![
        refused("kernel-of-another-architecture", Forgery::OtherArchitecture, "twinslot: examined slot=a refused code=46 WrongKernel"),
        refused("no-kernel-at-all", Forgery::NoKernel, "twinslot: examined slot=a refused code=46 WrongKernel"),
        refused("bss-larger-than-claimed", Forgery::HiddenBss, "twinslot: examined slot=a refused code=45 KernelClaimsMore"),
        refused("bss-over-initrd", Forgery::BssOverInitrd, "twinslot: examined slot=a refused code=40 RangeConflict"),
        refused("kernel-over-loader", Forgery::OverLoader, "twinslot: examined slot=a refused code=41 RangeOutsideRam"),
        refused("kernel-over-device-tree", Forgery::OverTree, "twinslot: examined slot=a refused {over-tree}"),
        refused("truncated-image", Forgery::Truncated, digest),
        refused("part-behind-slot", Forgery::BehindSlot, "twinslot: examined slot=a refused code=26 PartOutsideSlot"),
        refused("larger-than-memory", Forgery::LargerThanMemory, "twinslot: examined slot=a refused code=41 RangeOutsideRam"),
        Scenario { expected: vec![RUNS], forbidden: vec!["twinslot: halt"], end: End::Off, ..refused("forged-for-nothing", Forgery::Nothing, RUNS) },
    ]
}
