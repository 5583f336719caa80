//! Faults against a recorded run: go to the moment, leave an instruction out, see how it ends.
//!
//! A run without fault is recorded once, with states to start from. A run with a fault is over as soon as it can not be told from the recorded one
//! any more: both end the same way then.

use crate::known::{Known, Passed, Step, Walk};
use crate::machine::{End, Machine, Snapshot, Stop};
use crate::memory::Words;

/// States kept of a run.
const SNAPSHOTS: u64 = 512;

/// How far behind or ahead of the recorded run one with a fault is still looked for, in instructions.
const WINDOW: u64 = 2048;

/// An address that the recorded run executes more often is no landmark.
const TIMES_AT_LANDMARK: u64 = 4;

/// Instructions of the recorded run from one landmark to the next one, at least.
const BETWEEN_LANDMARKS: u64 = 1024;

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The instruction with this number in the recorded run.
    One(u64),
    /// That one, and the one behind it in memory.
    Pair(u64),
    /// The instruction at this address, whenever it is reached.
    Every(u32),
}

/// How a run with a fault ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt<E> {
    /// Like the recorded run: from some moment on it was the same.
    Same,
    /// By itself.
    Ended(End),
    /// As another run did, which went through a state that this one came to.
    Known(E),
}

/// The executions of one address in a recorded run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The address.
    pub address: u32,
    /// The number of its first execution.
    pub first: u64,
    /// The number of its last execution.
    pub last: u64,
    /// How often it was executed.
    pub times: u64,
}

/// A run without fault.
#[derive(Debug)]
pub struct Reference {
    snapshots: Vec<Snapshot>,
    /// The words of RAM that the run touches from each snapshot to the next one, or to the end.
    touched: Vec<Words>,
    /// Half the address of each instruction.
    trace: Vec<u16>,
    visits: Vec<Visit>,
    end: End,
    last: Snapshot,
    console: String,
    timer_started: Option<u64>,
    interval: u64,
}

impl Reference {
    /// Records the run of a machine until it ends, or for `limit` instructions. The machine is left at the end, with landmarks along the run.
    pub fn record(machine: &mut Machine, limit: u64) -> Self {
        let start = machine.snapshot();
        let mut trace = Vec::new();
        let end = loop {
            trace.push((machine.pc() / 2) as u16);
            match machine.run_one() {
                Stop::End(end) => break end,
                _ if machine.count() >= limit => break End::Endless,
                _ => {}
            }
        };
        let last = machine.snapshot();
        let interval = (trace.len() as u64 / SNAPSHOTS).max(WINDOW / 2);
        machine.restore(&start);
        let mut snapshots = vec![start];
        let mut touched = Vec::new();
        while machine.count() + interval < trace.len() as u64 {
            touched.push(run_touching(machine, machine.count() + interval));
            snapshots.push(machine.snapshot());
        }
        touched.push(run_touching(machine, trace.len() as u64));
        machine.restore(&last);
        let visits = visits(&trace);
        machine.set_landmarks(landmarks(&visits).into_iter());
        Self { visits, snapshots, touched, trace, end, last, console: machine.console(), timer_started: machine.timer_started(), interval }
    }

    /// How it ended.
    #[must_use]
    pub const fn end(&self) -> End {
        self.end
    }

    /// What it printed.
    #[must_use]
    pub fn console(&self) -> &str {
        &self.console
    }

    /// The number of the instruction that started the timer.
    #[must_use]
    pub const fn timer_started(&self) -> Option<u64> {
        self.timer_started
    }

