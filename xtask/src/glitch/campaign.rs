//! Every fault of one host, tried.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Result, ensure};
use thumb_interpreter::{Attempt, End, Fault, Known, Machine, Reference, Stop};

use super::LONGEST_BOOT;
use super::code::{Owner, Owners, READER};
use super::hosts::{Case, Host, Standing};
use crate::scenario::{SEED, Sequence};

/// Threads that try faults.
const THREADS: usize = 2;

/// Executions inside crypto and hash loops that a seed chooses on each host.
const CHOSEN_IN_CRYPTO: u64 = 1000;

/// Later executions in our own code that a seed chooses on each host, to be left out alone (unless all are) and with the instruction behind.
const CHOSEN_IN_OURS: u64 = 500;

/// The same where everything is tried, with the instruction behind; alone all are left out.
const CHOSEN_PAIRS: u64 = 20_000;

/// Of the executions with a known end one in so many is run to its own end as well. A prime number, so that no loop is left out.
const CHECKED_ONE_IN: u64 = 251;

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What fits into some minutes: every address, and of the later executions in our own code some that a seed chooses.
    Short,
    /// Everything.
    Full,
}

impl Extent {
    /// After how many instructions a run is called endless, when the one without fault has `instructions`: with `Full` there is time for everything
    /// twice, and for one more signature.
    const fn limit(self, instructions: u64) -> u64 {
        match self {
            Self::Short => instructions + 1_000_000,
            Self::Full => instructions * 2 + 4_000_000,
        }
    }
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The first execution of an address.
    First,
    /// The first execution of an address, and the instruction behind it.
    Pair,
    /// Every execution of an address.
    Every,
    /// Any other execution of an address.
    Later,
    /// The same, and the instruction behind it.
    LaterPair,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Pair => "pair",
            Self::Every => "every",
            Self::Later => "later",
            Self::LaterPair => "later pair",
        }
    }
}

/// What is tried on a host where not everything is: hosts go the same way up to some point, and what one has shown the next one need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    /// Everything but what `--full` adds in crypto crates: pairs and instructions that are never executed.
    AllCode,
    /// The journal differs, crypto and hash do not: single instructions of our own code.
    OurCode,
    /// From the first point of the curve on: what accepts the image, or would.
    BehindSignature,
    /// The same, single instructions.
    SinglesBehindSignature,
}

impl Scope {
    const fn of(case: Case, extent: Extent) -> Self {
        match (extent, case.flaw.is_in_a_signature(), case.standing) {
            (Extent::Full, ..) => Self::Everything,
            (_, true, Standing::Confirmed) => Self::AllCode,
            (_, true, Standing::Trial) => Self::OurCode,
            (_, false, Standing::Confirmed) => Self::BehindSignature,
            (_, false, Standing::Trial) => Self::SinglesBehindSignature,
        }
    }

    fn has(self, trial: &Trial, is_behind_signature: bool) -> bool {
        let is_ours = trial.owner == Owner::Ours;
        let is_single = matches!(trial.kind, Kind::First | Kind::Every);
        match self {
            Self::Everything => true,
            Self::AllCode => trial.owner != Owner::CryptoCrate || matches!(trial.kind, Kind::First | Kind::Later),
            Self::OurCode => is_ours && is_single,
            // Code that reads the journal reads the header later on: left out at every execution it counts, wherever its first one is.
            Self::BehindSignature => is_ours && (is_behind_signature || trial.kind == Kind::Every),
            Self::SinglesBehindSignature => is_ours && (is_behind_signature && is_single || trial.kind == Kind::Every),
        }
    }
}

/// One fault to try.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    pub(super) kind: Kind,
    pub(super) fault: Fault,
    pub(super) address: u32,
    pub(super) owner: Owner,
}

/// How a fault ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// The image starts.
    Bypassed,
    /// The image starts at the next boot, which has no fault: the fault has changed the flash.
    BypassedLater,
    /// It rests as a loader that has refused does: asleep, or in a loop of one instruction.
    Refused,
    /// The processor took a fault exception.
    Faulted,
    /// A reset was asked for.
    Reset,
    /// It went on without an end.
    Endless,
    /// The interpreter does not know an instruction that it met.
    Unknown,
    /// It starts the image, and another one that went through the same state does not, or the other way round.
    Contradictory,
}

impl Outcome {
    pub(super) const ALL: [Self; 8] =
        [Self::Bypassed, Self::BypassedLater, Self::Refused, Self::Faulted, Self::Reset, Self::Endless, Self::Unknown, Self::Contradictory];

