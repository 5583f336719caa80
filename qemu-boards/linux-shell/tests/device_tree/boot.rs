//! The tree of a whole boot: what is judged with an image is what can be edited for Linux.

use linux_shell::boot_tree::BootTree;
use linux_shell::device_tree::{MAX_RANGES, MachineTree, OURS, TreeError, judge};
use linux_shell::handoff::command_line;
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::{Booted, Handoff, Verdict};
use twinslot_bootloader::image::command_line::MAX_LEN;
use twinslot_bootloader::journal::{Phase, Revert};
use twinslot_bootloader::reason::Reason;
use twinslot_bootloader::slot::Slot;

use super::{FIRMWARE, KEPT, Made, SOURCE, compiled, handoff, renamed};

/// A hand-off with as much to say as any has.
fn longest_handoff() -> Handoff {
    let reason = (0..=u8::MAX).map(Reason::from_code).max_by_key(|reason| reason.text().len()).expect("reasons");
    let mut handoff = handoff();
    while handoff.reads.keys.push([0xff; 8]).is_ok() {}
    handoff.booted = Booted::Slot(Slot::B);
    (handoff.phase, handoff.why) = (Phase::Confirmed, Why::LastResort);
    handoff.verdicts.a = Verdict::Refused(reason);
    handoff.verdicts.b = Verdict::Refused(reason);
    handoff.last_revert = Some(Revert { slot: Slot::A, reason, sequence: u64::MAX });
    handoff
}

/// A boot of a machine with as many reservations as the loader reads, and with seeds.
struct Boot {
    machine: Vec<u8>,
    handoff: Handoff,
}

impl Boot {
    fn with_seed(bytes: usize) -> Self {
        let reserved: String = (1..MAX_RANGES).map(|page| format!("/memreserve/ {:#x} 0x1000;\n", 0x5000_0000 + page * 0x1_0000)).collect();
        let source = SOURCE.replace("/memreserve/ 0x48000000 0x1000;\n", &reserved);
        let seeds = format!("kaslr-seed = <1 2>; rng-seed = [{}]; stdout-path", "ab ".repeat(bytes));
        Self { machine: compiled(&source.replace("stdout-path", &seeds), 0), handoff: longest_handoff() }
    }

    fn machine(&self) -> MachineTree<'_> {
        MachineTree::read(&self.machine).expect("a tree")
    }

    /// What the loader makes of a signed tree.
    fn make(&self, signed: &[u8], room: &mut [u8]) -> Result<usize, TreeError> {
        let line = command_line(&[b'x'; MAX_LEN], self.handoff.booted).expect("a line that fits");
        let tree =
            BootTree { signed: Some(signed), machine: self.machine(), mark: KEPT, line: &line, initrd: Some(FIRMWARE), handoff: &self.handoff };
        tree.make(room)
    }
}

/// They all fit a `MachineTree`, and the mark's page did not fit beside them: a halt with a signed tree alone.
#[test]
fn a_machine_of_as_many_reservations_as_the_loader_reads_starts_a_signed_tree() {
    let boot = Boot::with_seed(1);
    let reserved = boot.machine().reserved().expect("as many as fit");
    assert_eq!(reserved.len(), MAX_RANGES);
    let mut room = vec![0; 0x1_0000];
    boot.make(&compiled("/dts-v1/; / { chosen { }; };", 0), &mut room).expect("a tree for Linux");
    let kept = MachineTree::read(&room).and_then(|made| made.reserved());
    assert_eq!(kept, Err(TreeError::TooManyRanges), "one more than a machine may reserve: the mark's page");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("tree.dtb"), &room).expect("a file");
    assert_eq!(Made { folder }.reservations().len(), MAX_RANGES + 1);
}

/// A trial with such a tree halted after its intent was committed, and a confirmed image was not left for the other slot.
#[test]
fn a_signed_tree_that_the_loader_can_not_edit_is_refused_while_the_image_is_judged() {
    let boot = Boot::with_seed(1);
    let whole = compiled(SOURCE, 0);
    let ambiguous = SOURCE.replace("memory-controller@1 {", "chosen@0 { }; memory-controller@1 {");
    let mut other_version = whole.clone();
    other_version[23] = 16;
    let faults = [
        (compiled(&ambiguous, 0), TreeError::Ambiguous),
        (renamed(&ambiguous, "chosen@0", "chosen\0\0"), TreeError::Ambiguous),
        (compiled("/dts-v1/; / { };", 0), TreeError::NoChosen),
        (other_version, TreeError::Malformed),
        (vec![0; 4096], TreeError::Absent),
        (whole[..whole.len() - 1].to_vec(), TreeError::TooLarge),
    ];
    let mut room = vec![0; 0x1_0000];
    for (tree, error) in &faults {
        assert_eq!(boot.make(tree, &mut room), Err(*error));
        assert_eq!(judge(tree, room.len()), Err(*error));
    }
    assert_eq!(judge(&whole, room.len()), Ok(()));
}

#[test]
fn a_tree_is_judged_as_the_edit_ends_whatever_is_damaged_in_it() {
    let boot = Boot::with_seed(1);
    let whole = compiled(SOURCE, 0);
    let mut room = vec![0; 0x1_0000];
    let mut accepted = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let judged = judge(&damaged, room.len());
            assert_eq!(boot.make(&damaged, &mut room).map(drop), judged, "byte {at} ^ {flip:#x}");
            accepted += usize::from(judged.is_ok());
        }
    }
    assert!(accepted > 0, "damage of values is nothing that a reader of trees sees");
}

/// The longest command line, hand-off and list of what is kept, and seeds of 1 KiB.
#[test]
fn what_the_loader_adds_fits_beside_the_largest_tree_that_is_accepted() {
    let boot = Boot::with_seed(1024);
    let whole = compiled(SOURCE, 0);
    let room = (0..).find(|room| judge(&whole, *room).is_ok()).expect("it is accepted somewhere");
    let made = boot.make(&whole, &mut vec![0; room]);
    assert!(made.is_ok_and(|size| size <= room && size > room - OURS), "{made:?} of {room}");
    for less in OURS..room {
        assert_eq!(judge(&whole, less), Err(TreeError::TooLarge), "{less} bytes");
    }
}
