//! The product of flashes, lives, causes and budgets that is explored, and the table that keeps it from shrinking.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::board::{BOARDS, Board};
use crate::life::{LIVES, Life};
use crate::replay::replay;
use crate::script::{Causes, Script};
use crate::search::{Budget, Job, Tally, Violation, explore};
use crate::storm::weather;

/// How much is explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// One flash, for a look at a broken variant.
    Glance,
    /// What every change must pass: single cuts on all flashes and under all causes, single faults on all, double cuts on seven.
    Daily,
    /// All of it: double cuts and a cut beside a fault everywhere, triple cuts where a flash is small.
    Full,
}

/// Flashes on which two cuts are combined every day: write sizes of 1, 8, 16, 256 and 512 bytes, small and unequal ones.
const DOUBLE: [&str; 7] = ["1/128", "2/256", "8/1024", "16/2048", "256/4096", "512/2048", "unequal"];

/// The flash of a glance.
const GLANCE: &str = "unequal";

/// Flashes so large that every cause is tried in the full extent only.
const LARGE: [&str; 2] = ["32/131072", "disk"];

/// The flash whose logs have a thousand places each: two troubles are combined on it in the lives that go through storms only.
const MANY_PLACES: &str = "32/131072";

/// Lives that go through storms of cuts.
const STORMY: [&str; 4] = ["update", "update-full-0", "hangs", "revoke"];

/// How many scripts are told of each rule that is broken.
const TOLD: usize = 3;

/// Lives on which three cuts are combined.
const TRIPLE: [&str; 3] = ["update", "update-full-0", "hangs"];

/// What is explored, a row of the table each.
#[derive(Debug, Clone, Copy)]
struct Row {
    board: &'static Board,
    causes: Causes,
    budget: Budget,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} cuts={} faults={}", self.board.name, self.causes, self.budget.cuts, self.budget.faults)
    }
}

/// What came of it all.
#[derive(Debug)]
pub struct Report {
    /// Lives and tallies by row.
    pub rows: BTreeMap<String, (u64, Tally)>,
    /// What was broken, each in its shortest script.
    pub violations: Vec<Violation>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Everything that was judged.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.rows.values().fold(Tally::default(), |sum, (_, tally)| sum.and(*tally))
    }

    /// The report for machines.
    #[must_use]
    pub fn json(&self) -> String {
        let Tally { transitions, states, .. } = self.total();
        format!("{{\"cases\":{transitions},\"states\":{states},\"violations\":{},\"seconds\":{:.1}}}\n", self.violations.len(), self.seconds)
    }

    /// What is broken: of each rule the shortest scripts, and how many there are. `None` when nothing is.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let mut by_rule: BTreeMap<&str, Vec<&Violation>> = BTreeMap::new();
        for violation in &self.violations {
            by_rule.entry(violation.broken.rule).or_default().push(violation);
        }
        let rules = by_rule.len();
        let told = by_rule.into_iter().map(|(rule, mut violations)| {
            violations.sort_by_key(|violation| violation.script.troubles.len());
            let shortest: String =
                violations.iter().take(TOLD).map(|violation| format!("{}\n    {}\n", violation.script, violation.broken)).collect();
            format!("{shortest}{} lives break {rule}\n", violations.len())
        });
        let told: String = told.collect();
        (rules > 0).then(|| format!("{rules} rules are broken:\n{told}"))
    }

    /// The table to keep: rows in the order of their names.
    #[must_use]
    pub fn table(&self) -> String {
        let rows =
            self.rows.iter().map(|(row, (lives, tally))| format!("{row} lives={lives} transitions={} states={}\n", tally.transitions, tally.states));
        rows.collect()
    }

    /// What of a kept table this report lacks or has less of, and rows that the table does not know.
    #[must_use]
    pub fn shrunk(&self, kept: &str) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut known = BTreeSet::new();
        for line in kept.lines().filter(|line| !line.starts_with('#')) {
            match kept_row(line) {
                Some((row, expected)) => {
                    complaints.extend(self.less_than(row, expected));
                    known.insert(row);
                }
                None => complaints.push(format!("{line:?} is no row of the table: ROW lives=N transitions=N states=N")),
            }
        }
        let unknown = self.rows.keys().filter(|row| !known.contains(row.as_str()));
        complaints.extend(unknown.map(|row| format!("{row}: the table has no such row")));
        complaints
    }

    fn less_than(&self, row: &str, expected: [u64; 3]) -> Option<String> {
        let found = self.rows.get(row).map(|(lives, tally)| [*lives, tally.transitions, tally.states]);
        let is_less = found.is_none_or(|found| found.iter().zip(expected).any(|(found, expected)| *found < expected));
        is_less.then(|| format!("{row}: lives, transitions, states were {expected:?} and are {found:?}"))
    }
}