    pub(super) const fn is_bypass(self) -> bool {
        matches!(self, Self::Bypassed | Self::BypassedLater)
    }

    /// Whether it says nothing about the loader.
    pub(super) const fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown | Self::Contradictory)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Bypassed => "BYPASS",
            Self::BypassedLater => "BYPASS at the next boot",
            Self::Refused => "refused",
            Self::Faulted => "fault",
            Self::Reset => "reset",
            Self::Endless => "endless",
            Self::Unknown => "unknown",
            Self::Contradictory => "CONTRADICTORY",
        }
    }
}

/// A fault that was tried and did not end harmlessly, or whose end is not known.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) trial: Trial,
    pub(super) outcome: Outcome,
    /// Where in the sources.
    pub(super) place: String,
    /// The instruction's number in the run without fault.
    pub(super) number: u64,
}

/// What a host gave.
pub(super) struct Results {
    pub(super) case: Case,
    /// Instructions of the run without fault.
    pub(super) instructions: u64,
    pub(super) addresses: usize,
    pub(super) counts: BTreeMap<(Kind, Owner, Outcome), u64>,
    pub(super) findings: Vec<Finding>,
}

/// A host whose run without fault is known.
pub(super) struct Attack<'a> {
    case: Case,
    machine: Machine,
    reference: Reference,
    owners: Owners,
    owner_of_each: Vec<Owner>,
    /// Executions that read the manifest of an image with one bad field; on other hosts there are none.
    readers: Vec<u64>,
    limit: u64,
    extent: Extent,
    /// How runs ended that went through certain states.
    known: Known<Outcome>,
    /// How a boot without fault ends from a flash that a fault has left.
    next_boots: Mutex<HashMap<Vec<u8>, bool>>,
    host: &'a Host,
}

impl<'a> Attack<'a> {
    /// Records the run without fault, which must refuse the image.
    pub(super) fn prepare(case: Case, host: &'a Host, extent: Extent) -> Result<Self> {
        let mut machine = host.machine();
        let reference = Reference::record(&mut machine, LONGEST_BOOT);
        let console = reference.console();
        ensure!(matches!(reference.end(), End::Resting(_)), "{case}: without a fault the loader does not halt but ends with {:?}", reference.end());
        let expected = case.halt_line();
        ensure!(console.lines().any(|line| line == expected), "{case}: without a fault the loader does not say {expected:?}: {console:?}");
        let owners = Owners::of(&host.loader.elf, &reference)?;
        let owner_of_each = owners.of_each(&reference);
        let limit = extent.limit(reference.len());
        let (known, next_boots) = (Known::default(), Mutex::default());
        let mut attack = Self { case, machine, reference, owners, owner_of_each, readers: Vec::new(), limit, extent, known, next_boots, host };
        attack.readers = readers(case, attack.later_numbers(), |number| attack.owners.is_reader(attack.reference.address(number)))?;
        Ok(attack)
    }

    /// The run without fault.
    pub(super) const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// A machine to try faults on.
    pub(super) fn machine(&self) -> Machine {
        self.machine.clone()
    }

    /// What is wrong on the host, and what its journal says.
    pub(super) const fn case(&self) -> Case {
        self.case
    }

    /// The longest run with a fault, in instructions.
    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// The host under attack.
    pub(super) const fn host(&self) -> &Host {
        self.host
    }

    /// Every fault of the extent.
    pub(super) fn trials(&self) -> Vec<Trial> {
        let mut trials = Vec::new();
        for visit in self.reference.visits() {
            let trial = |kind, fault, owner| Trial { kind, fault, address: visit.address, owner };
            let owner = self.owner(visit.first);
            trials.push(trial(Kind::First, Fault::One(visit.first), owner));
            trials.push(trial(Kind::Pair, Fault::Pair(visit.first), owner));
            trials.push(trial(Kind::Every, Fault::Every(visit.address), owner));
            if visit.last != visit.first && self.owner(visit.last) != Owner::Ours {
                trials.push(trial(Kind::Later, Fault::One(visit.last), self.owner(visit.last)));
            }
        }
        self.make_everybodys_ours(&mut trials);
        trials.extend(self.chosen_in_crypto());
        trials.extend(self.later_in_ours());
        let scope = Scope::of(self.case, self.extent);
        let signature = self.owner_of_each.iter().position(|owner| *owner == Owner::CryptoCrate).unwrap_or(0) as u64;
        trials.retain(|trial| scope.has(trial, self.number(*trial) >= signature));
        trials
    }

