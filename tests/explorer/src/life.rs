//! The lives that are explored: how a host begins, and what its operator, its writers and its resets do, in order.

use twinslot_bootloader::journal::{Phase, Record, SlotState, State};
use twinslot_bootloader::reason::{Reason, ResetCause};
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_bootloader::storage::Region;

use crate::act::{Act, Rival, Which};
use crate::board::Board;
use crate::cast::Role;
use crate::content::{Content, Unit};
use crate::reader::{POLICY, RECORD};

/// One thing that happens when nothing goes wrong. A cut repeats it after the next boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// A writer works.
    Do(Act),
    /// What runs resets the machine, with this cause.
    Reset(ResetCause),
}

/// How a host begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Slot A holds the old image, confirmed; slot B is blank.
    Running,
    /// The same, and the logs have room for so many more records.
    Full(usize),
    /// The same, and a newer release has left records of another layout behind the last one.
    Downgraded,
    /// Both slots hold an image; the journal was never written.
    Fresh,
    /// Slot A holds an image; the journal was never written.
    FreshOne,
    /// Slot A holds the old image on trial; nothing is confirmed.
    Unproven,
    /// Slot A is confirmed and holds nothing that verifies; slot B holds a rejected image.
    Ruined,
    /// Slot A holds the old image, confirmed; somebody who does not look has armed an image in slot B that revokes the only key that signed it.
    Planted,
}

/// A life.
#[derive(Debug)]
pub struct Life {
    /// What it is called in scripts and tables.
    pub name: &'static str,
    /// How it begins.
    pub start: Start,
    /// What happens.
    pub goals: &'static [Goal],
}

const RESET: Goal = Goal::Reset(ResetCause::Software);
const HANGS: Goal = Goal::Reset(ResetCause::Watchdog);
const INSTALL: Goal = Goal::Do(Act::Install(Role::New));
const CONFIRM: Goal = Goal::Do(Act::Confirm);
const UPDATE: [Goal; 4] = [INSTALL, RESET, CONFIRM, RESET];

const fn install(role: Role) -> Goal {
    Goal::Do(Act::Install(role))
}

/// Every life.
pub static LIVES: [Life; 26] = [
    Life { name: "update", start: Start::Running, goals: &UPDATE },
    Life { name: "update-full-0", start: Start::Full(0), goals: &UPDATE },
    Life { name: "update-full-1", start: Start::Full(1), goals: &UPDATE },
    Life { name: "update-full-2", start: Start::Full(2), goals: &UPDATE },
    Life { name: "update-full-3", start: Start::Full(3), goals: &UPDATE },
    Life {
        name: "health-check",
        start: Start::Running,
        goals: &[INSTALL, RESET, Goal::Do(Act::Revert), RESET, install(Role::Third), RESET, CONFIRM, RESET],
    },
    Life { name: "hangs", start: Start::Running, goals: &[INSTALL, RESET, HANGS, Goal::Reset(ResetCause::Fault), HANGS] },
    Life { name: "silent", start: Start::Running, goals: &[INSTALL, RESET, RESET, RESET] },
    Life { name: "power-fails", start: Start::Running, goals: &[INSTALL, RESET, Goal::Reset(ResetCause::PowerOn), Goal::Reset(ResetCause::PowerOn)] },
    Life {
        name: "re-arm",
        start: Start::Running,
        goals: &[INSTALL, RESET, Goal::Do(Act::Revert), RESET, Goal::Do(Act::Arm(Which::Other)), RESET, CONFIRM, RESET],
    },
    Life { name: "two-updates", start: Start::Running, goals: &[INSTALL, RESET, CONFIRM, install(Role::Third), RESET, CONFIRM, RESET] },
    Life {
        name: "rollback",
        start: Start::Running,
        goals: &[INSTALL, RESET, CONFIRM, RESET, Goal::Do(Act::Rollback), RESET, Goal::Do(Act::Rollback), RESET],
    },
    Life { name: "condemn", start: Start::Running, goals: &[INSTALL, RESET, CONFIRM, RESET, Goal::Do(Act::Condemn), RESET, INSTALL, RESET, CONFIRM] },
    Life {
        name: "floor",
        start: Start::Running,
        goals: &[install(Role::Higher), RESET, CONFIRM, RESET, install(Role::Old), Goal::Do(Act::Rollback)],
    },
    Life {
        name: "revoke",
        start: Start::Running,
        goals: &[install(Role::Revoking), RESET, CONFIRM, RESET, install(Role::Old), Goal::Do(Act::Arm(Which::Other)), RESET],
    },
    Life { name: "orphan", start: Start::Running, goals: &[install(Role::Orphaning), INSTALL, RESET, CONFIRM, install(Role::Orphaning), RESET] },
    Life { name: "fresh", start: Start::Fresh, goals: &[CONFIRM, RESET, install(Role::Third), RESET, CONFIRM] },
    Life { name: "fresh-one", start: Start::FreshOne, goals: &[CONFIRM, RESET, INSTALL, RESET, CONFIRM] },
    Life { name: "unproven", start: Start::Unproven, goals: &[RESET, RESET, RESET, INSTALL, RESET, CONFIRM] },
    Life {
        name: "last-resort",
        start: Start::Unproven,
        goals: &[RESET, RESET, install(Role::Higher), RESET, HANGS, HANGS, RESET, INSTALL, RESET, CONFIRM, RESET],
    },
    Life { name: "last-resort-hung", start: Start::Unproven, goals: &[HANGS, HANGS, INSTALL, RESET, Goal::Do(Act::Revert), RESET, RESET, RESET] },
    Life { name: "planted", start: Start::Planted, goals: &[Goal::Do(Act::Arm(Which::Other)), RESET, INSTALL, RESET, CONFIRM, RESET] },
    Life { name: "ruined", start: Start::Ruined, goals: &[install(Role::Third), RESET, CONFIRM, RESET] },
    Life { name: "downgraded-agent", start: Start::Downgraded, goals: &[Goal::Do(Act::OtherLayout(Role::New)), INSTALL, RESET, CONFIRM, RESET] },
    Life {
        name: "misuse",
        start: Start::Running,
        goals: &[
            CONFIRM,
            Goal::Do(Act::InstallInto(Which::Running, Role::New)),
            Goal::Do(Act::Offline(Slot::A, Role::New)),
            Goal::Do(Act::Reject(Which::Running)),
            Goal::Do(Act::Arm(Which::Other)),
            INSTALL,
            Goal::Do(Act::Arm(Which::Other)),
            Goal::Do(Act::ConfirmAs(Which::Other)),
            RESET,
            Goal::Do(Act::Arm(Which::Other)),
            Goal::Do(Act::Reject(Which::Other)),
            Goal::Do(Act::InstallInto(Which::Other, Role::Third)),
            Goal::Do(Act::ConfirmAs(Which::Other)),
            CONFIRM,
            CONFIRM,
            RESET,
        ],
    },
    Life {
        name: "two-writers",
        start: Start::Running,
        goals: &[
            Goal::Do(Act::Race { first: Rival::Install(Role::New), late: Rival::RejectOther }),
            Goal::Do(Act::Race { first: Rival::RejectOther, late: Rival::Install(Role::Third) }),
            Goal::Do(Act::Race { first: Rival::Install(Role::New), late: Rival::Install(Role::Third) }),
            RESET,
            Goal::Do(Act::Race { first: Rival::Confirm, late: Rival::Revert }),
            RESET,
            Goal::Do(Act::Race { first: Rival::Install(Role::Third), late: Rival::Install(Role::New) }),
            RESET,
            Goal::Do(Act::Race { first: Rival::Revert, late: Rival::Confirm }),
        ],
    },
];

