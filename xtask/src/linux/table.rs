//! The situations, and what the console must show in each.

mod more;
mod verity;

use super::board::Board;
use super::disk::{Change, Slot};
use super::initramfs::{Tree, Userspace};
use super::machine::{Company, End, Hardware, Shown};

/// A situation and what must come of it.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What lies on the disk; `None` for a machine without one.
    pub(crate) disk: Option<Disk>,
    pub(crate) changes: Vec<Change>,
    pub(crate) hardware: Hardware,
    /// Lines that must come, in this order; others may come between them. Each is the beginning of a whole line, with the board's own words in
    /// braces ([`Board::shows`]).
    pub(crate) expected: Vec<&'static str>,
    /// Beginnings of lines that must not come.
    pub(crate) forbidden: Vec<&'static str>,
    pub(crate) end: End,
    /// What comes after it, on the same disk.
    pub(crate) then: Vec<Next>,
}

/// One more power-on.
#[derive(Debug)]
pub(crate) struct Next {
    /// What happens to the disk before it.
    pub(crate) before: Between,
    pub(crate) expected: Vec<&'static str>,
    pub(crate) forbidden: Vec<&'static str>,
    pub(crate) end: End,
}

/// What happens to a disk between two power-ons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    Nothing,
    /// The trial in a slot is confirmed, by the writer that userspace uses, from this machine.
    Confirm(Slot),
}

/// What lies on a disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    pub(crate) a: Option<Image>,
    pub(crate) b: Option<Image>,
    pub(crate) confirmed: &'static [Slot],
    pub(crate) trial: Option<Slot>,
}

/// An image with Debian's kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Image {
    pub(crate) version: &'static str,
    pub(crate) userspace: Userspace,
    pub(crate) signer: Signer,
    pub(crate) tree: Tree,
}

/// Who signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    /// A key that the loader trusts.
    Owner,
    /// One that it does not know.
    Stranger,
}

const GOOD: Image = Image { version: "1.0.0", userspace: Userspace::PowersOff, signer: Signer::Owner, tree: Tree::Machine };
const NEXT: Image = Image { version: "2.0.0", ..GOOD };

pub(super) const ORDINARY: Hardware = Hardware { memory: 512, bad_sector: None, company: Company::Alone };

/// Where the first part of an image lies in its slot: the kernel.
const KERNEL: u64 = 4096;

/// A sector in the middle of the kernel in slot A.
const BAD_SECTOR: u64 = 0x20_0000 / 512 + 20_000;

/// A good image in both slots, A preferred and confirmed.
const BOTH: Disk = Disk { a: Some(GOOD), b: Some(NEXT), confirmed: &[Slot::A], trial: None };

impl Scenario {
    /// Whether nothing but a watchdog ends what it is about.
    pub(super) fn needs_watchdog(&self) -> bool {
        self.expected.iter().any(|line| line.ends_with(WATCHDOG_RESET) || line.starts_with(WATCHDOG_DRIVER))
    }

    /// Whether its images are made here, without Linux.
    pub(super) fn needs_probe(&self) -> bool {
        let images = self.disk.iter().flat_map(|disk| [disk.a, disk.b]).flatten();
        let is_forged = self.changes.iter().any(|change| matches!(change, Change::Forge(..)));
        is_forged || images.into_iter().any(|image| image.userspace == Userspace::None)
    }

    /// What is wrong with what the first power-on showed, with all of it below.
    pub(super) fn complaint(&self, board: Board, shown: &Shown) -> Option<String> {
        complaint(board, (&self.expected, &self.forbidden, self.end), shown)
    }
}

impl Next {
    /// The same for a later one.
    pub(super) fn complaint(&self, board: Board, shown: &Shown) -> Option<String> {
        complaint(board, (&self.expected, &self.forbidden, self.end), shown)
    }
}

fn complaint(board: Board, (expected, forbidden, end): (&[&str], &[&str], End), shown: &Shown) -> Option<String> {
    let mut lines = shown.lines.iter();
    let mut expected = expected.iter().filter_map(|line| board.shows(line));
    let missing = expected.find(|beginning| !lines.any(|line| line.starts_with(beginning)));
    let unwanted = shown.lines.iter().find(|line| forbidden.iter().any(|beginning| line.starts_with(beginning)));
    let complaint = match (missing, unwanted) {
        (Some(beginning), _) => format!("no line begins with {beginning:?} where it must"),
        (None, Some(line)) => format!("unwanted: {line:?}"),
        (None, None) if shown.end != end => format!("it ended with {:?} instead of {end:?}", shown.end),
        (None, None) => return None,
    };
    Some(format!("{complaint}\nconsole ({:?} after {:.1} s):\n{}", shown.end, shown.wall.as_secs_f64(), shown.lines.join("\n")))
}

/// What the userspace says that loads the watchdog's driver.
const WATCHDOG_DRIVER: &str = "init: watchdog driver";

/// How a line of a loader goes on that a watchdog started.
const WATCHDOG_RESET: &str = "reset=watchdog";

/// All of them. The first one is the calibration too.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = vec![confirmed_boot()];
    all.extend(loader_only());
    all.extend(other_slot());
    all.push(lost_journal());
    all.extend(reverts());
    all.extend(more::scenarios());
    all.extend(verity::scenarios());
    all
}

