//! Cuts the power at seeded moments of a step, lets it come back, and judges what the board makes of it.
//!
//! A first run without a cut counts the step's instructions, its stores into flash and its stores into the journal. The moments are spread over
//! the three counts: an even spread over time alone would hardly ever meet a commit. The cut is a SIGKILL of the emulator by the counting plugin,
//! so that the same number always meets the same instruction.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};

use super::run::{Start, Verdict, power_on, read};
use super::seed::{SEED, Sequence};
use crate::plugin::{Plan, Report};
use crate::qemu::{Ended, Launch, Machine, PluginRun, Transcript};

/// Runs of the board at the same time.
const AT_ONCE: usize = 2;

/// When the power is cut.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Instruction(u64),
    FlashStore(u64),
    JournalStore(u64),
}

/// How much there is to cut into.
#[derive(Debug, Clone, Copy)]
struct Counts {
    instructions: u64,
    flash_stores: u64,
    journal_stores: u64,
}

/// Cuts the power at that many moments. What is said of a pass is what the board came back to.
pub(super) fn run(start: &Start, plugin: &Path, moments: usize) -> Result<Verdict> {
    let counts = count(start, plugin)?;
    let moments = choose(counts, moments);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<CameBack>> {
        let mut came_back = Vec::new();
        while let Some((number, moment)) = take(&next, &moments) {
            let one = cut(start, plugin, number, moment).inspect_err(|_| next.store(moments.len(), Ordering::Relaxed))?;
            if let CameBack::Wrong(complaint) = &one {
                next.store(moments.len(), Ordering::Relaxed);
                let what = format!("power cut {number} of {} (seed {SEED:#x}) at {moment:?} of {counts:?}", moments.len());
                return Ok(vec![CameBack::Wrong(format!("{what}: {complaint}"))]);
            }
            came_back.push(one);
        }
        Ok(came_back)
    };
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread that cuts the power died"))))
            .collect::<Vec<_>>()
    });
    let came_back = results.into_iter().collect::<Result<Vec<_>>>()?.concat();
    Ok(verdict(&came_back))
}

/// What the board made of a cut.
#[derive(Debug, Clone, PartialEq, Eq)]
enum CameBack {
    /// The install begins, from its start or where it was.
    ToInstall,
    /// The trial boots.
    ToTrial,
    /// The update is confirmed already.
    ToUpdate,
    /// Not as it should, and how.
    Wrong(String),
}

fn verdict(came_back: &[CameBack]) -> Verdict {
    if let Some(CameBack::Wrong(complaint)) = came_back.iter().find(|one| matches!(one, CameBack::Wrong(_))) {
        return Verdict::Complaint(complaint.clone());
    }
    let count = |kind| came_back.iter().filter(|one| **one == kind).count();
    let (install, trial, update) = (count(CameBack::ToInstall), count(CameBack::ToTrial), count(CameBack::ToUpdate));
    Verdict::AsExpected(format!("{} cuts: back to the install {install}, to the trial {trial}, to the confirmed update {update}", came_back.len()))
}

fn take(next: &AtomicUsize, moments: &[Moment]) -> Option<(usize, Moment)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    moments.get(index).map(|moment| (index + 1, *moment))
}

/// Of ten moments four are spread over the instructions, three over the flash stores, three over those into the journal.
fn choose(counts: Counts, moments: usize) -> Vec<Moment> {
    let mut sequence = Sequence::new(SEED);
    let choose = |index: usize| match index % 10 {
        0..4 => Moment::Instruction(sequence.up_to(counts.instructions)),
        4..7 => Moment::FlashStore(sequence.up_to(counts.flash_stores)),
        _ => Moment::JournalStore(sequence.up_to(counts.journal_stores)),
    };
    (0..moments).map(choose).collect()
}

fn count(start: &Start, plugin: &Path) -> Result<Counts> {
    let whole = reference(start, plugin, Store::Flash)?;
    let journal = reference(start, plugin, Store::Journal)?;
    // The last hundredth is the board at rest, where the run without a cut may have been a little longer.
    let instructions = whole.count("instructions")? / 100 * 99;
    Ok(Counts { instructions, flash_stores: whole.count("stores")?, journal_stores: journal.count("stores")? })
}

