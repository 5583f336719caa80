//! Runs scenarios: prepares the flash, lets the board run, gathers the evidence, has it judged.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use twinslot_config::layout::Span;

use super::judge::{Evidence, SlotEvidence, complaints};
use super::report::{Outcome, Row};
use super::table::CONFIRMED;
use super::{Change, Fixture, Image, Power, Scenario, Slot, Step, cuts};
use crate::qemu::{Ended, Launch, Limits, Machine, Rest, Transcript, decode_log};

/// How long a step may take, in calibration boots. The longest ones take about ten: three watchdog deadlines and five boots.
const BOOTS_OF_TIME: u32 = 300;

/// Time for everything that a calibration boot does not show: this machine being busy with something else for a while.
const GRACE: Duration = Duration::from_secs(60);

/// What the calibration boot itself is bounded by, as if a boot took so long. It takes a tenth of a second.
const UNHURRIED: Duration = Duration::from_secs(2);

/// More boots than any step takes.
const BOOTS: usize = 20;

/// How long the vectors may take, in calibration boots. Each of a thousand signatures takes less than a boot, which checks one too.
const BOOTS_OF_VECTORS: u32 = 1000;

/// How fast this machine emulates the board, measured in this run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration {
    boot: Duration,
}

impl Calibration {
    /// Boots a confirmed image and takes the time.
    pub(crate) fn measure(fixture: &mut Fixture) -> Result<Self> {
        let loader = fixture.loader(super::AnchorFile::Default)?;
        let flash = fixture.folder().join("calibration.img");
        fixture.flash(&CONFIRMED, &flash)?;
        let unhurried = Self { boot: UNHURRIED };
        let transcript = power_on(fixture, &loader, &flash, unhurried)?;
        ensure!(transcript.ended == Ended::AtRest, "the calibration boot did not come to rest; {}", transcript.describe());
        Ok(Self { boot: transcript.wall })
    }

    /// The bounds of a run.
    pub(crate) fn limits(self) -> Limits {
        Limits { time: GRACE + self.boot * BOOTS_OF_TIME, boots: BOOTS, rest: Rest::Application }
    }

    /// The bounds of a run of the vectors, which boots nothing.
    pub(super) fn limits_of_vectors(self) -> Limits {
        Limits { time: GRACE + self.boot * BOOTS_OF_VECTORS, boots: 0, rest: Rest::Vectors }
    }
}

/// Runs a scenario. What goes wrong in preparing it fails it too.
pub(crate) fn run(fixture: &mut Fixture, plugin: &Path, scenario: &Scenario, calibration: Calibration) -> Row {
    let started = Instant::now();
    let board = fixture.board();
    let (outcome, detail) = match scenario.not_on {
        Some((other, why)) if other == board => (Outcome::NotApplicable, why.to_owned()),
        _ => match run_steps(fixture, plugin, scenario, calibration) {
            Ok(Verdict::AsExpected(remark)) => (Outcome::Pass, remark),
            Ok(Verdict::Complaint(complaint)) => (Outcome::Fail, complaint),
            Err(error) => (Outcome::Fail, format!("{error:#}")),
        },
    };
    Row { board: board.name(), scenario: scenario.name, outcome, detail, seconds: started.elapsed().as_secs_f64() }
}

fn run_steps(fixture: &mut Fixture, plugin: &Path, scenario: &Scenario, calibration: Calibration) -> Result<Verdict> {
    let mut remark = String::new();
    let flash = fixture.folder().join(format!("{}.img", scenario.name));
    fixture.flash(&scenario.flash, &flash)?;
    let mut staged = scenario.flash.staging;
    for (index, step) in scenario.steps.iter().enumerate() {
        for change in &step.changes {
            fixture.apply(*change, &flash)?;
            staged = staged_after(*change, staged);
        }
        let loader = fixture.loader(step.loader)?;
        let staged_image = staged.map(|image| Ok::<_, anyhow::Error>(std::fs::read(fixture.image(&image)?)?)).transpose()?;
        let start = Start { fixture, loader: &loader, flash: &flash, staged: staged_image.as_deref(), step, calibration };
        let verdict = match step.power {
            Power::Steady => start.run_steady()?.complaint.map_or_else(|| Verdict::AsExpected(String::new()), Verdict::Complaint),
            Power::CutAt { moments } => cuts::run(&start, plugin, moments)?,
        };
        match verdict {
            Verdict::AsExpected(words) => remark.push_str(&words),
            Verdict::Complaint(complaint) => return Ok(Verdict::Complaint(format!("step {} of {}: {complaint}", index + 1, scenario.steps.len()))),
        }
    }
    Ok(Verdict::AsExpected(remark))
}

