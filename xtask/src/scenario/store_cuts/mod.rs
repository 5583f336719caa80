//! Cuts the power after every single store of a commit, of an erase and of a header's write, and judges what the board makes of each.
//!
//! One run of a [`Scene`] is traced by the plugin: the trace is the flash as each store left it, so it has what every possible cut leaves. The board is
//! then switched on with each of these flashes and judged by [`judge`] against [`model`], twice: coming back, and once more. That a cut leaves what the
//! trace says is checked by cutting: at every [`REAL_CUTS`]-th store in a short campaign, at every store in a full one, QEMU is killed right after the
//! store and must leave the same bytes. Coming back from these is traced too, and held to the rules of the flash. A full campaign cuts a second time,
//! while the board comes back.
//!
//! A board that was judged once with some flash is not run again with the same one: with `-icount` it would do the same.

mod flash;
mod judge;
mod model;
mod power;
mod replay;
mod report;
mod scene;
mod trace;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use twinslot_bootloader::journal::State;

use self::flash::Content;
use self::model::words_or_none;
use self::power::{Power, Rested, Tracing};
use self::trace::Store;
use crate::scenario::Fixture;

pub(crate) use replay::{Case, replay};
pub(crate) use report::{Row, summary};
pub(crate) use scene::{Scene, scenes};

/// Boards that run at the same time.
const AT_ONCE: usize = 2;

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Of the stores that may be thinned out, every how many-th is a cut. 1 = all.
    pub(crate) stride: usize,
    /// Every how many-th cut is made by killing QEMU, too.
    pub(crate) real_cuts: usize,
    /// After how many of the stores of coming back the power is cut again, evenly spread.
    pub(crate) second_cuts: usize,
}

/// Every how many-th cut of a short campaign is made by killing QEMU, too.
const REAL_CUTS: usize = 16;

impl Extent {
    /// What fits into a build check: every store of a commit, of a header and of its erase; of the padding behind a header every eighth.
    pub(crate) const SHORT: Self = Self { stride: 8, real_cuts: REAL_CUTS, second_cuts: 0 };

    /// Everything, and second cuts.
    pub(crate) const FULL: Self = Self { stride: 1, real_cuts: 1, second_cuts: 6 };
}

/// A board on which scenes are played.
pub(crate) struct Stage<'a> {
    pub(crate) fixture: &'a Fixture,
    pub(crate) loader: &'a Path,
    pub(crate) plugin: &'a Path,
    /// How long a run may take.
    pub(crate) time: Duration,
}

/// Plays a scene: counts its stores, cuts after each, judges. A complaint ends it.
pub(crate) fn play(stage: &Stage, scene: &Scene, extent: Extent) -> Result<Row> {
    let started = Instant::now();
    let mut row = Row::new(stage.fixture.board().name(), scene.name);
    row.complaint = play_all(stage, scene, extent, &mut row)?;
    row.seconds = started.elapsed().as_secs_f64();
    Ok(row)
}

fn play_all(stage: &Stage, scene: &Scene, extent: Extent, row: &mut Row) -> Result<Option<String>> {
    let power = Power::new(stage)?;
    let whole = power.on(&scene.flash, scene, Tracing::On)?;
    row.boots += 1;
    row.stores = whole.stores.len();
    if let Some(complaint) = judge::undisturbed(stage.fixture.layout(), scene, &whole) {
        return Ok(Some(format!("without a power cut: {complaint}")));
    }
    let cuts = match chosen(stage, scene, &whole.stores, extent) {
        Ok(cuts) => cuts,
        Err(complaint) => return Ok(Some(complaint)),
    };
    let run = Run { stage, scene, stores: &whole.stores, extent, judged: Mutex::default(), boots: AtomicUsize::new(0) };
    let done = run.all(&cuts)?;
    row.cuts = done.iter().filter(|one| one.complaint.is_none()).count();
    row.real_cuts = done.iter().map(|one| one.real_cuts).sum();
    row.second_cuts = done.iter().map(|one| one.second_cuts).sum();
    row.boots += run.boots.load(Ordering::Relaxed);
    Ok(done.into_iter().find_map(|one| one.complaint))
}

/// A cut: after how many stores of the run, and what the journal holds then.
#[derive(Debug, Clone, Copy)]
struct Cut {
    after: usize,
    found: State,
}

/// The cuts of the scene's window. A complaint when there are fewer stores than the sizes imply, or when a flash holds a state that is neither the one
/// before nor the one after a commit, or goes back to an earlier one.
fn chosen(stage: &Stage, scene: &Scene, stores: &[Store], extent: Extent) -> Result<Vec<Cut>, String> {
    let layout = stage.fixture.layout();
    let in_window = scene.window.stores(stores, layout);
    if in_window.len() < scene.window.at_least(layout) {
        let (count, least) = (in_window.len(), scene.window.at_least(layout));
        return Err(format!("the run has {count} stores to cut after, and the sizes of records, headers and erases imply {least} at least"));
    }
    let [first, last] = scene.window.states();
    let path = scene.path();
    let (mut content, mut done, mut at_least) = (scene.flash.clone(), 0, first);
    let mut cuts = Vec::new();
    for after in in_window {
        content.apply(&stores[done..after]);
        done = after;
        let holds = content.journal(layout).newest.map(|record| record.state);
        let position = path.iter().enumerate().position(|(index, state)| index >= at_least && index <= last && Some(*state) == holds);
        let Some(position) = position else {
            return Err(format!("after store {after} the journal holds {holds:?}, none of the states of this commit"));
        };
        at_least = position;
        cuts.push(Cut { after, found: path[position] });
    }
    if at_least != last {
        return Err(format!("after the last store the journal does not hold the state that was committed, but state {at_least} of {last}"));
    }
    Ok(cuts.into_iter().filter(|cut| scene.window.is_kept(&stores[cut.after - 1], layout, extent.stride)).collect())
}