/// Stores that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Flash,
    Journal,
}

fn plan(start: &Start, store: Store) -> Result<Plan> {
    let layout = start.fixture.layout();
    let base = layout.flash.base.context("the layout's flash has no address")?;
    let span = match store {
        Store::Flash => base..base + layout.flash_extent(),
        Store::Journal => base + layout.journal.offset..base + layout.journal.end(),
    };
    Ok(Plan { stores: Some(span), ..Plan::default() })
}

/// The whole step without a cut.
fn reference(start: &Start, plugin: &Path, store: Store) -> Result<Report> {
    let folder = tempfile::tempdir_in(start.fixture.folder())?;
    let flash = folder.path().join("flash.img");
    std::fs::copy(start.flash, &flash).context("can not copy the flash")?;
    let plan_path = folder.path().join("plan");
    let report = plan(start, store)?.write(&plan_path)?;
    let mut machine = Machine::start(&launch(start, plugin, &flash, folder.path(), &plan_path))?;
    let transcript = machine.watch(start.calibration.limits());
    ensure!(transcript.ended == Ended::AtRest, "the run without a power cut does not come to rest; {}", transcript.describe());
    machine.quit()?;
    Report::read(&report)
}

fn launch<'a>(start: &'a Start, plugin: &'a Path, flash: &'a Path, folder: &'a Path, plan: &'a Path) -> Launch<'a> {
    Launch { board: start.fixture.board(), loader: start.loader, flash, folder, plugin: Some(PluginRun { file: plugin, plan }), fill: None }
}

fn cut(start: &Start, plugin: &Path, number: usize, moment: Moment) -> Result<CameBack> {
    let flash = start.flash.with_extension(format!("cut-{number}.img"));
    std::fs::copy(start.flash, &flash).context("can not copy the flash")?;
    let before = read(&flash)?;
    let until_cut = run_until_cut(start, plugin, &flash, moment)?;
    let after_cut = power_on(start.fixture, start.loader, &flash, start.calibration)?;
    if let Some(complaint) = start.judge(&flash, &before, &after_cut)? {
        return Ok(CameBack::Wrong(format!("{complaint}\nbefore the cut: {}", until_cut.describe())));
    }
    std::fs::remove_file(&flash).and_then(|()| std::fs::remove_file(&after_cut.log)).context("can not remove the flash of a power cut")?;
    Ok(came_back_to(&after_cut))
}

fn came_back_to(transcript: &Transcript) -> CameBack {
    let shows = |prefix: &str| transcript.lines.iter().any(|line| line.starts_with(prefix));
    match (shows("app: installing "), shows("twinslot: boot slot=b why=trial")) {
        (true, _) => CameBack::ToInstall,
        (false, true) => CameBack::ToTrial,
        (false, false) => CameBack::ToUpdate,
    }
}

fn run_until_cut(start: &Start, plugin: &Path, flash: &Path, moment: Moment) -> Result<Transcript> {
    let folder = tempfile::tempdir_in(start.fixture.folder())?;
    let plan_path = folder.path().join("plan");
    let plan = match moment {
        Moment::Instruction(number) => Plan { cut_at_instruction: Some(number), ..Plan::default() },
        Moment::FlashStore(number) => Plan { cut_at_store: Some(number), ..plan(start, Store::Flash)? },
        Moment::JournalStore(number) => Plan { cut_at_store: Some(number), ..plan(start, Store::Journal)? },
    };
    plan.write(&plan_path)?;
    let mut machine = Machine::start(&launch(start, plugin, flash, folder.path(), &plan_path))?;
    let transcript = machine.watch(start.calibration.limits());
    ensure!(transcript.ended == Ended::Gone, "the power was not cut at {moment:?}; {}", transcript.describe());
    Ok(transcript)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_the_same_in_every_run_and_of_all_kinds() {
        let counts = Counts { instructions: 1_000_000, flash_stores: 1000, journal_stores: 100 };
        let first = format!("{:?}", choose(counts, 50));
        assert_eq!(first, format!("{:?}", choose(counts, 50)));
        assert_eq!(first.matches("Instruction").count(), 20);
        assert_eq!(first.matches("FlashStore").count(), 15);
        assert_eq!(first.matches("JournalStore").count(), 15);
    }
}