/// How a step, or a whole scenario, was judged.
pub(super) enum Verdict {
    /// With a remark, or without when it is empty.
    AsExpected(String),
    /// What is wrong, and what was seen.
    Complaint(String),
}

/// What lies in staging after a change.
const fn staged_after(change: Change, before: Option<Image>) -> Option<Image> {
    match change {
        Change::Stage(image) => Some(image),
        Change::ClearStaging => None,
        _ => before,
    }
}

/// A board at the start of a step.
pub(crate) struct Start<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) loader: &'a Path,
    pub(crate) flash: &'a Path,
    /// The image of the bundle in staging.
    pub(crate) staged: Option<&'a [u8]>,
    pub(crate) step: &'a Step,
    pub(crate) calibration: Calibration,
}

/// What a step showed, and what is wrong with it, if anything is.
pub(crate) struct Judged {
    pub(crate) transcript: Transcript,
    pub(crate) complaint: Option<String>,
}

impl Start<'_> {
    /// Runs the step with steady power and judges it.
    pub(crate) fn run_steady(&self) -> Result<Judged> {
        let before = read(self.flash)?;
        let transcript = power_on(self.fixture, self.loader, self.flash, self.calibration)?;
        Ok(Judged { complaint: self.judge(self.flash, &before, &transcript)?, transcript })
    }

    /// `None` when all is as expected, else every complaint and what was seen.
    pub(super) fn judge(&self, flash: &Path, before: &[u8], transcript: &Transcript) -> Result<Option<String>> {
        let after = read(flash)?;
        let journal = self.fixture.journal(flash)?;
        let layout = self.fixture.layout();
        let slot = |slot, span: Span| SlotEvidence { slot, before: region(before, span), after: region(&after, span), staged: self.staged };
        let flash_is_unchanged = before == after;
        let evidence =
            Evidence { flash_is_unchanged, transcript, journal: &journal, slots: [slot(Slot::A, layout.slot_a), slot(Slot::B, layout.slot_b)] };
        let complaints = complaints(&self.step.expect, &evidence);
        if complaints.is_empty() {
            return Ok(None);
        }
        let mut text = complaints.join("\n");
        let _ = write!(text, "\n{}\njournal: {}\nlog:", transcript.describe(), journal.trim());
        // A loader that was built without a log may have nothing to decode it with.
        for message in decode_log(self.loader, &transcript.log).unwrap_or_else(|error| vec![format!("(none: {error:#})")]) {
            let _ = write!(text, "\n    {message}");
        }
        Ok(Some(text))
    }
}

/// Switches the board on and watches it until it rests.
pub(super) fn power_on(fixture: &Fixture, loader: &Path, flash: &Path, calibration: Calibration) -> Result<Transcript> {
    let folder = tempfile::tempdir_in(fixture.folder()).context("can not make a folder for the run")?;
    let launch = Launch { board: fixture.board(), loader, flash, folder: folder.path(), plugin: None, fill: None };
    let mut transcript = Machine::start(&launch)?.watch(calibration.limits());
    let log = flash.with_extension("defmt");
    std::fs::rename(&transcript.log, &log).with_context(|| format!("can not keep the log {}", log.display()))?;
    transcript.log = log;
    Ok(transcript)
}

/// A flash file's bytes.
pub(super) fn read(flash: &Path) -> Result<Vec<u8>> {
    std::fs::read(flash).with_context(|| format!("can not read the flash {}", flash.display()))
}

/// The bytes of a region; a flash file that is too short for its layout has none.
fn region(flash: &[u8], span: Span) -> &[u8] {
    let range = usize::try_from(span.offset).ok().zip(usize::try_from(span.end()).ok());
    range.and_then(|(start, end)| flash.get(start..end)).unwrap_or_default()
}