    /// How many instructions it has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.trace.len() as u64
    }

    /// Whether it has none. A recorded run has one at least.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.trace.is_empty()
    }

    /// The address of the instruction with this number.
    #[must_use]
    pub fn address(&self, number: u64) -> u32 {
        self.trace.get(number as usize).map_or(0, |half| u32::from(*half) * 2)
    }

    /// Every address that was executed, ascending.
    #[must_use]
    pub fn visits(&self) -> &[Visit] {
        &self.visits
    }

    /// Sets the machine to the moment before the instruction with this number.
    pub fn go_to(&self, machine: &mut Machine, number: u64) {
        let index = (number / self.interval).min(self.snapshots.len() as u64 - 1) as usize;
        machine.restore(&self.snapshots[index]);
        machine.run(number, None);
    }

    /// Runs with a fault, for at most `limit` instructions. A run that ends by itself leaves the machine as it was then. With `known`, which must be
    /// of this run alone, it is over where another one went through; the second value is what it went through itself.
    pub fn attempt<E: Copy>(&self, machine: &mut Machine, fault: Fault, limit: u64, known: Option<&Known<E>>) -> (Attempt<E>, Passed) {
        let (same_from, known) = match fault {
            Fault::One(number) | Fault::Pair(number) => (number, known),
            // The fault is not behind it: whoever comes to the same state without it may end otherwise.
            Fault::Every(address) => (self.visit(address).map_or(0, |visit| visit.last), None),
        };
        let follow = |machine: &mut Machine| {
            let mut walk = Walk::new(machine, known);
            (self.follow(&mut walk, same_from, limit), walk.into_passed())
        };
        self.inject(machine, fault, follow).unwrap_or_else(|end| (Attempt::Ended(end), Passed::default()))
    }

    /// The same, to the very end even when nothing tells the run from the recorded one any more.
    pub fn run_whole(&self, machine: &mut Machine, fault: Fault, limit: u64) -> End {
        let to_end = |machine: &mut Machine| run_to_end(&mut Walk::<End>::new(machine, None), limit);
        match self.inject(machine, fault, to_end) {
            Ok(Attempt::Ended(end) | Attempt::Known(end)) | Err(end) => end,
            Ok(Attempt::Same) => self.end,
        }
    }

    /// Goes to the moment of a fault and runs on from there with it; an error when the fault itself ends the run.
    fn inject<T>(&self, machine: &mut Machine, fault: Fault, go_on: impl Fn(&mut Machine) -> T) -> Result<T, End> {
        let (moment, left_out) = match fault {
            Fault::One(number) => (number, 1),
            Fault::Pair(number) => (number, 2),
            Fault::Every(address) => (self.visit(address).map_or(0, |visit| visit.first), 0),
        };
        self.go_to(machine, moment);
        for _ in 0..left_out {
            machine.skip_one().map_err(|trap| machine.end(trap))?;
        }
        let Fault::Every(address) = fault else { return Ok(go_on(machine)) };
        let skipped = machine.skip_always(address);
        let result = go_on(machine);
        if let Some(skipped) = skipped {
            machine.unskip(skipped);
        }
        Ok(result)
    }

    /// Whether a machine's flash is what the recorded run left.
    #[must_use]
    pub fn leaves_same_flash(&self, machine: &Machine) -> bool {
        machine.memory.has_same_flash(&self.last.memory)
    }

    fn visit(&self, address: u32) -> Option<&Visit> {
        self.visits.binary_search_by_key(&address, |visit| visit.address).ok().map(|index| &self.visits[index])
    }

    /// Runs on until the run ends or is the recorded one again; not looked for before `same_from`.
    ///
    /// Where only words differ that the recorded run leaves alone for a while, the run leaps over that while: it would go the same way.
    fn follow<E: Copy>(&self, walk: &mut Walk<'_, E>, same_from: u64, limit: u64) -> Attempt<E> {
        let mut stride = 1;
        let mut index = (same_from / self.interval + 1) as usize;
        while let Some(snapshot) = self.snapshots.get(index) {
            if walk.machine.count() > snapshot.count + WINDOW {
                index += 1;
                continue;
            }
            match meet(walk, snapshot) {
                Meeting::Over(attempt) => return attempt,
                Meeting::Missed => {
                    index += stride;
                    stride += stride.div_ceil(4);
                }
                Meeting::Met(words) => {
                    let untouched = self.touched[index..].iter().position(|touched| touched.meets(&words));
                    match untouched {
                        None => return Attempt::Same,
                        Some(0) => {}
                        Some(intervals) => {
                            index += intervals;
                            walk.machine.leap(&self.snapshots[index], &words);
                        }
                    }
                    index += 1;
                    stride = 1;
                }
            }
        }
        run_to_end(walk, limit)
    }
}