/// The cuts of a scene under way.
struct Run<'a> {
    stage: &'a Stage<'a>,
    scene: &'a Scene,
    stores: &'a [Store],
    extent: Extent,
    /// Flashes that the board came back from as it should.
    judged: Mutex<HashSet<[u8; 32]>>,
    boots: AtomicUsize,
}

/// What became of one cut.
#[derive(Debug, Default)]
struct Done {
    real_cuts: usize,
    second_cuts: usize,
    complaint: Option<String>,
}

impl Run<'_> {
    /// All cuts, on [`AT_ONCE`] boards; no new one after a complaint.
    fn all(&self, cuts: &[Cut]) -> Result<Vec<Done>> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<Done>> {
            let power = Power::new(self.stage)?;
            let mut done = Vec::new();
            while let Some((index, cut)) = take(&next, cuts) {
                let one = self.cut(&power, index, cut).inspect_err(|_| next.store(cuts.len(), Ordering::Relaxed))?;
                if one.complaint.is_some() {
                    next.store(cuts.len(), Ordering::Relaxed);
                }
                done.push(one);
            }
            Ok(done)
        };
        let results = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread that cuts the power died"))).collect::<Vec<_>>()
        });
        Ok(results.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn cut(&self, power: &Power, index: usize, cut: Cut) -> Result<Done> {
        let mut done = Done::default();
        let mut left = self.scene.flash.clone();
        left.apply(&self.stores[..cut.after]);
        let tracing = if index.is_multiple_of(self.extent.real_cuts) { Tracing::On } else { Tracing::Off };
        if tracing == Tracing::On {
            done.real_cuts = 1;
            self.boots.fetch_add(1, Ordering::Relaxed);
            done.complaint = power.cut(&self.scene.flash, self.scene, cut.after, &left)?;
        }
        if done.complaint.is_none() {
            done.complaint = self.come_back(power, &left, cut.found, tracing)?;
        }
        if self.extent.second_cuts > 0 && done.complaint.is_none() {
            (done.second_cuts, done.complaint) = self.second_cuts(power, &left, cut)?;
        }
        done.complaint = done.complaint.map(|complaint| format!("cut after store {} of {}: {complaint}", cut.after, self.stores.len()));
        Ok(done)
    }

    /// Switches the board on, judges it, and does so once more: a board that came back stays so.
    fn come_back(&self, power: &Power, left: &Content, found: State, tracing: Tracing) -> Result<Option<String>> {
        let layout = self.stage.fixture.layout();
        let (mut content, mut found) = (left.clone(), found);
        for time in ["coming back", "the boot after that"] {
            let key = content.key(layout);
            if self.judged.lock().is_ok_and(|judged| judged.contains(&key)) {
                return Ok(None);
            }
            self.boots.fetch_add(1, Ordering::Relaxed);
            let Rested { shown, stores, after } = power.on(&content, self.scene, tracing)?;
            let boot = judge::Boot { before: &content, shown: &shown, after: &after };
            let complaint = judge::complaint(layout, self.scene, &found, &boot).or_else(|| trace::breach(&content, &stores, layout));
            if let Some(complaint) = complaint {
                return Ok(Some(format!("{time}: {complaint}")));
            }
            if let Ok(mut judged) = self.judged.lock() {
                judged.insert(key);
            }
            found = after.journal(layout).newest.context("a journal that was just judged holds nothing")?.state;
            content = after;
        }
        Ok(None)
    }

    /// Cuts the power again while the board comes back. Where the first of these cuts lies moves with the first cut, so that all stores have their turn.
    fn second_cuts(&self, power: &Power, left: &Content, first: Cut) -> Result<(usize, Option<String>)> {
        let layout = self.stage.fixture.layout();
        self.boots.fetch_add(1, Ordering::Relaxed);
        let back = power.on(left, self.scene, Tracing::On)?;
        let path = self.scene.path_from(&first.found);
        let stride = back.stores.len().div_ceil(self.extent.second_cuts).max(1);
        let mut count = 0;
        for after in (1 + first.after % stride..=back.stores.len()).step_by(stride) {
            let mut content = left.clone();
            content.apply(&back.stores[..after]);
            let holds = content.journal(layout).newest.map(|record| record.state);
            let complaint = match path.iter().find(|state| Some(**state) == holds) {
                Some(state) => self.come_back(power, &content, *state, Tracing::Off)?,
                None => Some(format!("the journal holds {}, none of the states of coming back", words_or_none(holds.as_ref()))),
            };
            if let Some(complaint) = complaint {
                return Ok((count, Some(format!("second cut after store {after} of coming back: {complaint}"))));
            }
            count += 1;
        }
        Ok((count, None))
    }
}

fn take(next: &AtomicUsize, cuts: &[Cut]) -> Option<(usize, Cut)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    cuts.get(index).map(|cut| (index, *cut))
}

#[cfg(test)]
mod tests;