    /// Left out at every execution, code that serves us as well as crypto is ours.
    fn make_everybodys_ours(&self, trials: &mut [Trial]) {
        let mut most_ours: HashMap<u32, Owner> = HashMap::new();
        for (number, owner) in (0..).zip(&self.owner_of_each) {
            let entry = most_ours.entry(self.reference.address(number)).or_insert(*owner);
            *entry = (*entry).min(*owner);
        }
        for trial in trials.iter_mut().filter(|trial| trial.kind == Kind::Every) {
            trial.owner = most_ours.get(&trial.address).copied().unwrap_or(trial.owner);
        }
    }

    /// Executions inside crypto and hash loops, by seed.
    fn chosen_in_crypto(&self) -> Vec<Trial> {
        let numbers: Vec<u64> = self.numbers(|owner| owner != Owner::Ours);
        choose(&numbers, CHOSEN_IN_CRYPTO).into_iter().map(|number| self.later(Kind::Later, Fault::One(number), number)).collect()
    }

    /// Executions in our own code behind the first one of each address. What reads a field that is to be refused runs once a byte, and each of these
    /// executions is tried.
    fn later_in_ours(&self) -> Vec<Trial> {
        let numbers = self.later_numbers();
        let (alone, pairs) = match self.extent {
            Extent::Full => (numbers.clone(), choose(&numbers, CHOSEN_PAIRS)),
            Extent::Short => {
                let chosen = choose(&numbers, CHOSEN_IN_OURS);
                let alone: BTreeSet<u64> = self.readers.iter().chain(&chosen).copied().collect();
                (alone.into_iter().collect(), chosen)
            }
        };
        let alone = alone.into_iter().map(|number| self.later(Kind::Later, Fault::One(number), number));
        alone.chain(pairs.into_iter().map(|number| self.later(Kind::LaterPair, Fault::Pair(number), number))).collect()
    }

    fn later_numbers(&self) -> Vec<u64> {
        let first: HashSet<u64> = self.reference.visits().iter().map(|visit| visit.first).collect();
        let mut numbers = self.numbers(|owner| owner == Owner::Ours);
        numbers.retain(|number| !first.contains(number));
        numbers
    }

    fn numbers(&self, wanted: impl Fn(Owner) -> bool) -> Vec<u64> {
        (0..).zip(&self.owner_of_each).filter(|(_, owner)| wanted(**owner)).map(|(number, _)| number).collect()
    }

    fn later(&self, kind: Kind, fault: Fault, number: u64) -> Trial {
        Trial { kind, fault, address: self.reference.address(number), owner: self.owner(number) }
    }

    fn owner(&self, number: u64) -> Owner {
        usize::try_from(number).ok().and_then(|number| self.owner_of_each.get(number)).copied().unwrap_or(Owner::Ours)
    }

