//! `hosttool explain`: a header, a journal or a hand-off in plain words, and what the next boot will do, with the rule behind each step.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use embedded_storage::nor_flash::ReadNorFlash as _;
use serde::Serialize;
use twinslot_bootloader::{
    crypto::Builtin,
    decide::{Fallback, Knowledge, Verified},
    image::{Expectations, HEADER_SIZE, Header, HeaderBytes, Identity, SlotUse},
    journal::{Journal, State},
    load::{LoadError, verify_stored},
    reason::ResetCause,
    rejection::Rejection,
    slot::Slot,
    storage::{Region, Storage},
};
use twinslot_config::{Layout, Trust};

use super::inspect::{Inspection, inspect};
use crate::{
    board_memory::try_load,
    bundle_file::BundleFile,
    flash_file::{StorageJob, fill_erased, with_storage},
    image_file::{ImageFile, Use},
    journal_view::JournalView,
    next_boot::{NextBoot, Start, assume_good, next_boot},
    plain_words::header_in_words,
    recognize::{Content, recognize},
    refusal::Refusal,
    report::{Failure, Outcome},
};

/// Arguments of `hosttool explain`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A slot image, a bundle, a hand-off dump, or with --layout a journal region or a whole flash image.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The board's layout: needed for a journal region or a flash image.
    #[arg(long, value_name = "layout.toml")]
    layout: Option<PathBuf>,
    /// Whom the board's loader trusts: with it, the images in a flash image are verified as the loader would.
    #[arg(long, value_name = "trust.toml", requires = "layout")]
    trust: Option<PathBuf>,
    /// Why the machine starts: power-on, watchdog, software, fault or unknown.
    #[arg(long, default_value = "power-on", value_parser = parse_reset_cause)]
    reset_cause: ResetCause,
}

/// A file in plain words.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Explanation {
    /// A header.
    Header {
        /// `header`.
        kind: &'static str,
        /// Sentences about it.
        words: Vec<String>,
    },
    /// A hand-off.
    Handoff(Box<Inspection>),
    /// A journal, and what follows from it.
    Journal {
        /// `journal`.
        kind: &'static str,
        /// What the logs hold.
        journal: Box<JournalView>,
        /// What the next boot will do.
        next_boot: NextBoot,
    },
}

/// Explains a file.
///
/// # Errors
/// The file can not be read, or is none of what this command knows.
pub fn run(arguments: &Arguments) -> Outcome {
    explain(arguments).map_err(|failure| failure.about(&arguments.file)).and_then(super::done)
}

fn explain(arguments: &Arguments) -> Result<Explanation, Failure> {
    let path = arguments.file.as_path();
    match recognize(path)? {
        Content::Slot => Ok(header(&ImageFile::open(path, Use::Reading)?.framed()?)?),
        Content::Bundle => Ok(header(&BundleFile::read(path)?.framed()?)?),
        Content::Handoff(_) => Ok(Explanation::Handoff(Box::new(inspect(path)?))),
        Content::Other => explain_journal(arguments, path),
    }
}

/// A journal region or a flash image: the layout says which, by the length.
fn explain_journal(arguments: &Arguments, path: &Path) -> Result<Explanation, Failure> {
    let Some(layout) = &arguments.layout else {
        let reason = "neither a slot image nor a bundle nor a hand-off dump; for a journal region or a flash image give --layout";
        return Err(Refusal::UnknownFile { path: path.to_owned(), reason: reason.to_owned() }.into());
    };
    let layout = super::read_layout(layout)?;
    let trust = arguments.trust.as_deref().map(super::read_trust).transpose()?;
    let file = File::open(path).with_context(|| format!("{}: can not be opened", path.display()))?;
    let len = file.metadata().with_context(|| format!("{}: can not be read", path.display()))?.len();
    let (file, trust) = if len == layout.journal.size { (around_journal(path, &layout)?, None) } else { (file, trust) };
    let explain = Explain { layout: &layout, trust: trust.as_ref(), reset_cause: arguments.reset_cause };
    Ok(with_storage(&layout, &file, explain).with_context(|| path.display().to_string())?)
}

