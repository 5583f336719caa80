//! All states of one scene, each judged.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use twinslot_bootloader::journal::{RECORD_SIZE, Record};
use twinslot_config::Layout;
use twinslot_config::layout::Span;

use super::guest::Played;
use super::judge::{Fate, boot, explained};
use super::scene::{Expected, Scene, Stage, Verb};
use super::states::{Cut, Missing, State, Writes};
use super::write_log::{Entry, SECTOR, parse};
use crate::process;
use crate::scenario::Sequence;

/// Machines that run side by side.
const LANES: usize = 2;

/// Bytes that are compared at a time.
const BLOCK: usize = 1 << 20;

/// One scene's log and what follows from it.
pub(super) struct Campaign<'a> {
    stage: &'a Stage,
    scene: &'a Scene,
    seed: u64,
    before: PathBuf,
    writes: Writes,
    cuts: Vec<Cut>,
    /// By the number of a content, whether it is the scene's last record.
    deciding: Vec<bool>,
    log: LogRow,
    /// The log's entries, for people.
    entries: Vec<String>,
    /// What is wrong with the log itself.
    complaint: Option<String>,
}

/// What a log holds.
#[derive(Debug, Clone, Copy, Serialize)]
struct LogRow {
    journal_writes: usize,
    slot_writes: usize,
    /// Those that had something to flush.
    flushes: usize,
}

/// What came of a scene.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    scene: &'static str,
    #[serde(flatten)]
    log: LogRow,
    pub(super) states: usize,
    /// States on which the loader was started.
    pub(super) booted: usize,
    /// States with the scene's last record, which start the new image.
    after: usize,
    pub(super) failures: Vec<String>,
    seconds: f64,
}

impl<'a> Campaign<'a> {
    /// Reads what the scene has left.
    ///
    /// # Errors
    /// The log is not one of a whole scene: nothing that is built from it would mean anything.
    pub(super) fn load(stage: &'a Stage, scene: &'a Scene, seed: u64) -> Result<Self> {
        let Played { before, after, log } = Played::of(stage, scene)?;
        let entries = parse(&std::fs::read(&log).with_context(|| format!("can not read {}", log.display()))?)?;
        let (log, pending) = survey(&entries, stage.layout(), scene)?;
        let complaint = log.complaint(pending, scene);
        let told = entries.iter().map(|entry| describe(entry, stage.layout())).collect();
        let writes = Writes::new(&entries, &File::open(&before).with_context(|| format!("can not open {}", before.display()))?)?;
        let last = last_record(&writes, stage.layout())?;
        let is_last = |content: &[u8; SECTOR]| record_in(content, stage.layout()).is_some_and(|record| record.sequence == last);
        let (deciding, cuts) = (writes.which(is_last), writes.cuts(seed));
        let campaign = Self { stage, scene, seed, before, writes, cuts, deciding, log, entries: told, complaint };
        let context = || campaign.complaint.clone().unwrap_or_else(|| "every write was flushed".to_owned());
        campaign.check_end(&after).with_context(context)?;
        Ok(campaign)
    }

