//! `hosttool journal`: shows and changes the boot state in a flash image, through the writer that agents and applications use, with its refusals.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use twinslot_bootloader::{
    crypto::Builtin,
    image::Identity,
    install::{Host, InstallError, Session},
    journal::{Journal, Policy},
    slot::Slot,
    storage::{NoCounter, Storage},
};
use twinslot_config::{Layout, Trust};

use crate::{
    flash_file::{StorageJob, open_exclusively, with_storage},
    journal_view::JournalView,
    refusal::Refusal,
    report::{Failure, Outcome},
};

/// Arguments of `hosttool journal`.
#[derive(Debug, clap::Subcommand)]
pub enum Arguments {
    /// Show the boot state.
    Show {
        /// The flash image.
        #[arg(value_name = "FLASH")]
        flash: PathBuf,
        /// The board's layout.
        #[arg(long, value_name = "layout.toml")]
        layout: PathBuf,
    },
    /// Put the image in a slot on trial: it boots next. Refused unless it verifies.
    Arm(SlotArguments),
    /// Accept the trial in a slot. Refused unless it verifies; floor and revocations rise.
    Confirm(SlotArguments),
    /// Give a slot up. Refused for the only confirmed one.
    Reject(SlotArguments),
    /// Commit the newest record to both logs again; a lost journal gets one in which authentic images are on trial.
    Repair(WriterArguments),
}

/// Arguments of what changes one slot's state.
#[derive(Debug, clap::Args)]
pub struct SlotArguments {
    #[command(flatten)]
    writer: WriterArguments,
    /// The slot.
    #[arg(long, value_parser = super::parse_slot)]
    slot: Slot,
}

/// Arguments of what changes the journal.
#[derive(Debug, clap::Args)]
pub struct WriterArguments {
    /// The flash image.
    #[arg(value_name = "FLASH")]
    flash: PathBuf,
    /// The board's layout.
    #[arg(long, value_name = "layout.toml")]
    layout: PathBuf,
    /// Whom the board's loader trusts.
    #[arg(long, value_name = "trust.toml")]
    trust: PathBuf,
}

/// The journal of a flash image.
#[derive(Debug, Serialize)]
pub struct Shown {
    path: PathBuf,
    #[serde(flatten)]
    journal: JournalView,
}

/// What to change.
#[derive(Debug, Clone, Copy)]
enum Change {
    Arm(Slot),
    Confirm(Slot),
    Reject(Slot),
    Repair,
}

/// Shows or changes the boot state.
///
/// # Errors
/// The writer refuses the change, or a file can not be used.
pub fn run(arguments: &Arguments) -> Outcome {
    match arguments {
        Arguments::Show { flash, layout } => show(flash, &super::read_layout(layout)?),
        Arguments::Arm(SlotArguments { writer, slot }) => change(writer, Change::Arm(*slot)),
        Arguments::Confirm(SlotArguments { writer, slot }) => change(writer, Change::Confirm(*slot)),
        Arguments::Reject(SlotArguments { writer, slot }) => change(writer, Change::Reject(*slot)),
        Arguments::Repair(writer) => change(writer, Change::Repair),
    }
}

fn show(path: &Path, layout: &Layout) -> Outcome {
    let file = File::open(path).with_context(|| format!("{}: can not be opened", path.display()))?;
    let journal = with_storage(layout, &file, Open { policy: &layout.policy }).with_context(|| path.display().to_string())?;
    super::done(Shown { path: path.to_owned(), journal: JournalView::of(&journal) })
}

fn change(arguments: &WriterArguments, change: Change) -> Outcome {
    let layout = super::read_layout(&arguments.layout)?;
    let trust = super::read_trust(&arguments.trust)?;
    let file = open_exclusively(&arguments.flash)?;
    let changed =
        with_storage(&layout, &file, Apply { layout: &layout, trust: &trust, change }).with_context(|| arguments.flash.display().to_string())?;
    changed.map_err(|error| as_failure(error, &arguments.flash))?;
    show(&arguments.flash, &layout)
}

/// Opens the journal.
pub(crate) struct Open<'a> {
    pub(crate) policy: &'a Policy,
}

impl StorageJob for Open<'_> {
    type Output = Journal;

    fn run<S: Storage>(self, storage: &mut S) -> Journal {
        Journal::open(storage, self.policy)
    }
}

struct Apply<'a> {
    layout: &'a Layout,
    trust: &'a Trust,
    change: Change,
}

impl StorageJob for Apply<'_> {
    type Output = Result<(), InstallError>;

    fn run<S: Storage>(self, storage: &mut S) -> Self::Output {
        let anchor = self.trust.anchor();
        let identity = Identity { product: &self.layout.product, hardware: self.layout.hardware };
        let host = Host { identity, anchor: &anchor, policy: self.layout.policy, layout: self.layout.digest() };
        let (mut crypto, mut counter) = (Builtin, NoCounter);
        let mut session = Session::offline(storage, &mut crypto, &mut counter, host);
        match self.change {
            Change::Arm(slot) => session.arm(slot),
            Change::Confirm(slot) => session.confirm_offline(slot),
            Change::Reject(slot) => session.reject(slot),
            Change::Repair => session.repair(),
        }
    }
}

fn as_failure(error: InstallError, path: &Path) -> Failure {
    match error {
        InstallError::Refused(refusal) => Refusal::Journal(refusal).into(),
        failed @ (InstallError::Commit(_) | InstallError::Storage | InstallError::CounterNotRaised) => {
            Failure::Trouble(anyhow::anyhow!("{}: {failed}", path.display()))
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.journal)
    }
}
