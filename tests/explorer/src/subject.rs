//! The code under test: the real boot and the real writer, over a recorded flash.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

use twinslot_bootloader::boot::{Arming, Config, Outcome, Ports, boot};
use twinslot_bootloader::handoff::{Booted, Handoff};
use twinslot_bootloader::install::{Host, InstallError, Session};
use twinslot_bootloader::reason::ResetCause;
use twinslot_bootloader::slot::Slot;

use crate::act::{Act, Which};
use crate::board::Board;
use crate::cast::Role;
use crate::content::Content;
use crate::medium::{Fault, Medium, MediumStorage, Recorded};
use crate::reader::{HEADER, POLICY};
use twinslot_tests::board::{RAM_BASE, SimMachine, SimMemory};
use twinslot_tests::crypto::CheapCrypto;
use twinslot_tests::flash::Breach;
use twinslot_tests::host::{LAYOUT, Settings, identity};
use twinslot_tests::model::End;
use twinslot_tests::storage::SimCounter;

/// One step of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The machine starts.
    Boot(ResetCause),
    /// What runs, or a tool, writes.
    Write(Act),
}

/// What a step did.
#[derive(Debug)]
pub struct Performed {
    /// What the flash holds after it.
    pub content: Content,
    /// The operations, in order.
    pub recorded: Vec<Recorded>,
    /// How many reads there were.
    pub reads: usize,
    /// The rules of the flash that were broken.
    pub breaches: Vec<Breach>,
    /// How it ended.
    pub ended: Ended,
}

/// How a step ended.
#[derive(Debug)]
pub enum Ended {
    /// A boot.
    Booted(Box<BootEnd>),
    /// A writer's work.
    Wrote(Result<(), InstallError>),
}

/// How a boot ended.
#[derive(Debug)]
pub struct BootEnd {
    /// What was decided.
    pub end: End,
    /// What the loader told.
    pub handoff: Handoff,
    /// The image whose bytes lie where they run, if they are an image's.
    pub runs: Option<Role>,
    /// Whether the watchdog was armed for a trial.
    pub has_deadline: bool,
}

/// The code under test, built for one write and erase size.
pub trait Subject: Sync + fmt::Debug {
    /// Does a step on a flash with this content. `handoff` is what the last boot told.
    fn perform(&self, board: &'static Board, content: &Content, handoff: &Handoff, step: Step, fault: Option<Fault>) -> Performed;
}

/// The real one.
#[derive(Debug)]
pub struct Real<const WRITE: usize, const ERASE: usize>;

impl<const WRITE: usize, const ERASE: usize> Subject for Real<WRITE, ERASE> {
    fn perform(&self, board: &'static Board, content: &Content, handoff: &Handoff, step: Step, fault: Option<Fault>) -> Performed {
        let mut content = content.clone();
        if matches!(step, Step::Boot(_)) {
            content.start();
        }
        let medium = Rc::new(RefCell::new(Medium::new(board, &content, fault)));
        let mut storage = MediumStorage::<WRITE, ERASE>::new(&medium);
        let ended = match step {
            Step::Boot(cause) => Ended::Booted(Box::new(start(&mut storage, cause))),
            Step::Write(act) => Ended::Wrote(write(&mut storage, handoff, act)),
        };
        drop(storage);
        let medium = Rc::into_inner(medium).expect("a step leaves no writer behind").into_inner();
        let (content, recorded, reads, breaches) = medium.finish();
        Performed { content, recorded, reads, breaches, ended }
    }
}

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings { policy: POLICY, ..Settings::new(1) });

/// Bytes of RAM for images, and how many of them belong to the loader.
const RAM: (usize, u64) = (4096, 512);

/// The hand-off of a host that has not started yet.
#[must_use]
pub fn no_handoff() -> Handoff {
    Handoff::new(&SETTINGS.anchor, LAYOUT, ResetCause::PowerOn)
}

fn start<const WRITE: usize, const ERASE: usize>(storage: &mut MediumStorage<WRITE, ERASE>, reset_cause: ResetCause) -> BootEnd {
    let config = Config {
        identity: identity(),
        anchor: &SETTINGS.anchor,
        policy: POLICY,
        layout: LAYOUT,
        watchdog: SETTINGS.watchdog,
        golden: SETTINGS.golden,
        recovery: SETTINGS.recovery,
        counter_floor: 0,
        reset_cause,
    };
    // New for each boot: nothing runs that this boot did not load.
    let mut memory = SimMemory::new(RAM.0, RAM.1);
    let mut machine = SimMachine::default();
    let mut handoff = no_handoff();
    let mut ports = Ports { storage, memory: &mut memory, crypto: &mut CheapCrypto, machine: &mut machine };
    let outcome = boot(&mut ports, &config, &mut handoff);
    let runs = Role::ALL.into_iter().find(|role| {
        let part = &role.image().slot[HEADER..];
        memory.peek(RAM_BASE, part.len() as u64) == part
    });
    BootEnd { end: end(&outcome, &handoff), handoff, runs, has_deadline: machine.armed.contains(&Arming::Trial) }
}