    /// Judges every state, and starts the loader on as many as asked for.
    pub(super) fn run(&self, boots: usize) -> Result<Row> {
        let (started, next) = (Instant::now(), AtomicUsize::new(0));
        let booted = self.chosen(boots);
        let work = &|number: usize| -> Result<Vec<String>> {
            let mut lane = Lane::new(self, number)?;
            let mut failures = Vec::new();
            loop {
                let state = next.fetch_add(1, Ordering::Relaxed);
                if state >= self.cuts.len() {
                    return Ok(failures);
                }
                let found = lane.judge(state, booted.contains(&state)).with_context(|| format!("state {state}"))?;
                failures.extend(found.map(|words| self.failure(state, &words)));
            }
        };
        let found = std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES).map(|number| scope.spawn(move || work(number))).collect();
            let mut all = Vec::new();
            for lane in lanes {
                all.extend(lane.join().map_err(|_| anyhow::anyhow!("the thread of a machine died"))??);
            }
            Ok::<_, anyhow::Error>(all)
        })?;
        let after = self.cuts.iter().filter(|cut| self.is_after(&self.writes.state(**cut))).count();
        ensure!(after > 0 && after < self.cuts.len(), "{after} of {} states have the scene's last record", self.cuts.len());
        Ok(Row {
            scene: self.scene.name,
            log: self.log,
            states: self.cuts.len(),
            booted: booted.len(),
            after,
            failures: self.complaint.iter().map(|words| format!("{}: {words}", self.scene.name)).chain(found).collect(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Starts the loader on one state and tells everything.
    pub(super) fn replay(&self, state: usize) -> Result<String> {
        let cut = self.cuts.get(state).with_context(|| format!("the scene has {} states", self.cuts.len()))?;
        let mut lane = Lane::new(self, 0)?;
        let complaint = lane.judge(state, true)?;
        let shown = boot(&self.stage.supply, &lane.disk, &lane.folder, Fate::Dropped)?;
        let verdict = complaint.map_or_else(|| "ok".to_owned(), |words| format!("FAIL {words}"));
        let entries: Vec<String> = (1..).zip(&self.entries[..cut.after]).map(|(number, entry)| format!("{number:>5} {entry}")).collect();
        let (entries, lines) = (entries.join("\n"), shown.lines.join("\n"));
        Ok(format!("{entries}\nstate {state}: {cut}\n{lines}\nthe disk is {}\n{verdict}", lane.disk.display()))
    }

    /// The states to start the loader on: all, or as many as are wanted. The seed chooses them, beside the first one, the last one and the first one
    /// with the last record.
    fn chosen(&self, boots: usize) -> BTreeSet<usize> {
        let mut states: Vec<usize> = (0..self.cuts.len()).collect();
        let mut random = Sequence::new(self.seed);
        let wanted = boots.min(states.len());
        if wanted == 0 {
            return BTreeSet::new();
        }
        let decided = states.iter().copied().find(|state| self.is_after(&self.writes.state(self.cuts[*state])));
        for at in 0..wanted {
            let other = at + (random.up_to((states.len() - at) as u64) - 1) as usize;
            states.swap(at, other);
        }
        let (first, last) = (Some(0), self.cuts.len().checked_sub(1));
        states.into_iter().take(wanted).chain([first, decided, last].into_iter().flatten()).collect()
    }

    fn failure(&self, state: usize, words: &str) -> String {
        format!("{} --seed {} --replay {state} ({}): {words}", self.scene.name, self.seed, self.cuts[state])
    }

    fn is_after(&self, state: &State) -> bool {
        state.iter().any(|number| self.deciding[*number as usize])
    }

    fn expected(&self, state: &State) -> Expected<'_> {
        if self.is_after(state) { self.stage.after(self.scene) } else { self.stage.before(self.scene) }
    }

    /// The log is complete: played on the disk before the scene it gives the disk after it, and that has the last record and the whole image.
    fn check_end(&self, after: &Path) -> Result<()> {
        ensure!(!self.is_after(self.writes.base()), "the scene's last record is there before the scene");
        let mut lane = Lane::new(self, 0)?;
        let end = self.writes.state(Cut { after: self.writes.len(), missing: Missing::Nothing });
        ensure!(self.is_after(&end), "the scene's last record is not there at its end");
        lane.hold(&end)?;
        ensure!(is_same(&lane.disk, after)?, "the log is not all that was written: played again, it gives another disk");
        ensure!(lane.holds_image()?, "at the end of the scene slot b does not hold the image");
        Ok(())
    }
}

/// A disk to judge states on.
struct Lane<'a> {
    campaign: &'a Campaign<'a>,
    folder: PathBuf,
    disk: PathBuf,
    file: File,
    held: State,
}

