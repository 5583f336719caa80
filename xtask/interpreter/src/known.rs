//! Ends that are known: runs with different faults often come to the same state, and go the same way from there.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::machine::{Machine, Stop};

/// How runs ended that went through certain states. Of one machine and one program: a fault that is still to come is no part of a state.
///
/// A state is known by 64 bits of its digest. Among ten million states two share them with a chance of 1 in 350,000; whoever wants to be sure runs a
/// part of the runs to their ends all the same.
#[derive(Debug)]
pub struct Known<E> {
    ends: RwLock<HashMap<u64, E>>,
}

impl<E> Default for Known<E> {
    fn default() -> Self {
        Self { ends: RwLock::default() }
    }
}

impl<E: Copy> Known<E> {
    /// Remembers how a run ended.
    pub fn add(&self, passed: &Passed, end: E) {
        let mut ends = self.ends.write().unwrap_or_else(PoisonError::into_inner);
        ends.extend(passed.0.iter().map(|state| (*state, end)));
    }

    fn get(&self, state: u64) -> Option<E> {
        self.ends.read().unwrap_or_else(PoisonError::into_inner).get(&state).copied()
    }
}

/// The states that a run went through, as far as they are looked at.
#[derive(Debug, Default)]
pub struct Passed(Vec<u64>);

/// A run with a fault, behind the fault.
pub(crate) struct Walk<'a, E> {
    pub(crate) machine: &'a mut Machine,
    known: Option<&'a Known<E>>,
    passed: Passed,
}

/// Why a walk stopped.
pub(crate) enum Step<E> {
    Machine(Stop),
    /// It came to a state that another run went through, which ended so.
    Known(E),
}

impl<'a, E: Copy> Walk<'a, E> {
    pub(crate) fn new(machine: &'a mut Machine, known: Option<&'a Known<E>>) -> Self {
        Self { machine, known, passed: Passed::default() }
    }

    /// As [`Machine::run`], but no further than to a state with a known end.
    pub(crate) fn run(&mut self, count: u64, watched: Option<u32>) -> Step<E> {
        let Some(known) = self.known else { return Step::Machine(self.machine.run(count, watched)) };
        loop {
            match self.machine.run_to_landmark(count, watched) {
                Stop::Landmark => {}
                stop => return Step::Machine(stop),
            }
            let state = self.machine.digest();
            if let Some(end) = known.get(state) {
                return Step::Known(end);
            }
            self.passed.0.push(state);
            if let stop @ Stop::End(_) = self.machine.run_one() {
                return Step::Machine(stop);
            }
        }
    }

    /// Runs one instruction.
    pub(crate) fn run_one(&mut self) -> Stop {
        self.machine.run_one()
    }

    pub(crate) fn into_passed(self) -> Passed {
        self.passed
    }
}
