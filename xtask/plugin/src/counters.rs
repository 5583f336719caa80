//! The counts of a run, and what happens when one of them reaches its mark.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::plan::{Bucket, Plan};
use crate::qemu;
use crate::trace::Trace;

/// Everything that is counted. The guest has one processor, so plain relaxed counters are exact.
#[derive(Debug)]
pub(crate) struct Counters {
    plan: Plan,
    trace: Option<Trace>,
    instructions: AtomicU64,
    stores: AtomicU64,
    buckets: Vec<(String, AtomicU64)>,
    /// What was counted when each mark was reached; [`NEVER`] before.
    marks: Vec<(String, AtomicU64)>,
    jumped: AtomicBool,
    /// The bucket that has called, plus one; 0 when none has.
    caller: AtomicUsize,
    /// Where that call comes back to.
    back: AtomicU64,
}

/// The count of a mark that was not reached.
const NEVER: u64 = u64::MAX;

/// What is known of an instruction when it is translated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) address: u64,
    /// The bucket that it belongs to by its address.
    bucket: Option<usize>,
    /// Where it comes back to, when it calls out of its bucket.
    back: Option<u64>,
}

impl Counters {
    /// # Errors
    /// The plan's trace can not be written.
    pub(crate) fn new(plan: Plan) -> Result<Self, String> {
        let trace = Trace::open(&plan)?;
        let buckets = named(&plan.buckets, 0);
        let marks = named(&plan.marks, NEVER);
        let (instructions, stores, back) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { plan, trace, instructions, stores, buckets, marks, jumped: AtomicBool::new(false), caller: AtomicUsize::new(0), back })
    }

    /// Whether every single instruction is to be counted, not only whole blocks.
    pub(crate) fn counts_each_instruction(&self) -> bool {
        !self.plan.jumps.is_empty()
    }

    /// Whether stores are counted at all.
    pub(crate) fn counts_stores(&self) -> bool {
        self.plan.stores.is_some()
    }

    /// Looks an instruction up in the plan.
    pub(crate) fn see(&self, address: u64) -> Seen {
        let number = |wanted: &String| self.buckets.iter().position(|(name, _)| name == wanted);
        let bucket = self.plan.buckets.iter().find(|bucket| bucket.range.contains(&address)).and_then(|bucket| number(&bucket.name));
        let call = self.plan.calls.get(&address).filter(|call| bucket.is_some() && number(&call.name) == bucket);
        Seen { address, bucket, back: call.map(|call| call.back) }
    }

    /// Whether an instruction at `address` belongs to what the loader jumped to.
    pub(crate) fn is_beyond_jump(&self, address: u64) -> bool {
        self.plan.jumps.iter().any(|range| range.contains(&address))
    }

    /// The mark that a block belongs to by the address of its first instruction, when it was not reached yet.
    pub(crate) fn mark_at(&self, address: u64) -> Option<usize> {
        let mark = self.plan.marks.iter().find(|mark| mark.range.contains(&address))?;
        self.marks.iter().position(|(name, count)| *name == mark.name && count.load(Relaxed) == NEVER)
    }

    /// A block of a mark is about to run.
    pub(crate) fn reach(&self, mark: usize) {
        let Some((_, count)) = self.marks.get(mark) else { return };
        let is_first = count.compare_exchange(NEVER, self.instructions.load(Relaxed), Relaxed, Relaxed).is_ok();
        if is_first && self.marks.iter().all(|(_, count)| count.load(Relaxed) != NEVER) {
            self.write_report();
        }
    }

    /// One instruction of the loader runs.
    pub(crate) fn instruction(&self, seen: Seen) {
        if self.jumped.load(Relaxed) {
            return;
        }
        self.instructions.fetch_add(1, Relaxed);
        if let Some((_, count)) = self.charged(seen).and_then(|bucket| self.buckets.get(bucket)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The bucket that an instruction is counted under: its own, or the one whose call is not back yet.
    fn charged(&self, seen: Seen) -> Option<usize> {
        if let Some(caller) = self.caller.load(Relaxed).checked_sub(1) {
            if seen.address != self.back.load(Relaxed) {
                return Some(caller);
            }
            self.caller.store(0, Relaxed);
        }
        if let (Some(bucket), Some(back)) = (seen.bucket, seen.back) {
            self.caller.store(bucket + 1, Relaxed);
            self.back.store(back, Relaxed);
        }
        seen.bucket
    }

    /// A translated block of `count` instructions is about to run.
    pub(crate) fn block(&self, count: u64) {
        let total = self.instructions.fetch_add(count, Relaxed) + count;
        if self.plan.cut_at_instruction.is_some_and(|mark| total >= mark) {
            qemu::cut_power();
        }
    }

    /// The guest stored to `address`.
    pub(crate) fn store(&self, address: u64) {
        if self.jumped.load(Relaxed) || !self.plan.stores.as_ref().is_some_and(|range| range.contains(&address)) {
            return;
        }
        let total = self.stores.fetch_add(1, Relaxed) + 1;
        if let Some(trace) = &self.trace {
            trace.write(address);
        }
        if self.plan.cut_at_store == Some(total) {
            qemu::cut_power();
        }
    }

    /// The first instruction behind the jump runs: the counts are final.
    pub(crate) fn jump(&self) {
        if !self.jumped.swap(true, Relaxed) {
            self.write_report();
        }
    }

    /// Writes the report as a whole: readers that wait for the file never see half of it.
    pub(crate) fn write_report(&self) {
        let mut text = String::new();
        let _ = writeln!(text, "instructions {}", self.instructions.load(Relaxed));
        let _ = writeln!(text, "stores {}", self.stores.load(Relaxed));
        let _ = writeln!(text, "jumped {}", u8::from(self.jumped.load(Relaxed)));
        let reached = self.marks.iter().filter(|(_, count)| count.load(Relaxed) != NEVER);
        for (name, count) in self.buckets.iter().chain(reached) {
            let _ = writeln!(text, "{name} {}", count.load(Relaxed));
        }
        let unfinished = self.plan.report.with_extension("unfinished");
        let written = std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(&unfinished, &self.plan.report));
        if let Err(error) = written {
            eprintln!("emulator-plugin: can not write {}: {error}", self.plan.report.display());
        }
    }
}

/// A count for each name, from `start` on.
fn named(buckets: &[Bucket], start: u64) -> Vec<(String, AtomicU64)> {
    let mut names: Vec<String> = buckets.iter().map(|bucket| bucket.name.clone()).collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|name| (name, AtomicU64::new(start))).collect()
}