    /// Tries them all, on two threads.
    pub(super) fn run(&self, trials: &[Trial]) -> Results {
        let outcomes = Mutex::new(Vec::with_capacity(trials.len()));
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut machine = self.machine();
                    while let Some(trial) = trials.get(next.fetch_add(1, Relaxed)) {
                        let outcome = self.attempt(&mut machine, trial.fault);
                        if let Ok(mut outcomes) = outcomes.lock() {
                            outcomes.push((*trial, outcome));
                        }
                    }
                });
            }
        });
        self.results(outcomes.into_inner().unwrap_or_default())
    }

    /// Tries one fault. Some whose end is known from another one are run to their own end as well.
    pub(super) fn attempt(&self, machine: &mut Machine, fault: Fault) -> Outcome {
        let (attempt, passed) = self.reference.attempt(machine, fault, self.limit, Some(&self.known));
        let outcome = match attempt {
            Attempt::Known(outcome) if is_checked(fault) => self.check(machine, fault, outcome),
            Attempt::Known(outcome) => outcome,
            Attempt::Same => Outcome::Refused,
            Attempt::Ended(end) => self.outcome(end, machine),
        };
        // What goes on without an end may have come to the limit, which says nothing about who comes to the same states earlier.
        if outcome != Outcome::Endless {
            self.known.add(&passed, outcome);
        }
        outcome
    }

    /// Tries a fault with a known end without that knowledge.
    fn check(&self, machine: &mut Machine, fault: Fault, known: Outcome) -> Outcome {
        let outcome = match self.reference.attempt::<Outcome>(machine, fault, self.limit, None).0 {
            Attempt::Known(outcome) => outcome,
            Attempt::Same => Outcome::Refused,
            Attempt::Ended(end) => self.outcome(end, machine),
        };
        if outcome.is_bypass() == known.is_bypass() { outcome } else { Outcome::Contradictory }
    }

    /// What the end of a run with a fault means, from the machine that it left.
    fn outcome(&self, end: End, machine: &mut Machine) -> Outcome {
        let outcome = match end {
            End::Started => return Outcome::Bypassed,
            End::Resting(_) => Outcome::Refused,
            End::Faulted(_) => Outcome::Faulted,
            End::Reset => Outcome::Reset,
            End::Endless => Outcome::Endless,
            End::Unknown => Outcome::Unknown,
        };
        if self.starts_at_next_boot(machine) { Outcome::BypassedLater } else { outcome }
    }

    /// Whether the image starts at a boot without fault, from a flash that is not what a boot without fault leaves.
    fn starts_at_next_boot(&self, machine: &mut Machine) -> bool {
        if self.reference.leaves_same_flash(machine) {
            return false;
        }
        let changed = machine.changed_flash();
        if let Some(known) = self.next_boots.lock().ok().and_then(|known| known.get(&changed).copied()) {
            return known;
        }
        machine.power_cycle();
        let starts = machine.run(LONGEST_BOOT, None) == Stop::End(End::Started);
        if let Ok(mut known) = self.next_boots.lock() {
            known.insert(changed, starts);
        }
        starts
    }

    fn results(&self, outcomes: Vec<(Trial, Outcome)>) -> Results {
        let mut counts = BTreeMap::new();
        let mut findings = Vec::new();
        for (trial, outcome) in outcomes {
            *counts.entry((trial.kind, trial.owner, outcome)).or_insert(0) += 1;
            if outcome.is_bypass() || outcome.is_unknown() {
                let place = self.owners.words(trial.address).to_owned();
                findings.push(Finding { trial, outcome, place, number: self.number(trial) });
            }
        }
        findings.sort_by_key(|finding| (finding.outcome, finding.trial.kind, finding.trial.address, finding.number));
        Results { case: self.case, instructions: self.reference.len(), addresses: self.reference.visits().len(), counts, findings }
    }

    /// The number of the first instruction that a fault leaves out.
    fn number(&self, trial: Trial) -> u64 {
        match trial.fault {
            Fault::One(number) | Fault::Pair(number) => number,
            Fault::Every(address) => self.reference.visits().iter().find(|visit| visit.address == address).map_or(0, |visit| visit.first),
        }
    }
}

/// Which of the executions read the manifest of an image with one bad field.
///
/// # Errors
/// None does: nobody would notice that no such execution is tried any more.
fn readers(case: Case, mut numbers: Vec<u64>, reads: impl Fn(u64) -> bool) -> Result<Vec<u64>> {
    numbers.retain(|number| case.flaw.is_in_a_field() && reads(*number));
    ensure!(!case.flaw.is_in_a_field() || !numbers.is_empty(), "{case}: no execution reads the image; does {READER} still do that?");
    Ok(numbers)
}

/// Whether a fault is tried to its own end even when that is known.
const fn is_checked(fault: Fault) -> bool {
    matches!(fault, Fault::One(number) | Fault::Pair(number) if number % CHECKED_ONE_IN == 0)
}

/// At most so many of the numbers, by seed, each once: what is drawn twice is not replaced.
fn choose(numbers: &[u64], count: u64) -> Vec<u64> {
    let mut sequence = Sequence::new(SEED);
    let limit = numbers.len() as u64;
    let drawn: BTreeSet<u64> = (0..count).map(|_| sequence.up_to(limit) - 1).collect();
    drawn.into_iter().filter_map(|index| numbers.get(usize::try_from(index).ok()?).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::hosts::Flaw;
    use super::*;

    #[test]
    fn a_campaign_whose_readers_are_not_found_fails() {
        let of = |flaw, reads: fn(u64) -> bool| readers(Case { flaw, standing: Standing::Confirmed }, vec![3, 4, 5], reads).ok();
        let second = |number| number == 4;
        assert_eq!(of(Flaw::BelowFloor, second), Some(vec![4]));
        assert_eq!(of(Flaw::BelowFloor, |_| false), None);
        assert_eq!(of(Flaw::BadSignature, second), Some(vec![]));
    }
}