/// A row of a kept table: its name; lives, transitions and states.
fn kept_row(line: &str) -> Option<(&str, [u64; 3])> {
    let (row, lives) = line.split_once(" lives=")?;
    let (lives, transitions) = lives.split_once(" transitions=")?;
    let (transitions, states) = transitions.split_once(" states=")?;
    Some((row, [lives.parse().ok()?, transitions.parse().ok()?, states.parse().ok()?]))
}

/// Explores the rows of the product whose names contain `only`, on so many threads. `tell` hears of every finished life.
///
/// # Panics
/// When a thread does.
pub fn run(extent: Extent, only: &str, threads: usize, tell: impl Fn(&str) + Sync) -> Report {
    let begin = Instant::now();
    let (mut jobs, mut storms) = (jobs(extent), storms(extent));
    jobs.retain(|(row, _)| row.to_string().contains(only));
    storms.retain(|(board, _)| storms_of(board).contains(only));
    let (next, report) = (AtomicUsize::new(0), Mutex::new((BTreeMap::new(), Vec::new())));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (row, explored) = match (jobs.get(number), storms.get(number.saturating_sub(jobs.len()))) {
                (Some((row, job)), _) => (row.to_string(), explore(*job)),
                (None, Some((board, life))) => (storms_of(board), weather(board, life)),
                (None, None) => return,
            };
            tell(&row);
            let shown: Vec<Violation> = explored.violations.into_iter().map(shortest).collect();
            let mut report = report.lock().expect("no thread panics with the lock");
            add(report.0.entry(row).or_default(), explored.tally);
            report.1.extend(shown);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let stack = 64 << 20;
            std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, work).expect("a thread");
        }
    });
    let (rows, violations) = report.into_inner().expect("no thread panics with the lock");
    Report { rows, violations, seconds: begin.elapsed().as_secs_f64() }
}

fn add(row: &mut (u64, Tally), tally: Tally) {
    row.0 += 1;
    row.1 = row.1.and(tally);
}

/// The row of a flash's storms.
fn storms_of(board: &Board) -> String {
    format!("{} storms", board.name)
}

/// Flashes and lives that go through storms.
fn storms(extent: Extent) -> Vec<(&'static Board, &'static Life)> {
    let boards = BOARDS.iter().filter(|board| extent == Extent::Full || !LARGE.contains(&board.name));
    boards.flat_map(|board| STORMY.iter().filter_map(move |name| Some((board, Life::named(name)?)))).filter(|_| extent != Extent::Glance).collect()
}

/// The longest jobs first, so that threads end together.
fn jobs(extent: Extent) -> Vec<(Row, Job)> {
    let mut jobs: Vec<(Row, Job)> = rows(extent).into_iter().flat_map(jobs_of).collect();
    jobs.sort_by_key(|(row, job)| std::cmp::Reverse((row.budget.cuts + row.budget.faults, row.board.size(), job.life.goals.len())));
    jobs
}

fn jobs_of(row: Row) -> Vec<(Row, Job)> {
    let is_chosen = |life: &&Life| match (row.budget.total(), row.board.name) {
        (3.., _) => TRIPLE.contains(&life.name),
        (2, MANY_PLACES) => STORMY.contains(&life.name),
        _ => true,
    };
    LIVES.iter().filter(is_chosen).map(|life| (row, Job { board: row.board, life, causes: row.causes, budget: row.budget })).collect()
}

fn rows(extent: Extent) -> Vec<Row> {
    let is_chosen = |board: &&Board| extent != Extent::Glance || board.name == GLANCE;
    BOARDS.iter().filter(is_chosen).flat_map(|board| rows_of(extent, board)).collect()
}

fn rows_of(extent: Extent, board: &'static Board) -> Vec<Row> {
    let row = |causes, cuts, faults| Row { board, causes, budget: Budget { cuts, faults } };
    let (is_full, is_large) = (extent == Extent::Full, LARGE.contains(&board.name));
    let causes = if is_large && !is_full { &Causes::ALL[..1] } else { &Causes::ALL };
    let mut rows: Vec<Row> = causes.iter().map(|causes| row(*causes, 1, 0)).collect();
    rows.push(row(Causes::True, 0, 1));
    if extent != Extent::Glance && (is_full || DOUBLE.contains(&board.name)) {
        rows.push(row(Causes::True, 2, 0));
    }
    if is_full {
        rows.push(row(Causes::True, 1, 1));
        rows.extend(Causes::ALL.iter().skip(1).filter(|_| !is_large).map(|causes| row(*causes, 2, 0)));
    }
    if is_full && ["1/128", "8/1024"].contains(&board.name) {
        rows.push(row(Causes::True, 3, 0));
    }
    rows
}

/// The same violation with as few troubles as still show it.
fn shortest(violation: Violation) -> Violation {
    let mut best = violation;
    let mut index = 0;
    while index < best.script.troubles.len() {
        let mut script: Script = best.script.clone();
        script.troubles.remove(index);
        let broken = replay(&script, |_| {}).err().unwrap_or_default().into_iter().find(|broken| broken.rule == best.broken.rule);
        match broken {
            Some(broken) => best = Violation { script, broken },
            None => index += 1,
        }
    }
    best
}