fn confirmed_boot() -> Scenario {
    Scenario {
        name: "confirmed-boot",
        disk: Some(BOTH),
        changes: vec![],
        hardware: ORDINARY,
        expected: vec![
            "twinslot: loader 1 on {board}, reset=power-on",
            "twinslot: TEST KEYS",
            "twinslot: sha-256 by {hash}",
            "twinslot: examined slot=a verified",
            "twinslot: boot slot=a why=confirmed",
            "init: cmdline console={console} quiet panic=-1 twinslot.slot=a rauc.slot=A",
            "init: twinslot,handoff=545748414e444f460100",
            "init: twinslot,phase=confirmed",
            "init: twinslot,reset-cause=power-on",
            "init: twinslot,slot=a",
            "init: twinslot,verdict-a=verified",
            "init: twinslot,verdict-b=not-examined",
            "init: twinslot,why=confirmed",
            "init: done",
        ],
        forbidden: vec!["twinslot: journal", "twinslot: watchdog", "twinslot: disk", "twinslot: examined slot=b"],
        end: End::Off,
        then: vec![],
    }
}

/// Situations in which no kernel is started.
fn loader_only() -> Vec<Scenario> {
    let halt = |name, disk, hardware, expected| Scenario {
        name,
        disk,
        changes: vec![],
        hardware,
        expected,
        forbidden: vec!["twinslot: boot", "init: "],
        end: End::Halt,
        then: vec![],
    };
    let stranger = Image { signer: Signer::Stranger, ..GOOD };
    vec![
        halt("no-disk", None, ORDINARY, vec!["twinslot: halt: no virtio disk was found"]),
        halt(
            "empty-disk",
            Some(Disk { a: None, b: None, confirmed: &[], trial: None }),
            ORDINARY,
            vec![
                "twinslot: examined slot=a refused code=1 WrongMagic",
                "twinslot: examined slot=b refused code=1 WrongMagic",
                "twinslot: halt: code=1 ",
            ],
        ),
        halt(
            "unknown-signer",
            Some(Disk { a: Some(stranger), b: None, confirmed: &[], trial: None }),
            ORDINARY,
            vec!["twinslot: examined slot=a refused code=11 TooFewSignatures", "twinslot: halt: code="],
        ),
        halt(
            "too-little-memory",
            Some(BOTH),
            Hardware { memory: 32, ..ORDINARY },
            vec!["twinslot: examined slot=a refused code=41 RangeOutsideRam", "twinslot: halt: code="],
        ),
    ]
}

/// Slot A can not be used, and slot B is started instead.
fn other_slot() -> Vec<Scenario> {
    let other = |name, changes, hardware, found: &'static str, verdict: &'static str| Scenario {
        name,
        disk: Some(Disk { confirmed: &[Slot::A, Slot::B], ..BOTH }),
        changes,
        hardware,
        expected: vec![
            found,
            "twinslot: boot slot=b why=fallback",
            "init: cmdline console={console} quiet panic=-1 twinslot.slot=b rauc.slot=B",
            verdict,
            "init: done",
        ],
        forbidden: vec!["twinslot: boot slot=a"],
        end: End::Off,
        then: vec![],
    };
    let mismatch = "twinslot: examined slot=a refused code=42 DigestMismatch";
    let torn = "twinslot: examined slot=a refused code=7 CrcMismatch";
    let unread = "twinslot: examined slot=a read-error";
    vec![
        other("flipped-kernel", vec![Change::Flip(Slot::A, KERNEL + 0x100_0000)], ORDINARY, mismatch, "init: twinslot,verdict-a=refused"),
        other("flipped-header", vec![Change::Flip(Slot::A, 20)], ORDINARY, torn, "init: twinslot,verdict-a=refused"),
        other("read-error", vec![], Hardware { bad_sector: Some(BAD_SECTOR), ..ORDINARY }, unread, "init: twinslot,verdict-a=read-error"),
    ]
}

/// Nothing is known, so an authentic image is on trial.
fn lost_journal() -> Scenario {
    Scenario {
        name: "lost-journal",
        disk: Some(Disk { b: None, ..BOTH }),
        changes: vec![Change::LoseJournal],
        hardware: ORDINARY,
        expected: vec![
            "twinslot: journal: holds no valid record",
            "twinslot: examined slot=a verified",
            "twinslot: watchdog armed",
            "twinslot: boot slot=a why=trial",
            "init: twinslot,phase=trial",
            "init: done",
        ],
        forbidden: vec![],
        end: End::Off,
        then: vec![],
    }
}

/// A trial in slot B that never confirms.
fn reverts() -> Vec<Scenario> {
    let revert = |name, userspace, hint: &'static str, cause: &'static str| Scenario {
        name,
        disk: Some(Disk { b: Some(Image { userspace, ..NEXT }), trial: Some(Slot::B), ..BOTH }),
        changes: vec![],
        hardware: ORDINARY,
        expected: vec![
            "twinslot: examined slot=b verified",
            "twinslot: watchdog armed",
            "twinslot: boot slot=b why=trial",
            hint,
            cause,
            "twinslot: boot slot=b why=trial",
            hint,
            cause,
            "twinslot: boot slot=b why=trial",
            hint,
            cause,
            "twinslot: revert slot=b code=",
            "twinslot: boot slot=a why=confirmed",
            "init: twinslot,last-revert-slot=b",
            "init: twinslot,slot=a",
            "init: done",
        ],
        forbidden: vec![],
        end: End::Off,
        then: vec![],
    };
    vec![
        revert("trial-hangs", Userspace::Hangs, "init: hangs", "twinslot: loader 1 on {board}, reset=watchdog"),
        revert("trial-panics", Userspace::Exits, "init: exits", "twinslot: loader 1 on {board}, reset=software"),
    ]
}