fn header(framed: &HeaderBytes<'_>) -> Result<Explanation, Rejection> {
    Ok(Explanation::Header { kind: "header", words: header_in_words(framed)? })
}

/// An erased flash that holds nothing but this journal region.
fn around_journal(path: &Path, layout: &Layout) -> Result<File, Failure> {
    use std::os::unix::fs::FileExt as _;
    let journal = super::read_file(path)?;
    let file = tempfile::tempfile().context("a temporary file can not be created")?;
    let filled = fill_erased(&file, 0, layout.flash_extent()).and_then(|()| file.write_all_at(&journal, layout.journal.offset));
    filled.context("a temporary file can not be written")?;
    Ok(file)
}

struct Explain<'a> {
    layout: &'a Layout,
    trust: Option<&'a Trust>,
    reset_cause: ResetCause,
}

impl StorageJob for Explain<'_> {
    type Output = Explanation;

    fn run<S: Storage>(self, storage: &mut S) -> Explanation {
        let journal = Journal::open(storage, &self.layout.policy);
        let images = if self.trust.is_some() {
            "with the images as the loader would find them"
        } else {
            "assuming that every image the journal speaks of is good"
        };
        let golden = if self.layout.golden.is_some() { Fallback::Untried } else { Fallback::Absent };
        let start = Start { journal: &journal, policy: &self.layout.policy, reset_cause: self.reset_cause, golden, images };
        let next_boot = next_boot(start, |slot, state| match self.trust {
            Some(trust) => examine(storage, self.layout, trust, slot, state),
            None => assume_good(slot, state),
        });
        Explanation::Journal { kind: "journal", journal: Box::new(JournalView::of(&journal)), next_boot }
    }
}

/// What the loader would find in a slot.
fn examine<S: Storage>(storage: &mut S, layout: &Layout, trust: &Trust, slot: Slot, state: Option<&State>) -> Knowledge {
    match verify(storage, layout, trust, slot, state) {
        Ok(header) => Knowledge::Verified(Verified::of(&header)),
        Err(LoadError::Refused(rejection)) => Knowledge::Refused(rejection),
        Err(LoadError::Storage) => Knowledge::ReadError,
    }
}

fn verify<S: Storage>(storage: &mut S, layout: &Layout, trust: &Trust, slot: Slot, state: Option<&State>) -> Result<Header, LoadError> {
    let mut window = storage.region(Region::Slot(slot));
    let mut bytes = [0; HEADER_SIZE];
    window.read(0, &mut bytes)?;
    let expect = Expectations {
        identity: Identity { product: &layout.product, hardware: layout.hardware },
        slot_use: SlotUse::Slot(slot),
        slot_size: window.size().into(),
        write_size: layout.flash.write_size,
        floor: state.map_or(0, |state| state.floor),
        revoked: state.map_or(&[], |state| &state.revoked),
    };
    let header = Header::verify(&bytes, &trust.anchor(), &expect, &mut Builtin)?;
    verify_stored(&header, &mut window, &mut Builtin)?;
    try_load(&header, Region::Slot(slot), &mut window, layout)?;
    Ok(header)
}

fn parse_reset_cause(text: &str) -> Result<ResetCause, String> {
    const ALL: [ResetCause; 5] = [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Software, ResetCause::Fault, ResetCause::Unknown];
    ALL.into_iter().find(|cause| cause.name() == text).ok_or_else(|| "expected power-on, watchdog, software, fault or unknown".to_owned())
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { words, .. } => words.iter().try_for_each(|sentence| writeln!(f, "{sentence}")),
            Self::Handoff(inspection) => inspection.fmt(f),
            Self::Journal { journal, next_boot, .. } => write!(f, "{journal}{next_boot}"),
        }
    }
}