/// Runs until the run ends, comes back to a state that it was in before, or takes too long.
fn run_to_end<E: Copy>(walk: &mut Walk<'_, E>, limit: u64) -> Attempt<E> {
    let mut patience = WINDOW;
    while walk.machine.count() < limit {
        let snapshot = walk.machine.snapshot();
        patience *= 2;
        let until = (walk.machine.count() + patience).min(limit);
        if let Stop::End(end) = walk.run_one() {
            return Attempt::Ended(end);
        }
        loop {
            match walk.run(until, Some(snapshot.processor.pc)) {
                Step::Known(end) => return Attempt::Known(end),
                Step::Machine(Stop::End(end)) => return Attempt::Ended(end),
                Step::Machine(Stop::Limit | Stop::Landmark) => break,
                Step::Machine(Stop::Watched) if walk.machine.is_at(&snapshot) => return Attempt::Ended(End::Endless),
                Step::Machine(Stop::Watched) => {
                    if let Stop::End(end) = walk.run_one() {
                        return Attempt::Ended(end);
                    }
                }
            }
        }
    }
    Attempt::Ended(End::Endless)
}

/// What became of the search for a recorded state.
enum Meeting<E> {
    /// The machine is in that state but for these words.
    Met(Box<Words>),
    Missed,
    Over(Attempt<E>),
}

/// Runs up to a recorded state and some way past it.
fn meet<E: Copy>(walk: &mut Walk<'_, E>, snapshot: &Snapshot) -> Meeting<E> {
    match walk.run(snapshot.count.saturating_sub(WINDOW), None) {
        Step::Known(end) => return Meeting::Over(Attempt::Known(end)),
        Step::Machine(Stop::End(end)) => return Meeting::Over(Attempt::Ended(end)),
        Step::Machine(_) => {}
    }
    loop {
        match walk.run(snapshot.count + WINDOW, Some(snapshot.processor.pc)) {
            Step::Known(end) => return Meeting::Over(Attempt::Known(end)),
            Step::Machine(Stop::End(end)) => return Meeting::Over(Attempt::Ended(end)),
            Step::Machine(Stop::Limit | Stop::Landmark) => return Meeting::Missed,
            Step::Machine(Stop::Watched) => {
                if let Some(words) = walk.machine.difference(snapshot) {
                    return Meeting::Met(Box::new(words));
                }
                if let Stop::End(end) = walk.run_one() {
                    return Meeting::Over(Attempt::Ended(end));
                }
            }
        }
    }
}

/// Addresses along a run that it seldom comes to, some way from each other.
fn landmarks(visits: &[Visit]) -> Vec<u32> {
    let mut seldom: Vec<&Visit> = visits.iter().filter(|visit| visit.times <= TIMES_AT_LANDMARK).collect();
    seldom.sort_by_key(|visit| visit.first);
    let mut chosen: Vec<u32> = Vec::new();
    let mut next = 0;
    for visit in seldom.into_iter().filter(|visit| visit.first > 0) {
        if visit.first >= next {
            chosen.push(visit.address);
            next = visit.first + BETWEEN_LANDMARKS;
        }
    }
    chosen
}

/// Runs until so many instructions have run, and tells the words that they touch.
fn run_touching(machine: &mut Machine, count: u64) -> Words {
    let mut words = Words::default();
    while machine.count() < count {
        machine.touch(&mut words);
        if matches!(machine.run_one(), Stop::End(_)) {
            break;
        }
    }
    words
}

fn visits(trace: &[u16]) -> Vec<Visit> {
    let mut found: Vec<Option<Visit>> = vec![None; 1 << 16];
    for (number, half) in (0..).zip(trace) {
        let fresh = Visit { address: u32::from(*half) * 2, first: number, last: number, times: 0 };
        let visit = found[usize::from(*half)].get_or_insert(fresh);
        visit.last = number;
        visit.times += 1;
    }
    found.into_iter().flatten().collect()
}
