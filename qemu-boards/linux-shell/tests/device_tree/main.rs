//! Device trees made by `dtc` and read by `fdtget`: neither end of a test is the code under test.

mod boot;

use std::path::Path;
use std::process::{Command, Output};

use linux_shell::device_tree::{LinuxTree, MachineTree, TreeError, Value};
use linux_shell::handoff::publish;
use twinslot_bootloader::anchor::TrustAnchor;
use twinslot_bootloader::crypto::Builtin;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::{Booted, HANDOFF_SIZE, Handoff, Verdict};
use twinslot_bootloader::journal::{Phase, Revert};
use twinslot_bootloader::load::Span;
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::rejection::Rejection;
use twinslot_bootloader::slot::Slot;

const SOURCE: &str = r#"/dts-v1/;
/memreserve/ 0x48000000 0x1000;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    model = "a machine";
    chosen { stdout-path = "/pl011@9000000"; bootargs = "left by the machine"; };
    memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0 0x20000000>, <1 0 0 0x1000000>; };
    memory-controller@1 { reg = <0 1 0 1>; };
    reserved-memory {
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;
        firmware@50000000 { reg = <0 0x50000000 0 0x40000>; no-map; };
        anywhere { size = <0 0x1000>; };
    };
};
"#;

const KEPT: Span = Span { start: 0x4012_0000, len: 0x1000 };

/// What the firmware of a machine keeps.
const FIRMWARE: Span = Span { start: 0x5000_0000, len: 0x4_0000 };

/// A tree by the compiler, in `padded` bytes.
fn compiled(source: &str, padded: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tree.dts");
    std::fs::write(&path, source).expect("a source file");
    let size = padded.to_string();
    run(Command::new("dtc").args(["-q", "-I", "dts", "-O", "dtb", "-S", &size]).arg(&path)).stdout
}

