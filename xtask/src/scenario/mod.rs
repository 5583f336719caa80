//! What a board must do in a given situation: the situation, the changes made to it, and how console and flash are judged.
//!
//! A [`Scenario`] is a value. Everything that is needed to run one is in [`run`], everything that judges it in [`judge`].

mod cuts;
mod fault;
mod fixture;
mod judge;
mod report;
mod run;
mod seed;
mod situation;
pub(crate) mod store_cuts;
mod table;
pub(crate) mod vectors;

use crate::board::Board;
use crate::qemu::Reset;

pub(crate) use fixture::Fixture;
pub(crate) use report::{Outcome, Row, summary};
pub(crate) use run::{Calibration, Judged, Start, run};
pub(crate) use seed::{SEED, Sequence};
pub(crate) use situation::{CONFIRMED_BOOT, Situation, situations};
pub(crate) use table::{Chapter, chapters, scenarios};

/// A situation and what must come of it.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Boards it can not be run on, and why.
    pub(crate) not_on: Option<(Board, &'static str)>,
    pub(crate) flash: Flash,
    pub(crate) steps: Vec<Step>,
}

/// What lies in the flash before the first step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flash {
    pub(crate) a: Option<Image>,
    pub(crate) b: Option<Image>,
    pub(crate) golden: Option<Image>,
    pub(crate) staging: Option<Image>,
    pub(crate) confirmed: Option<Slot>,
    pub(crate) trial: Option<Slot>,
}

/// One run of the board, from power-on until it rests.
#[derive(Debug)]
pub(crate) struct Step {
    /// The trust anchor of the loader that runs.
    pub(crate) loader: AnchorFile,
    /// What happens to the flash before, while the power is off.
    pub(crate) changes: Vec<Change>,
    pub(crate) power: Power,
    pub(crate) expect: Expect,
}

/// How the power behaves during a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    Steady,
    /// The step is run once for each of this many moments; the power is cut there, and comes back.
    CutAt {
        moments: usize,
    },
}

/// Something that happens to the flash while the board is off.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Another bundle lies in staging.
    Stage(Image),
    /// Staging is erased.
    ClearStaging,
    /// The second half of the slot's header reads as erased: a write that was cut.
    TearHeader(Slot),
    /// One bit of the image's first part is flipped.
    FlipPayloadBit(Slot),
    /// Another image is written over what the slot holds; the journal is left alone.
    Put(Slot, Image),
    /// Both logs read as erased.
    LoseJournal,
    /// The second half of the newest record in one log reads as erased: a write that was cut.
    TearNewestRecord(Log),
}

/// One of the two logs of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    First,
    Second,
}

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    A,
    B,
}

impl Slot {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// A demo application, packed and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Image {
    pub(crate) version: Version,
    pub(crate) variant: Variant,
    /// The address that it is linked for.
    pub(crate) place: Place,
    /// The slot that its header admits.
    pub(crate) slot: SlotRule,
    pub(crate) product: Product,
    pub(crate) hardware: Hardware,
    pub(crate) security_counter: u32,
    pub(crate) revoke: &'static [Key],
    pub(crate) signers: &'static [Key],
    pub(crate) size: Size,
}

/// How long the image's part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Size {
    /// As long as the application is.
    Natural,
    /// Filled up to this many bytes.
    Filled(usize),
}

/// A version of the demo application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    pub(crate) major: u16,
    pub(crate) minor: u16,
    pub(crate) patch: u16,
    pub(crate) build: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}+{}", self.major, self.minor, self.patch, self.build)
    }
}

/// What an image does once it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Variant {
    Healthy,
    Hangs,
    Crashes,
    Silent,
    /// Not the demo application: a vector table and an empty loop. It touches no memory, so that what the loader left there can be looked at.
    Resting,
}

/// Where an image runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// In place, in slot A.
    InA,
    /// In place, in slot B.
    InB,
    /// Copied to RAM by the loader.
    Ram,
}

/// The slot that a header admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SlotRule {
    A,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Product {
    /// The board's own.
    Own,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Hardware {
    /// Any revision.
    Any,
    /// A revision that no board here has.
    OtherRevision,
}

/// One of the published test keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    One,
    Two,
    Three,
}

impl Key {
    pub(crate) const fn file_stem(self) -> &'static str {
        match self {
            Self::One => "key-1",
            Self::Two => "key-2",
            Self::Three => "key-3",
        }
    }
}

/// A trust anchor that loaders are built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AnchorFile {
    /// Key one or key two signs; key three is a stranger.
    Default,
    /// Two of the three keys must sign.
    TwoOfThree,
    /// Before a key rotation: key one.
    RotationOld,
    /// After it: key three.
    RotationNew,
    /// As the default, with a compiled-in floor that images of the first security counter are below.
    RaisedFloor,
}

impl AnchorFile {
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::Default => "trust.toml",
            Self::TwoOfThree => "trust-two-of-three.toml",
            Self::RotationOld => "trust-rotation-old.toml",
            Self::RotationNew => "trust-rotation-new.toml",
            Self::RaisedFloor => "trust-raised-floor.toml",
        }
    }
}

/// What must be seen, and what must be left in the flash.
#[derive(Debug)]
pub(crate) struct Expect {
    /// Lines that come in this order, other lines between them. `*` stands for any text.
    pub(crate) console: Vec<&'static str>,
    /// Lines that never come.
    pub(crate) never: &'static [&'static str],
    pub(crate) resets: Resets,
    pub(crate) writes: Writes,
    pub(crate) a: After,
    pub(crate) b: After,
}

/// What may be written to the flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    /// Not one byte changes.
    None,
    /// The journal, and what a slot must hold afterwards.
    Needed,
}

/// The ends of boots that must be seen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resets {
    /// As many as these; some by the watchdog, or none.
    Exactly(&'static [Reset]),
    /// Whatever the cut left to be done.
    Any,
}

/// A slot after a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After {
    /// What the journal says of it.
    pub(crate) phase: Phase,
    /// The code of the last reason; 0 = none.
    pub(crate) reason: u8,
    pub(crate) holds: Holds,
}

/// The phases of a slot, as the journal names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    Trial,
    Confirmed,
    Rejected,
}

impl Phase {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Trial => "trial",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
        }
    }
}

/// The bytes of a slot after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    /// The bytes from before the step, all of them.
    Unchanged,
    /// The image of the bundle in staging.
    Staged,
}