impl Life {
    /// The life of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        LIVES.iter().find(|life| life.name == name)
    }

    /// The flash of a host that begins this life.
    #[must_use]
    pub fn content(&self, board: &Board) -> Content {
        let mut content = Content::new(board.size(), board.write_size);
        let confirmed = SlotState::confirmed(Role::Old.digest());
        let base = State { slots: BySlot { a: confirmed, ..State::new(0).slots }, ..State::new(0) };
        match self.start {
            Start::Running => write_journal(board, &mut content, &base, 1),
            Start::Full(room) => write_journal(board, &mut content, &base, places(board).saturating_sub(room)),
            Start::Downgraded => {
                write_journal(board, &mut content, &base, 1);
                write_foreign(board, &mut content, 1, 40);
            }
            Start::Fresh | Start::FreshOne => {}
            Start::Unproven => {
                let trial = SlotState::trial(Role::Old.digest(), &POLICY);
                let slots = BySlot { a: trial, ..State::new(0).slots };
                write_journal(board, &mut content, &State { slots, ..base }, 1);
            }
            Start::Ruined => {
                let rejected = SlotState { phase: Phase::Rejected, ..SlotState::confirmed(Role::New.digest()) };
                let b = SlotState { reason: Reason::HealthCheck, ..rejected };
                write_journal(board, &mut content, &State { slots: BySlot { a: confirmed, b }, ..base }, 1);
            }
            Start::Planted => {
                let b = SlotState::trial(Role::Orphaning.digest(), &POLICY);
                write_journal(board, &mut content, &State { slots: BySlot { a: confirmed, b }, preferred: Slot::B, ..base }, 1);
            }
        }
        if self.start != Start::Ruined {
            write_slot(board, &mut content, Slot::A, Role::Old);
        }
        match self.start {
            Start::Fresh | Start::Ruined => write_slot(board, &mut content, Slot::B, Role::New),
            Start::Planted => write_slot(board, &mut content, Slot::B, Role::Orphaning),
            _ => {}
        }
        content
    }
}

/// The room for records of the smaller log.
fn places(board: &Board) -> usize {
    board.logs[0].min(board.logs[1]) / board.stride()
}

fn write_slot(board: &Board, content: &mut Content, slot: Slot, role: Role) {
    let range = board.region(Region::Slot(slot));
    content.erase(range.clone());
    content.program(range.start, &padded(board, &role.image().slot));
}

/// Both logs with the same records, the last of which holds `state`.
fn write_journal(board: &Board, content: &mut Content, state: &State, count: usize) {
    for log in [Region::Log0, Region::Log1] {
        let range = board.region(log);
        content.erase(range.clone());
        for place in 0..count {
            let record = Record { sequence: 1 + place as u64, state: *state };
            let bytes = record.encode().expect("a possible state");
            content.program(range.start + place * board.stride(), &padded(board, &bytes));
        }
    }
}

fn write_foreign(board: &Board, content: &mut Content, place: usize, sequence: u64) {
    for log in [Region::Log0, Region::Log1] {
        let at = board.region(log).start + place * board.stride();
        content.put(at, &padded(board, &record_of_another_layout(sequence)), Unit::Written);
    }
}

/// A whole record as a newer release would write it.
fn record_of_another_layout(sequence: u64) -> [u8; RECORD] {
    let mut bytes = Record { sequence, state: State::new(0) }.encode().expect("a possible state");
    bytes[4] = 2;
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes[..124]);
    bytes[124..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Whole write units.
fn padded(board: &Board, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(board.write_size), 0xff);
    bytes
}
