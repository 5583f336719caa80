//! What is cut: a commit, an erase, the write of a header, each with the flash that it begins with.

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use twinslot_bootloader::image::{HEADER_SIZE_U64, HeaderDigest, SIGNED_SIZE};
use twinslot_bootloader::journal::{RECORD_SIZE, SlotState, State};
use twinslot_bootloader::slot::Slot;
use twinslot_config::Layout;
use twinslot_config::layout::Span;

use super::flash::Content;
use super::model::{Cast, Trial};
use super::trace::Store;
use crate::scenario::table::{CONFIRMED, RUNNING};
use crate::scenario::{Fixture, Flash, Image, Place, Variant, Version};

/// The word that the boards' flash is written in.
const WORD: u64 = 4;

/// Records that a log holds at the start of a scene: not one, so that an older state is there to be found by mistake.
const RECORDS: usize = 3;

/// A flash, what the board does with it, and the stores that are cuts.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(super) flash: Content,
    /// What its journal holds.
    pub(super) begins: State,
    pub(super) cast: Cast,
    /// The image of the bundle in staging.
    pub(super) staged: Option<Vec<u8>>,
    /// What the board's console ends with.
    pub(super) last_line: &'static str,
    pub(super) window: Window,
    /// Whether only a full campaign plays it.
    pub(crate) is_long: bool,
}

/// The stores of a run that are cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// Everything that goes into the journal: one commit of the loader.
    Commit,
    /// The same with a full log in each half: the commit begins with an erase.
    CommitWithErase,
    /// What goes into the journal behind the loader's commit: that of the application.
    SecondCommit,
    /// The same where the loader's commit has filled the logs.
    SecondCommitWithErase,
    /// The erase of the unit that holds the header, and the header's write.
    Header,
    /// Every store.
    Whole,
}

impl Window {
    /// How many stores of the run precede each cut, ascending.
    pub(super) fn stores(self, stores: &[Store], layout: &Layout) -> Vec<usize> {
        let unit = Span { size: layout.flash.erase_size, ..layout.slot_b };
        let header = Span { size: HEADER_SIZE_U64, ..layout.slot_b };
        let is_meant = |store: &Store| match self {
            Self::Commit | Self::CommitWithErase | Self::SecondCommit | Self::SecondCommitWithErase => store.is_in(layout.journal, layout),
            Self::Header => store.is_in(header, layout) || (store.erases() && store.is_in(unit, layout)),
            Self::Whole => true,
        };
        let skipped = if matches!(self, Self::SecondCommit | Self::SecondCommitWithErase) { commit_stores(layout) } else { 0 };
        (1..).zip(stores).filter(|(_, store)| is_meant(store)).map(|(number, _)| number).skip(skipped).collect()
    }

    /// How many there must be, from the sizes alone.
    pub(super) fn at_least(self, layout: &Layout) -> usize {
        let words = |bytes: u64| usize::try_from(bytes / WORD).unwrap_or(usize::MAX);
        let logs: u64 = layout.logs().iter().map(|log| log.size).sum();
        match self {
            Self::Commit | Self::SecondCommit => commit_stores(layout),
            Self::CommitWithErase | Self::SecondCommitWithErase => words(logs) + commit_stores(layout),
            Self::Header => words(layout.flash.erase_size) + words(HEADER_SIZE_U64),
            Self::Whole => 3 * commit_stores(layout) + words(layout.flash.erase_size) + words(HEADER_SIZE_U64),
        }
    }

    /// The first and the last state, by their place in the scene's path, that the journal may hold at a cut.
    pub(super) const fn states(self) -> [usize; 2] {
        match self {
            Self::Commit | Self::CommitWithErase => [0, 1],
            Self::SecondCommit | Self::SecondCommitWithErase => [1, 2],
            Self::Header => [1, 1],
            Self::Whole => [0, 3],
        }
    }

    /// Whether a cut is made when every `stride`-th is enough: always, except in the padding behind a header, whose words are all alike.
    pub(super) fn is_kept(self, store: &Store, layout: &Layout, stride: usize) -> bool {
        let header = Span { size: HEADER_SIZE_U64, ..layout.slot_b };
        let word = usize::try_from(store.address / WORD).unwrap_or(0);
        self != Self::Header || store.is_in(header, layout) || word.is_multiple_of(stride)
    }
}

/// The stores of one commit: a record to each log.
fn commit_stores(layout: &Layout) -> usize {
    layout.logs().len() * RECORD_SIZE / usize::try_from(layout.flash.write_size).unwrap_or(RECORD_SIZE)
}

impl Scene {
    /// The states of the journal in a run that nothing disturbs.
    pub(super) fn path(&self) -> Vec<State> {
        self.path_from(&self.begins)
    }

    /// The same from another state.
    pub(super) fn path_from(&self, found: &State) -> Vec<State> {
        self.cast.path(found)
    }

