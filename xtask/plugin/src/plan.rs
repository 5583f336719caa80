//! The plan file: one directive a line, words separated by one blank, numbers hexadecimal without prefix.
//!
//! ```text
//! report PATH              where the counts go, when the jump is reached or QEMU ends by itself
//! jump LOW HIGH            the loader has jumped once an instruction in LOW..HIGH runs; counting ends there. May stand several times
//! stores LOW HIGH          stores of the guest into LOW..HIGH are counted
//! mark NAME LOW HIGH       the count when a block in LOW..HIGH first runs is reported as NAME, once every mark is reached. May stand several times
//! bucket NAME LOW HIGH     instructions in LOW..HIGH are counted under NAME as well
//! call NAME FROM BACK      an instruction at FROM calls: everything that runs until BACK is counted under NAME
//! cut-at-instruction N     the power is cut once N instructions have run (to the end of the translated block)
//! cut-at-store N           the power is cut right after the N-th counted store
//! trace PATH               each counted store leaves its word and the word's address in PATH (see `trace`)
//! memory LOW PATH          the file PATH is the memory at LOW: where a trace reads words from
//! ```

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;

/// What one run is asked to do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) report: PathBuf,
    pub(crate) jumps: Vec<Range<u64>>,
    pub(crate) stores: Option<Range<u64>>,
    pub(crate) marks: Vec<Bucket>,
    pub(crate) buckets: Vec<Bucket>,
    pub(crate) calls: HashMap<u64, Call>,
    pub(crate) cut_at_instruction: Option<u64>,
    pub(crate) cut_at_store: Option<u64>,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) memory: Option<Memory>,
}

/// A file that the guest sees as memory.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) low: u64,
    pub(crate) path: PathBuf,
}

/// Addresses that are counted under a name. Several may share one.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) range: Range<u64>,
}

/// A call out of a bucket's code: what it runs until it is back is the bucket's.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) back: u64,
}

impl Plan {
    /// Reads a plan, or says which line is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        for line in text.lines() {
            let (directive, rest) = line.split_once(' ').unwrap_or((line, ""));
            let words: Vec<&str> = rest.split(' ').collect();
            plan.apply(directive, rest, &words).ok_or_else(|| format!("plan line is not understood: {line:?}"))?;
        }
        Ok(plan)
    }

    fn apply(&mut self, directive: &str, rest: &str, words: &[&str]) -> Option<()> {
        match (directive, words) {
            ("report", _) => self.report = PathBuf::from(rest),
            ("jump", [low, high]) => self.jumps.push(range(low, high)?),
            ("stores", [low, high]) => self.stores = Some(range(low, high)?),
            ("mark", [name, low, high]) => self.marks.push(Bucket { name: (*name).to_owned(), range: range(low, high)? }),
            ("bucket", [name, low, high]) => self.buckets.push(Bucket { name: (*name).to_owned(), range: range(low, high)? }),
            ("call", [name, from, back]) => {
                self.calls.insert(number(from)?, Call { name: (*name).to_owned(), back: number(back)? });
            }
            ("cut-at-instruction", [count]) => self.cut_at_instruction = Some(number(count)?),
            ("cut-at-store", [count]) => self.cut_at_store = Some(number(count)?),
            ("trace", _) => self.trace = Some(PathBuf::from(rest)),
            ("memory", [low, ..]) => {
                let path = rest.split_once(' ').map(|(_, path)| PathBuf::from(path))?;
                self.memory = Some(Memory { low: number(low)?, path });
            }
            _ => return None,
        }
        Some(())
    }
}

fn range(low: &str, high: &str) -> Option<Range<u64>> {
    Some(number(low)?..number(high)?)
}

fn number(word: &str) -> Option<u64> {
    u64::from_str_radix(word, 16).ok()
}
