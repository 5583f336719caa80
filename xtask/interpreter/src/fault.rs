//! Faults against a recorded run: go to the moment, leave an instruction out, see how it ends.
//!
//! A run without fault is recorded once, with states to start from. A run with a fault is over as soon as it can not be told from the recorded one any
//! more: both end the same way then.

use crate::machine::{End, Machine, Snapshot, Stop};

/// States kept of a run.
const SNAPSHOTS: u64 = 512;

/// How far behind or ahead of the recorded run one with a fault is still looked for, in instructions.
const WINDOW: u64 = 2048;

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
pub enum Attempt {
    /// Like the recorded run: from some moment on it was the same.
    Same,
    /// By itself.
    Ended(End),
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
    /// Half the address of each instruction.
    trace: Vec<u16>,
    visits: Vec<Visit>,
    end: End,
    last: Snapshot,
    console: String,
    interval: u64,
}

impl Reference {
    /// Records the run of a machine until it ends, or for `limit` instructions. The machine is left at the end.
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
        while machine.count() + interval < trace.len() as u64 {
            machine.run(machine.count() + interval, None);
            snapshots.push(machine.snapshot());
        }
        machine.restore(&last);
        Self { visits: visits(&trace), snapshots, trace, end, last, console: machine.console(), interval }
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

    /// How many instructions it has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.trace.len() as u64
    }

    /// Whether it has none. It always has.
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

    /// Runs with a fault, for at most `limit` instructions. A run that ends by itself leaves the machine as it was then.
    pub fn attempt(&self, machine: &mut Machine, fault: Fault, limit: u64) -> Attempt {
        let (number, same_from) = match fault {
            Fault::One(number) | Fault::Pair(number) => (number, number),
            Fault::Every(address) => self.visit(address).map_or((0, 0), |visit| (visit.first, visit.last)),
        };
        self.go_to(machine, number);
        match fault {
            Fault::One(_) => self.skip(machine, 1, same_from, limit),
            Fault::Pair(_) => self.skip(machine, 2, same_from, limit),
            Fault::Every(address) => {
                let skipped = machine.skip_always(address);
                let attempt = self.follow(machine, same_from, limit);
                if let Some(skipped) = skipped {
                    machine.unskip(skipped);
                }
                attempt
            }
        }
    }

    /// Whether a machine's flash is what the recorded run left.
    #[must_use]
    pub fn leaves_same_flash(&self, machine: &Machine) -> bool {
        machine.memory.has_same_flash(&self.last.memory)
    }

    fn visit(&self, address: u32) -> Option<&Visit> {
        self.visits.binary_search_by_key(&address, |visit| visit.address).ok().map(|index| &self.visits[index])
    }

    fn skip(&self, machine: &mut Machine, instructions: u8, same_from: u64, limit: u64) -> Attempt {
        for _ in 0..instructions {
            if let Err(trap) = machine.skip_one() {
                return Attempt::Ended(machine.end(trap));
            }
        }
        self.follow(machine, same_from, limit)
    }

    /// Runs on until the run ends or is the recorded one again; not looked for before `same_from`.
    fn follow(&self, machine: &mut Machine, same_from: u64, limit: u64) -> Attempt {
        let mut stride = 1;
        let mut index = (same_from / self.interval + 1) as usize;
        while let Some(snapshot) = self.snapshots.get(index) {
            if let Some(attempt) = meet(machine, snapshot) {
                return attempt;
            }
            index += stride;
            stride += stride.div_ceil(4);
        }
        match machine.run(limit, None) {
            Stop::End(end) => Attempt::Ended(end),
            _ => Attempt::Ended(End::Endless),
        }
    }
}

/// Runs up to a recorded state and some way past it. `Some` when the run ended, or met it.
fn meet(machine: &mut Machine, snapshot: &Snapshot) -> Option<Attempt> {
    if let Stop::End(end) = machine.run(snapshot.count.saturating_sub(WINDOW), None) {
        return Some(Attempt::Ended(end));
    }
    loop {
        match machine.run(snapshot.count + WINDOW, Some(snapshot.processor.pc)) {
            Stop::End(end) => return Some(Attempt::Ended(end)),
            Stop::Limit => return None,
            Stop::Watched if machine.is_at(snapshot) => return Some(Attempt::Same),
            Stop::Watched => {
                if let Stop::End(end) = machine.run_one() {
                    return Some(Attempt::Ended(end));
                }
            }
        }
    }
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