/// A tree in which one name stands in another's place: the compiler makes no two nodes, nor two properties, of one name.
fn renamed(source: &str, from: &str, to: &str) -> Vec<u8> {
    let mut tree = compiled(source, 0);
    let at = tree.windows(from.len()).position(|window| window == from.as_bytes()).expect("the other name");
    tree[at..at + to.len()].copy_from_slice(to.as_bytes());
    tree
}

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("dtc and fdtget are installed: `cargo xtask setup`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A tree for Linux, as a file for other programs.
struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    fn by(edit: impl FnOnce(&mut LinuxTree<'_>) -> Result<(), TreeError>) -> Self {
        Self::of(&compiled(SOURCE, 0x10_0000), &[KEPT, FIRMWARE], edit)
    }

    fn of(source: &[u8], kept: &[Span], edit: impl FnOnce(&mut LinuxTree<'_>) -> Result<(), TreeError>) -> Self {
        let mut room = vec![0; 0x1_0000];
        let mut tree = LinuxTree::begin(source, kept, &mut room).expect("a tree");
        edit(&mut tree).expect("edits that fit");
        let size = tree.finish().expect("a tree that fits");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("tree.dtb"), &room[..size]).expect("a file");
        Self { folder }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("tree.dtb")
    }

    /// A property of `/chosen`, as `fdtget` shows it for a type.
    fn chosen(&self, kind: &str, name: &str) -> String {
        shown(&self.path(), kind, "/chosen", name)
    }

    /// The names of all properties of `/chosen`, a line each.
    fn names_in_chosen(&self) -> String {
        let listed = run(Command::new("fdtget").arg("-p").arg(self.path()).arg("/chosen")).stdout;
        String::from_utf8(listed).expect("names")
    }

    /// The lines of the source for the block of reservations.
    fn reservations(&self) -> Vec<String> {
        let source = run(Command::new("dtc").args(["-q", "-I", "dtb", "-O", "dts"]).arg(self.path())).stdout;
        let source = String::from_utf8(source).expect("text");
        source.lines().filter(|line| line.starts_with("/memreserve/")).map(ToOwned::to_owned).collect()
    }
}

fn shown(tree: &Path, kind: &str, node: &str, name: &str) -> String {
    let output = run(Command::new("fdtget").args(["-t", kind]).arg(tree).args([node, name]));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[test]
fn what_is_chosen_is_read_by_others_and_the_rest_is_as_it_was() {
    let made = Made::by(|tree| {
        tree.choose("bootargs", Value::Bytes(b"console=ttyAMA0 twinslot.slot=a\0"))?;
        tree.choose("linux,initrd-start", Value::Wide(0x1_4880_0000))?;
        tree.choose("twinslot,attempts-left", Value::Number(3))
    });
    assert_eq!(made.chosen("s", "bootargs"), "console=ttyAMA0 twinslot.slot=a");
    assert_eq!(made.chosen("x", "linux,initrd-start"), "1 48800000");
    assert_eq!(made.chosen("u", "twinslot,attempts-left"), "3");
    assert_eq!(made.chosen("s", "stdout-path"), "/pl011@9000000");
    assert_eq!(shown(&made.path(), "s", "/", "model"), "a machine");
    assert_eq!(shown(&made.path(), "x", "/memory@40000000", "reg"), "0 40000000 0 20000000 1 0 0 1000000");
}

#[test]
fn all_that_is_kept_is_reserved_beside_what_was_reserved() {
    let made = Made::by(|_| Ok(()));
    assert_eq!(
        made.reservations(),
        [
            "/memreserve/\t0x0000000048000000 0x0000000000001000;",
            "/memreserve/\t0x0000000040120000 0x0000000000001000;",
            "/memreserve/\t0x0000000050000000 0x0000000000040000;"
        ]
    );
}

#[test]
fn padding_is_left_out() {
    let made = Made::by(|_| Ok(()));
    let size = std::fs::metadata(made.path()).expect("a file").len();
    assert!(size < 2048, "{size} bytes of 1 MiB");
}

fn handoff() -> Handoff {
    let key = [
        0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96,
        0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
    ];
    let anchor = TrustAnchor::new(&[key], 1, 0, &mut Builtin).expect("a published key of RFC 8032");
    Handoff::new(&anchor, [7; 32], ResetCause::Watchdog)
}

#[test]
fn a_handoff_is_one_property_a_field_and_the_whole_record() {
    let mut handoff = handoff();
    handoff.booted = Booted::Slot(Slot::B);
    handoff.phase = Phase::Trial;
    handoff.attempts_left = 2;
    handoff.why = Why::Trial;
    handoff.verdicts.a = Verdict::Refused(Reason::Refused(Rejection::DigestMismatch));
    handoff.verdicts.b = Verdict::Verified;
    handoff.last_revert = Some(Revert { slot: Slot::A, reason: Reason::Watchdog, sequence: 0x1_0000_0002 });
    handoff.digest = [0xab; 32];
    handoff.marks = [1, 2, 3, 0x0102_0304];
    let made = Made::by(|tree| publish(&handoff, tree));
    let texts = [
        ("slot", "b"),
        ("phase", "trial"),
        ("why", "trial"),
        ("reset-cause", "watchdog"),
        ("verdict-a", "refused"),
        ("verdict-b", "verified"),
        ("last-revert-slot", "a"),
    ];
    for (name, value) in texts {
        assert_eq!(made.chosen("s", &format!("twinslot,{name}")), value, "{name}");
    }
    assert_eq!(made.chosen("u", "twinslot,attempts-left"), "2");
    assert_eq!(made.chosen("u", "twinslot,verdict-a-code"), Rejection::DigestMismatch.code().to_string());
    assert_eq!(made.chosen("s", "twinslot,verdict-a-reason"), Rejection::DigestMismatch.to_string());
    assert_eq!(made.chosen("x", "twinslot,last-revert-sequence"), "1 2");
    assert_eq!(made.chosen("x", "twinslot,marks"), "1 2 3 1020304");
    assert_eq!(made.chosen("bx", "twinslot,digest"), ["ab"; 32].join(" "));
    let record: Vec<u8> = made.chosen("bx", "twinslot,handoff").split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect();
    let record: [u8; HANDOFF_SIZE] = record.try_into().expect("a record's length");
    assert_eq!(Handoff::decode(&record), Ok(handoff));
}

#[test]
fn memory_and_reservations_are_what_the_source_says() {
    let bytes = compiled(SOURCE, 0);
    let tree = MachineTree::read(&bytes).expect("a tree");
    let span = |start, len| Span { start, len };
    assert_eq!(tree.memory().expect("memory").as_slice(), [span(0x4000_0000, 0x2000_0000), span(0x1_0000_0000, 0x100_0000)]);
    assert_eq!(tree.reserved().expect("reservations").as_slice(), [span(0x4800_0000, 0x1000), span(0x5000_0000, 0x4_0000)]);
}

#[test]
fn trees_that_can_not_be_used_are_refused_by_name() {
    let whole = compiled(SOURCE, 0);
    assert_eq!(MachineTree::read(&[]).err(), Some(TreeError::Absent));
    assert_eq!(MachineTree::read(&[0; 4096]).err(), Some(TreeError::Absent));
    assert_eq!(MachineTree::read(&whole[..whole.len() - 1]).err(), Some(TreeError::TooLarge));
    let bare = compiled("/dts-v1/; / { };", 0);
    assert_eq!(MachineTree::read(&bare).expect("a tree").memory(), Err(TreeError::NoMemory));
    assert_eq!(LinuxTree::begin(&bare, &[KEPT], &mut [0; 4096]).err(), Some(TreeError::NoChosen));
    let two_roots = [&whole[..], &whole[..]].concat();
    assert!(MachineTree::read(&two_roots).is_ok_and(|tree| tree.bytes() == whole), "what lies behind a tree is not part of it");
    let mut room = [0; 1024];
    let mut tree = LinuxTree::begin(&whole, &[KEPT], &mut room).expect("a tree that fits");
    assert_eq!(tree.choose("bootargs", Value::Bytes(&[b'x'; 1024])), Err(TreeError::TooLarge));
}

#[test]
fn a_tree_fits_into_its_size_and_into_no_byte_less() {
    let whole = compiled(SOURCE, 0);
    let made = |room: &mut [u8]| {
        let mut tree = LinuxTree::begin(&whole, &[KEPT], room)?;
        tree.choose("bootargs", Value::Text("console=ttyAMA0"))?;
        tree.finish()
    };
    let size = made(&mut [0; 4096]).expect("a tree that fits");
    assert_eq!(made(&mut vec![0; size]), Ok(size));
    for less in 0..size {
        assert_eq!(made(&mut vec![0; less]), Err(TreeError::TooLarge), "{less} bytes");
    }
}

#[test]
fn what_others_left_in_the_loaders_properties_is_gone() {
    let source = SOURCE.replace(
        "stdout-path",
        "twinslot,slot = \"b\"; linux,initrd-start = <1>; linux,initrd-end = <2>; linux,initrd = <3>; kaslr-seed = <4 5>; stdout-path",
    );
    let made = Made::of(&compiled(&source, 0), &[KEPT], |tree| tree.choose("twinslot,phase", Value::Text("trial")));
    assert_eq!(made.names_in_chosen(), "twinslot,phase\nstdout-path\n");
    assert_eq!(shown(&made.path(), "x", "/memory-controller@1", "reg"), "0 1 0 1");
}

#[test]
fn cells_are_those_of_the_parent() {
    let bytes = compiled(
        "/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; memory { device_type = \"memory\"; reg = <0x80000000 0x1000>; };
         reserved-memory { #address-cells = <2>; #size-cells = <1>; a { reg = <1 2 3>; }; };
         pcie { #address-cells = <3>; #size-cells = <2>; };
         soc { reserved-memory { b { reg = <9 9>; }; }; memory@1 { device_type = \"memory\"; reg = <1 1>; }; }; };",
        0,
    );
    let tree = MachineTree::read(&bytes).expect("a tree");
    assert_eq!(tree.memory().expect("memory").as_slice(), [Span { start: 0x8000_0000, len: 0x1000 }]);
    assert_eq!(tree.reserved().expect("reservations").as_slice(), [Span { start: 0x1_0000_0002, len: 3 }]);
}

#[test]
fn no_damaged_tree_does_more_than_give_an_error() {
    let whole = compiled(SOURCE, 0);
    let mut refused = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let mut room = vec![0; 0x1_0000];
            let made = LinuxTree::begin(&damaged, &[KEPT], &mut room).and_then(|mut tree| {
                tree.choose("bootargs", Value::Text("x"))?;
                tree.finish()
            });
            refused += usize::from(made.is_err());
            if let Ok(tree) = MachineTree::read(&damaged) {
                let _ = (tree.memory(), tree.reserved());
            }
        }
    }
    assert!(refused > 0, "no damage was noticed at all");
}

/// Found by fuzzing: the last one counted here, and the first one does in Linux.
#[test]
fn a_tree_whose_node_says_its_cells_or_registers_twice_is_damaged() {
    let source = "/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; #address-cellz = <2>; #size-cellz = <2>;
         memory { device_type = \"memory\"; reg = <1 2>; rez = <3 4>; }; };";
    let tree = compiled(source, 0);
    assert_eq!(MachineTree::read(&tree).and_then(|tree| tree.memory()).expect("memory").as_slice(), [Span { start: 1, len: 2 }]);
    for (other, name) in [("#address-cellz", "#address-cells"), ("#size-cellz", "#size-cells"), ("rez", "reg")] {
        let twice = renamed(source, other, name);
        assert_eq!(MachineTree::read(&twice).and_then(|tree| tree.memory()), Err(TreeError::Malformed), "{name}");
    }
}

/// libfdt, and Linux with it, takes the first node whose name in front of the unit address is the wanted one.
#[test]
fn a_tree_with_a_second_node_that_linux_may_take_for_ours_is_refused() {
    let others = ["chosen@0 { bootargs = \"init=/bin/sh\"; };", "reserved-memory@1 { ranges; };"];
    for other in others {
        for neighbour in ["chosen {", "memory-controller@1 {"] {
            let source = SOURCE.replace(neighbour, &format!("{other} {neighbour}"));
            let tree = compiled(&source, 0);
            assert_eq!(MachineTree::read(&tree).err(), Some(TreeError::Ambiguous), "{source}");
            assert_eq!(LinuxTree::begin(&tree, &[KEPT], &mut [0; 4096]).err(), Some(TreeError::Ambiguous), "{source}");
        }
    }
    for name in ["chosen", "reserved-memory"] {
        let placeholder = name.replace('e', "x");
        let source = SOURCE.replace("memory-controller", &format!("{placeholder} {{ }}; memory-controller"));
        assert!(MachineTree::read(&compiled(&source, 0)).is_ok(), "a node of another name");
        assert_eq!(MachineTree::read(&renamed(&source, &placeholder, name)).err(), Some(TreeError::Ambiguous), "two nodes {name}");
    }
    let deeper = SOURCE.replace("memory-controller", "soc { chosen@0 { }; reserved-memory { }; chosen { }; }; chosen-ones@1 { }; memory-controller");
    assert!(MachineTree::read(&compiled(&deeper, 0)).is_ok(), "Linux looks for them right below the root");
}

/// Linux ends the block at the first entry without a length, whatever its address is.
#[test]
fn an_empty_reservation_hides_none_behind_it() {
    let empty = "/memreserve/ 0x47000000 0;\n/memreserve/ 0x48000000";
    let source = compiled(&SOURCE.replace("/memreserve/ 0x48000000", empty), 0);
    let found = MachineTree::read(&source).and_then(|tree| tree.reserved()).expect("reservations");
    assert_eq!(found.first(), Some(&Span { start: 0x4800_0000, len: 0x1000 }));
    let nothing = Span { start: 0x4600_0000, len: 0 };
    let made = Made::of(&source, &[nothing, KEPT], |_| Ok(()));
    let expected = ["/memreserve/\t0x0000000048000000 0x0000000000001000;", "/memreserve/\t0x0000000040120000 0x0000000000001000;"];
    assert_eq!(made.reservations(), expected);
}

#[test]
fn nothing_in_chosen_steers_linux_around_what_was_signed() {
    let steering = "bootargs = \"init=/bin/sh\"; bootargs-append = \"init=/bin/sh\"; linux,initrd-start = <1>; linux,initrd-end = <2>;
        linux,uefi-system-table = <0 1>; linux,uefi-mmap-start = <0 1>; linux,uefi-secure-boot = <0>; linux,usable-memory-range = <0 0 0 1>;
        linux,elfcorehdr = <0 1 0 1>; linux,kho-fdt = <0 1 0 1>; linux,ima-kexec-buffer = <0 1 0 1>; linux,booted-from-kexec;
        linux,pci-probe-only = <1>; linux,stdout-path = \"/x\"; twinslot,slot = \"b\"; kaslr-seed = <1 2>; rng-seed = <1 2 3>; of-tomorrow = <1>;";
    let kept = "#address-cells = <2>; #size-cells = <2>; ranges; framebuffer@1 { reg = <0 1 0 1>; };";
    let source = SOURCE.replace("chosen {", &format!("chosen {{ {steering}")).replace("bootargs = \"left by the machine\";", kept);
    let made = Made::of(&compiled(&source, 0), &[KEPT], |_| Ok(()));
    assert_eq!(made.names_in_chosen(), "stdout-path\n#address-cells\n#size-cells\nranges\n");
}

/// Source: Linux, `drivers/of/fdt.c`, `early_init_dt_scan_root` and `early_init_dt_scan_memory`.
#[test]
fn memory_is_what_linux_takes_for_memory() {
    let span = |start, len| Span { start, len };
    let memory = |cells: &str, nodes: &str| {
        let bytes = compiled(&format!("/dts-v1/; / {{ {cells} {nodes} }};"), 0);
        MachineTree::read(&bytes).and_then(|tree| tree.memory()).map(|ranges| ranges.to_vec())
    };
    let one = "#address-cells = <1>; #size-cells = <1>;";
    assert_eq!(memory("", "memory { device_type = \"memory\"; reg = <1 2 3 4>; };"), Ok(vec![span(1, 2), span(3, 4)]), "cells that nobody says");
    assert_eq!(memory(one, "memory@1 { reg = <1 2>; };"), Err(TreeError::NoMemory), "a name is no type");
    assert_eq!(memory(one, "ram@1 { reg = <1 2>; device_type = \"memory\"; };"), Ok(vec![span(1, 2)]), "whatever its name is");
    assert_eq!(memory(one, "m { device_type = \"memory-bank\"; reg = <1 2>; };"), Err(TreeError::NoMemory));
    assert_eq!(memory(one, "m { device_type = \"memory\", \"more\"; reg = <1 2>; };"), Ok(vec![span(1, 2)]), "the text ends at its NUL");
    assert_eq!(memory(one, "m { device_type = [6d 65 6d 6f 72 79]; reg = <1 2>; };"), Err(TreeError::Malformed), "a text without an end");
    for (status, expected) in [("ok", Ok(vec![span(1, 2)])), ("okay", Ok(vec![span(1, 2)])), ("disabled", Err(TreeError::NoMemory))] {
        assert_eq!(memory(one, &format!("m {{ device_type = \"memory\"; reg = <1 2>; status = \"{status}\"; }};")), expected, "{status}");
    }
    let usable = "m { linux,usable-memory = <5 6>; device_type = \"memory\"; reg = <1 2>; };";
    assert_eq!(memory(one, usable), Ok(vec![span(5, 6)]), "what goes before the registers");
    assert_eq!(memory(one, "m { linux,usable-memory; device_type = \"memory\"; reg = <1 2>; };"), Err(TreeError::NoMemory));
    let wide = "#address-cells = <2>; #size-cells = <2>;";
    let wrapping = "m { device_type = \"memory\"; reg = <0xffffffff 0xffffff00 0 0x100>; };";
    assert_eq!(memory(wide, wrapping), Err(TreeError::Malformed), "it ends behind the last address");
    let deeper = "soc { device_type = \"soc\"; m { device_type = \"memory\"; reg = <3 4>; }; }; m { device_type = \"memory\"; reg = <1 2>; };";
    assert_eq!(memory(one, deeper), Ok(vec![span(1, 2)]), "right below the root");
    for (name, twice) in [("device_type", "device_typf"), ("status", "statut"), ("linux,usable-memory", "linux,usable-memorx")] {
        let source = format!("/dts-v1/; / {{ {one} m {{ {name} = \"memory\"; {twice} = \"memory\"; }}; }};");
        let tree = renamed(&source, twice, name);
        assert_eq!(MachineTree::read(&tree).and_then(|tree| tree.memory()), Err(TreeError::Malformed), "{name} twice");
    }
}

/// Found by fuzzing: what goes from `/chosen` was read before it went.
#[test]
fn chosen_is_no_memory_whatever_it_says() {
    let cells = "/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; memory { device_type = \"memory\"; reg = <1 2>; };";
    let tree = renamed(&format!("{cells} chosen {{ device_type = \"memory\"; reg = <3 4>; rez = <5 6>; }}; }};"), "rez", "reg");
    let memory = MachineTree::read(&tree).and_then(|tree| tree.memory());
    assert_eq!(memory.map(|ranges| ranges.to_vec()), Ok(vec![Span { start: 1, len: 2 }]));
    let reserved = compiled(&format!("{cells} reserved-memory {{ #address-cells = <1>; #size-cells = <1>; chosen {{ reg = <7 8>; }}; }}; }};"), 0);
    let reserved = MachineTree::read(&reserved).and_then(|tree| tree.reserved());
    assert_eq!(reserved.map(|ranges| ranges.to_vec()), Ok(vec![Span { start: 7, len: 8 }]), "a reservation of that name");
}

/// A seed that is signed is the same on every host and in every boot; the machine's firmware makes one for this start.
#[test]
fn seeds_are_those_of_the_machine_and_never_signed_ones() {
    let machine = compiled(&SOURCE.replace("stdout-path", "rng-seed = [01 02 03]; kaslr-seed = <4 5>; stdout-path"), 0);
    let signed = compiled(&SOURCE.replace("stdout-path", "kaslr-seed = <6 7>; rng-seed = [08]; stdout-path"), 0);
    let machine = MachineTree::read(&machine).expect("a tree");
    let silent = compiled("/dts-v1/; / { };", 0);
    let silent = MachineTree::read(&silent).expect("a tree");
    let seeded = Made::of(&signed, &[KEPT], |tree| tree.seed_from(&machine));
    assert_eq!(seeded.names_in_chosen(), "rng-seed\nkaslr-seed\nstdout-path\n");
    assert_eq!((seeded.chosen("x", "kaslr-seed").as_str(), seeded.chosen("bx", "rng-seed").as_str()), ("4 5", "1 2 3"));
    let unseeded = Made::of(&signed, &[KEPT], |tree| tree.seed_from(&silent));
    assert_eq!(unseeded.names_in_chosen(), "stdout-path\n");
}