fn end(outcome: &Outcome, handoff: &Handoff) -> End {
    match (outcome, handoff.booted) {
        (Outcome::Boot(_), Booted::Slot(slot)) => End::Boot(slot, handoff.why),
        (Outcome::Boot(_), Booted::Golden) => End::Golden,
        (Outcome::Boot(_), Booted::Nothing) | (Outcome::Recover, _) => End::Recover,
        (Outcome::Halt(reason), _) => End::Halt(*reason),
    }
}

type RealSession<'a, const WRITE: usize, const ERASE: usize> = Session<'a, MediumStorage<WRITE, ERASE>, CheapCrypto, SimCounter>;

fn write<const WRITE: usize, const ERASE: usize>(storage: &mut MediumStorage<WRITE, ERASE>, handoff: &Handoff, act: Act) -> Result<(), InstallError> {
    let host = Host { identity: identity(), anchor: &SETTINGS.anchor, policy: POLICY, layout: LAYOUT };
    let (mut crypto, mut counter) = (CheapCrypto, SimCounter::default());
    match act {
        Act::Offline(slot, role) => {
            let mut session = Session::offline(storage, &mut crypto, &mut counter, host);
            let slot = session.inactive_slot(slot)?;
            install(&mut session, slot, role)
        }
        Act::OtherLayout(role) => {
            let host = Host { layout: [0xee; 32], ..host };
            let mut session = Session::open(storage, &mut crypto, &mut counter, host, handoff)?;
            work(&mut session, handoff, Act::Install(role))
        }
        Act::ConfirmAs(which) => {
            let claimed = claiming(handoff, which);
            Session::open(storage, &mut crypto, &mut counter, host, &claimed)?.confirm()
        }
        Act::Race { first, late } => {
            let mut other = storage.clone();
            let mut late_session = Session::open(storage, &mut crypto, &mut counter, host, handoff)?;
            write(&mut other, handoff, first.act())?;
            work(&mut late_session, handoff, late.act())
        }
        act => {
            let mut session = Session::open(storage, &mut crypto, &mut counter, host, handoff)?;
            work(&mut session, handoff, act)
        }
    }
}

/// What one session of a running host does.
fn work<const WRITE: usize, const ERASE: usize>(
    session: &mut RealSession<'_, WRITE, ERASE>,
    handoff: &Handoff,
    act: Act,
) -> Result<(), InstallError> {
    match act {
        Act::Install(role) => {
            let slot = session.inactive()?;
            install(session, slot, role)
        }
        Act::InstallInto(which, role) => {
            let slot = session.inactive_slot(which.slot(running(handoff)))?;
            install(session, slot, role)
        }
        Act::Confirm => session.confirm(),
        Act::Revert => session.revert(),
        Act::Condemn => session.condemn(),
        Act::Rollback => session.rollback(),
        Act::Arm(which) => session.arm(which.slot(running(handoff))),
        Act::Reject(which) => session.reject(which.slot(running(handoff))),
        Act::Offline(..) | Act::OtherLayout(_) | Act::ConfirmAs(_) | Act::Race { .. } => unreachable!("these open sessions of their own"),
    }
}

fn install<const WRITE: usize, const ERASE: usize>(
    session: &mut RealSession<'_, WRITE, ERASE>,
    slot: twinslot_bootloader::install::InactiveSlot,
    role: Role,
) -> Result<(), InstallError> {
    let image = role.image();
    let mut install = session.install(slot, image.header(), &image.table)?;
    while let Some(index) = install.next_chunk() {
        install.write_chunk(image.chunk(index))?;
    }
    install.finish()
}

/// The running slot; A where none runs.
#[must_use]
pub fn running(handoff: &Handoff) -> Slot {
    match handoff.booted {
        Booted::Slot(slot) => slot,
        Booted::Golden | Booted::Nothing => Slot::A,
    }
}

/// A hand-off that says that another slot runs.
fn claiming(handoff: &Handoff, which: Which) -> Handoff {
    Handoff { booted: Booted::Slot(which.slot(running(handoff))), ..handoff.clone() }
}