impl<'a> Lane<'a> {
    fn new(campaign: &'a Campaign<'a>, number: usize) -> Result<Self> {
        let folder = campaign.stage.folder(campaign.scene)?.join(format!("lane-{number}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("can not make the folder {}", folder.display()))?;
        let disk = folder.join("disk.img");
        process::output_of(Command::new("cp").arg("--sparse=always").arg(&campaign.before).arg(&disk))?;
        let file = OpenOptions::new().read(true).write(true).open(&disk).with_context(|| format!("can not open {}", disk.display()))?;
        Ok(Self { campaign, folder, disk, file, held: campaign.writes.base().clone() })
    }

    /// Lets the disk hold a state.
    fn hold(&mut self, state: &State) -> Result<()> {
        for (sector, content) in self.campaign.writes.differences(&self.held, state) {
            self.file.write_all_at(content, sector * SECTOR as u64)?;
        }
        self.held.clone_from(state);
        Ok(())
    }

    /// What is wrong with what follows from a state.
    fn judge(&mut self, state: usize, boots: bool) -> Result<Option<String>> {
        let Campaign { stage, writes, cuts, .. } = self.campaign;
        let state = writes.state(cuts[state]);
        let expected = self.campaign.expected(&state);
        self.hold(&state)?;
        if self.campaign.is_after(&state) && !self.holds_image()? {
            return Ok(Some("the last record is there and the image is not whole".to_owned()));
        }
        if let Some(complaint) = explained(&stage.supply, &self.disk, &expected)? {
            return Ok(Some(complaint));
        }
        if !boots {
            return Ok(None);
        }
        Ok(boot(&stage.supply, &self.disk, &self.folder, Fate::Dropped)?.complaint(&expected))
    }

    /// Whether slot B holds the new image, byte for byte.
    fn holds_image(&self) -> Result<bool> {
        let Stage { new, .. } = self.campaign.stage;
        let mut bytes = vec![0; new.bytes.len()];
        self.file.read_exact_at(&mut bytes, self.campaign.stage.layout().slot_b.offset)?;
        Ok(bytes == new.bytes)
    }
}

impl Row {
    pub(super) fn describe(&self) -> String {
        let Self { scene, log: LogRow { journal_writes, slot_writes, flushes }, states, booted, after, failures, seconds } = self;
        let word = if failures.is_empty() { "ok  " } else { "FAIL" };
        format!(
            "{word} {scene:<18} {slot_writes:>4} + {journal_writes:<4} writes to slot and journal, {flushes:>2} flushes: {states:>5} states, {after:>4} \
             of them with the last record; {booted:>5} booted ({seconds:.0} s)"
        )
    }
}

/// Counts what a log holds, and the writes at its end that were not flushed.
///
/// # Errors
/// Something was written elsewhere than the agent may.
fn survey(entries: &[Entry], layout: &Layout, scene: &Scene) -> Result<(LogRow, usize)> {
    let mut row = LogRow { journal_writes: 0, slot_writes: 0, flushes: 0 };
    let mut pending = 0;
    for entry in entries {
        let Entry::Write { sector, content } = entry else {
            row.flushes += usize::from(pending > 0);
            pending = 0;
            continue;
        };
        pending += 1;
        let (start, end) = (sector * SECTOR as u64, (sector + content.len() as u64) * SECTOR as u64);
        if is_within(start, end, layout.journal) {
            row.journal_writes += 1;
        } else if scene.verb == Verb::Install && is_within(start, end, layout.slot_b) {
            row.slot_writes += 1;
        } else {
            bail!("bytes {start:#x} to {end:#x} were written, which are nothing that the agent may write in scene {}", scene.name);
        }
    }
    Ok((row, pending))
}

/// Where a write went.
fn describe(entry: &Entry, layout: &Layout) -> String {
    let Entry::Write { sector, content } = entry else { return "flush".to_owned() };
    let at = sector * SECTOR as u64;
    let [log_0, log_1] = layout.logs();
    let regions = [("log 0", log_0), ("log 1", log_1), ("slot a", layout.slot_a), ("slot b", layout.slot_b)];
    let region = regions.into_iter().find(|(_, span)| is_within(at, at + 1, *span));
    let (name, start) = region.map_or(("disk", 0), |(name, span)| (name, span.offset));
    format!("{name} at {:#x}: {} bytes", at - start, content.len() * SECTOR)
}

impl LogRow {
    /// Less was flushed than must have been.
    fn complaint(&self, pending: usize, scene: &Scene) -> Option<String> {
        let least = Stage::least_flushes(scene);
        if self.flushes < least {
            return Some(format!("{} flushes with something to flush, there must be {least} or more", self.flushes));
        }
        (pending > 0).then(|| format!("{pending} writes at the end of the log were not flushed"))
    }
}

const fn is_within(start: u64, end: u64, span: Span) -> bool {
    start >= span.offset && end <= span.offset + span.size
}

/// The sequence of the newest record that was written.
fn last_record(writes: &Writes, layout: &Layout) -> Result<u64> {
    let end = writes.state(Cut { after: writes.len(), missing: Missing::Nothing });
    let records = writes.held(&end).filter(|(sector, _)| is_within(sector * SECTOR as u64, (sector + 1) * SECTOR as u64, layout.journal));
    records.filter_map(|(_, content)| record_in(content, layout)).map(|record| record.sequence).max().context("no record was written")
}

fn record_in(content: &[u8; SECTOR], layout: &Layout) -> Option<Record> {
    content.first_chunk::<RECORD_SIZE>().and_then(|bytes| Record::decode(bytes, &layout.policy))
}

/// Whether two files hold the same.
fn is_same(one: &Path, other: &Path) -> Result<bool> {
    let [one, other] = [one, other].map(|path| File::open(path).with_context(|| format!("can not open {}", path.display())));
    let (one, other) = (one?, other?);
    let len = one.metadata()?.len();
    if other.metadata()?.len() != len {
        return Ok(false);
    }
    let (mut first, mut second) = (vec![0; BLOCK], vec![0; BLOCK]);
    for at in (0..len).step_by(BLOCK) {
        let step = usize::try_from(len - at).unwrap_or(BLOCK).min(BLOCK);
        one.read_exact_at(&mut first[..step], at)?;
        other.read_exact_at(&mut second[..step], at)?;
        if first[..step] != second[..step] {
            return Ok(false);
        }
    }
    Ok(true)
}