    /// Whether nothing more comes after this line.
    pub(super) fn is_over(&self, line: &str) -> bool {
        line == self.last_line || matches!(line, "app: idle" | "app: hanging") || line.starts_with("twinslot: halt ")
    }
}

/// Every scene of a board.
pub(crate) fn scenes(fixture: &mut Fixture) -> Result<Vec<Scene>> {
    let full = usize::try_from(fixture.layout().logs()[0].size / fixture.layout().record_stride())?;
    Ok(vec![
        on_trial(fixture, "intent", WAITS, Window::Commit, RECORDS)?,
        on_trial(fixture, "intent-in-full-logs", WAITS, Window::CommitWithErase, full)?,
        on_trial(fixture, "confirm", CONFIRMS, Window::SecondCommit, RECORDS)?,
        install(fixture, "install-header", Window::Header)?,
        Scene { is_long: true, ..on_trial(fixture, "confirm-in-full-logs", CONFIRMS, Window::SecondCommitWithErase, full - 1)? },
        Scene { is_long: true, ..install(fixture, "install", Window::Whole)? },
    ])
}

/// An update to what runs.
const UPDATE: Image = Image { version: Version { major: 2, minor: 0, patch: 0, build: 1 }, place: Place::InB, ..RUNNING };

/// An image that tells its hand-off and does nothing more while it is on trial.
const WAITS: (Image, Trial, &str) = (Image { variant: Variant::Hangs, ..UPDATE }, Trial::Waits, "app: hanging");

/// An image that tells its hand-off and confirms itself.
const CONFIRMS: (Image, Trial, &str) = (UPDATE, Trial::Confirms(UPDATE.security_counter), "app: idle");

/// The smallest image that there is: what is installed.
const SMALL: Image = Image { variant: Variant::Resting, ..UPDATE };

/// An older one of that kind, which the install overwrites.
const OLD: Image = Image { version: Version { major: 0, minor: 9, patch: 0, build: 1 }, ..SMALL };

/// Slot A confirmed, slot B on trial, that many records in each log.
fn on_trial(
    fixture: &mut Fixture,
    name: &'static str,
    (image, trial, last_line): (Image, Trial, &'static str),
    window: Window,
    records: usize,
) -> Result<Scene> {
    let [a, b] = [digest(fixture, &RUNNING)?, digest(fixture, &image)?];
    let policy = fixture.layout().policy;
    let mut before = State::new(0);
    before.slots.a = SlotState::confirmed(a);
    let mut begins = before;
    begins.slots.b = SlotState::trial(b, &policy);
    begins.preferred = Slot::B;
    let flash = flash(fixture, name, &Flash { b: Some(image), ..CONFIRMED }, &history(before, begins, records))?;
    Ok(Scene { name, flash, begins, cast: Cast { trial, staged: None, policy }, staged: None, last_line, window, is_long: false })
}

/// Slot A confirmed and running, an older image confirmed in slot B, an update to slot B in staging.
fn install(fixture: &mut Fixture, name: &'static str, window: Window) -> Result<Scene> {
    let [a, b, staged] = [digest(fixture, &RUNNING)?, digest(fixture, &OLD)?, digest(fixture, &SMALL)?];
    let mut before = State::new(0);
    before.slots.b = SlotState::confirmed(b);
    before.preferred = Slot::B;
    let mut begins = before;
    begins.slots.a = SlotState::confirmed(a);
    begins.preferred = Slot::A;
    let content = Flash { b: Some(OLD), staging: Some(SMALL), ..CONFIRMED };
    let flash = flash(fixture, name, &content, &history(before, begins, RECORDS))?;
    let cast = Cast { trial: Trial::Rests, staged: Some(staged), policy: fixture.layout().policy };
    let image = std::fs::read(fixture.image(&SMALL)?)?;
    Ok(Scene { name, flash, begins, cast, staged: Some(image), last_line: "twinslot: boot slot=b why=trial", window, is_long: false })
}

/// `before` in all records but the last.
fn history(before: State, last: State, records: usize) -> Vec<State> {
    let mut states = vec![before; records.saturating_sub(1)];
    states.push(last);
    states
}

fn flash(fixture: &mut Fixture, name: &str, content: &Flash, history: &[State]) -> Result<Content> {
    let path = fixture.folder().join(format!("{name}.img"));
    fixture.flash(content, &path)?;
    let mut content = Content::read(&path, fixture.layout())?;
    content.set_journal(fixture.layout(), history)?;
    std::fs::remove_file(&path).with_context(|| format!("can not remove {}", path.display()))?;
    Ok(content)
}

/// What the journal knows an image by.
fn digest(fixture: &mut Fixture, image: &Image) -> Result<HeaderDigest> {
    let bytes = std::fs::read(fixture.image(image)?)?;
    let signed = bytes.get(..SIGNED_SIZE).context("an image is shorter than its header")?;
    let digest: [u8; 32] = Sha256::digest(signed).into();
    Ok(*digest.first_chunk().context("a digest has 32 bytes")?)
}
