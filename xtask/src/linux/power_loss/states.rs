//! Contents that a power cut may leave a disk with, by the log of its writes and flushes: where there are too many, some that a seed chooses.
//!
//! A cut comes after any entry. What was flushed is there. Of the write that was under way any part may be there, sector by sector; of the writes since
//! the last flush any may be missing, since a disk's cache keeps no order. Contents that are alike are one state.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::Result;
use sha2::{Digest as _, Sha256};

use super::write_log::{Entry, SECTOR};
use crate::scenario::Sequence;

/// All subsets of so many unflushed writes are built; of more, the ones that [`Missing`] names.
const ALL_SUBSETS: usize = 4;

/// Subsets that a seed chooses, where not all are built: of writes, and of sectors.
const CHOSEN_SUBSETS: u64 = 4;

/// The log with each sector's content as a number, equal for equal content.
pub(super) struct Writes {
    /// Sectors that are ever written, in their order.
    sectors: Vec<u64>,
    contents: Vec<[u8; SECTOR]>,
    /// What they hold at first.
    base: Vec<u32>,
    steps: Vec<Step>,
}

enum Step {
    /// Places in `sectors`, and numbers of contents.
    Write(Vec<(usize, u32)>),
    Flush,
}

/// What each sector of [`Writes`] holds, by the number of its content.
pub(super) type State = Vec<u32>;

/// A power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// After so many entries.
    pub(super) after: usize,
    pub(super) missing: Missing,
}

/// What is not there, of what was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Nothing,
    /// Of the last write.
    SecondHalf,
    FirstHalf,
    EverySecondSector,
    /// As a seed chooses, sector by sector.
    SomeSectors(u64),
    /// Of all writes since the last flush.
    All,
    AllButTheLast,
    TheFirst,
    /// Those whose bit is set.
    Subset(u32),
    /// As a seed chooses, write by write.
    SomeWrites(u64),
    /// As a seed chooses, sector by sector of all of them.
    SomeSectorsOfAll(u64),
}

impl Writes {
    /// `disk` is what the writes were made to, as it was before.
    pub(super) fn new(entries: &[Entry], disk: &File) -> Result<Self> {
        let mut numbers = Numbers::default();
        let mut base = BTreeMap::new();
        for entry in entries {
            let Entry::Write { sector, content } = entry else { continue };
            for sector in (*sector..).take(content.len()) {
                let mut bytes = [0; SECTOR];
                disk.read_exact_at(&mut bytes, sector * SECTOR as u64)?;
                base.insert(sector, numbers.of(bytes));
            }
        }
        let places: HashMap<u64, usize> = base.keys().copied().zip(0..).collect();
        let step = |entry: &Entry| match entry {
            Entry::Flush => Step::Flush,
            Entry::Write { sector, content } => Step::Write((*sector..).zip(content).map(|(at, bytes)| (places[&at], numbers.of(*bytes))).collect()),
        };
        let steps = entries.iter().map(step).collect();
        Ok(Self { sectors: base.keys().copied().collect(), base: base.into_values().collect(), steps, contents: numbers.contents })
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// What the disk held before the first write.
    pub(super) const fn base(&self) -> &State {
        &self.base
    }

    /// The sectors that hold something else than in `before`, with what they hold.
    pub(super) fn differences<'a>(&'a self, before: &'a State, state: &'a State) -> impl Iterator<Item = (u64, &'a [u8; SECTOR])> {
        let changed = before.iter().zip(state).zip(&self.sectors).filter(|((before, now), _)| before != now);
        changed.map(|((_, now), sector)| (*sector, &self.contents[*now as usize]))
    }

    /// All sectors that are ever written, with what they hold.
    pub(super) fn held<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (u64, &'a [u8; SECTOR])> {
        self.sectors.iter().copied().zip(state.iter().map(|number| &self.contents[*number as usize]))
    }

    /// By the number of a content, whether something holds for it.
    pub(super) fn which(&self, holds: impl Fn(&[u8; SECTOR]) -> bool) -> Vec<bool> {
        self.contents.iter().map(holds).collect()
    }

    /// What a cut leaves.
    pub(super) fn state(&self, cut: Cut) -> State {
        let mut state = self.base.clone();
        let first_pending = self.pending(cut.after);
        let of_all = self.steps[first_pending..cut.after].len();
        for (number, step) in self.steps[..cut.after].iter().enumerate() {
            let Step::Write(sectors) = step else { continue };
            let pending = number.checked_sub(first_pending).map(|index| (index, of_all));
            for (index, (place, content)) in sectors.iter().enumerate() {
                if cut.missing.keeps(pending, (index, sectors.len())) {
                    state[*place] = *content;
                }
            }
        }
        state
    }

    /// Every cut of the log that leaves something new, in the order of the log.
    pub(super) fn cuts(&self, seed: u64) -> Vec<Cut> {
        let mut seen = HashSet::new();
        let all = (0..=self.len()).flat_map(|after| self.missing_after(after, seed).into_iter().map(move |missing| Cut { after, missing }));
        all.filter(|cut| seen.insert(digest(&self.state(*cut)))).collect()
    }

    /// The first entry behind the last flush in front of `after`.
    fn pending(&self, after: usize) -> usize {
        self.steps[..after].iter().rposition(|step| matches!(step, Step::Flush)).map_or(0, |flush| flush + 1)
    }

    fn missing_after(&self, after: usize, seed: u64) -> Vec<Missing> {
        let mut all = vec![Missing::Nothing];
        let pending = after - self.pending(after);
        if pending == 0 {
            return all;
        }
        let mut random = Sequence::new(seed ^ (after as u64));
        all.extend([Missing::SecondHalf, Missing::FirstHalf, Missing::EverySecondSector]);
        all.extend((0..CHOSEN_SUBSETS).map(|_| Missing::SomeSectors(random.up_to(u64::MAX))));
        if pending <= ALL_SUBSETS {
            all.extend((1..1 << pending).map(Missing::Subset));
        } else {
            all.extend([Missing::All, Missing::AllButTheLast, Missing::TheFirst]);
            all.extend((0..CHOSEN_SUBSETS).map(|_| Missing::SomeWrites(random.up_to(u64::MAX))));
        }
        all.extend((0..CHOSEN_SUBSETS).map(|_| Missing::SomeSectorsOfAll(random.up_to(u64::MAX))));
        all
    }
}

impl Missing {
    /// Whether a sector of a write is there: `pending` is the write's place among the unflushed ones and their number, `sector` the same in the write.
    fn keeps(self, pending: Option<(usize, usize)>, (sector, of_sectors): (usize, usize)) -> bool {
        let Some((write, of_writes)) = pending else { return true };
        let is_last = write + 1 == of_writes;
        match self {
            Self::Nothing => true,
            Self::SecondHalf => !is_last || sector < of_sectors / 2,
            Self::FirstHalf => !is_last || sector >= of_sectors / 2,
            Self::EverySecondSector => !is_last || sector % 2 == 0,
            Self::SomeSectors(seed) => !is_last || tossed(seed, 0, sector),
            Self::All => false,
            Self::AllButTheLast => is_last,
            Self::TheFirst => write != 0,
            Self::Subset(bits) => bits >> write & 1 == 0,
            Self::SomeWrites(seed) => tossed(seed, write, 0),
            Self::SomeSectorsOfAll(seed) => tossed(seed, write, sector),
        }
    }
}

/// A coin for each write and sector.
fn tossed(seed: u64, write: usize, sector: usize) -> bool {
    Sequence::new(seed ^ ((write as u64) << 32) ^ sector as u64).up_to(2) == 1
}

fn digest(state: &State) -> [u8; 32] {
    let mut hash = Sha256::new();
    state.iter().for_each(|number| hash.update(number.to_le_bytes()));
    hash.finalize().into()
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut after entry {}, missing: ", self.after)?;
        match self.missing {
            Missing::Nothing => f.write_str("nothing"),
            Missing::SecondHalf => f.write_str("the second half of the last write"),
            Missing::FirstHalf => f.write_str("the first half of the last write"),
            Missing::EverySecondSector => f.write_str("every second sector of the last write"),
            Missing::SomeSectors(_) => f.write_str("some sectors of the last write"),
            Missing::All => f.write_str("all unflushed writes"),
            Missing::AllButTheLast => f.write_str("all unflushed writes but the last"),
            Missing::TheFirst => f.write_str("the first unflushed write"),
            Missing::Subset(bits) => write!(f, "unflushed writes {bits:#b}"),
            Missing::SomeWrites(_) => f.write_str("some unflushed writes"),
            Missing::SomeSectorsOfAll(_) => f.write_str("some sectors of all unflushed writes"),
        }
    }
}

/// Gives equal contents equal numbers.
#[derive(Default)]
struct Numbers {
    numbers: HashMap<[u8; SECTOR], u32>,
    contents: Vec<[u8; SECTOR]>,
}

impl Numbers {
    fn of(&mut self, content: [u8; SECTOR]) -> u32 {
        let next = u32::try_from(self.contents.len()).expect("no log has so many sectors");
        *self.numbers.entry(content).or_insert_with(|| {
            self.contents.push(content);
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes to a disk of 16 sectors of zeros; each write is (first sector, content of its sectors).
    fn writes(entries: &[Option<(u64, &[u8])>]) -> Writes {
        let disk = tempfile::tempfile().expect("a file");
        disk.set_len(16 * SECTOR as u64).expect("a longer file");
        let write =
            |(sector, content): &(u64, &[u8])| Entry::Write { sector: *sector, content: content.iter().map(|byte| [*byte; SECTOR]).collect() };
        let entries: Vec<Entry> = entries.iter().map(|entry| entry.as_ref().map_or(Entry::Flush, write)).collect();
        Writes::new(&entries, &disk).expect("writes")
    }

    /// The first byte of each sector that is ever written.
    fn bytes(writes: &Writes, cut: Cut) -> Vec<u8> {
        writes.held(&writes.state(cut)).map(|(_, content)| content[0]).collect()
    }

    fn all(writes: &Writes) -> Vec<Vec<u8>> {
        let mut all: Vec<_> = writes.cuts(1).into_iter().map(|cut| bytes(writes, cut)).collect();
        all.sort();
        all
    }

    #[test]
    fn a_write_of_one_sector_is_there_or_not() {
        assert_eq!(all(&writes(&[Some((3, &[5])), None])), [[0], [5]]);
    }

    #[test]
    fn what_was_flushed_is_there_and_of_two_pending_writes_any_may_be_missing() {
        let writes = writes(&[Some((3, &[5])), None, Some((4, &[6])), Some((5, &[7])), None]);
        let expected: [&[u8]; 5] = [&[0, 0, 0], &[5, 0, 0], &[5, 0, 7], &[5, 6, 0], &[5, 6, 7]];
        assert_eq!(all(&writes), expected);
    }

    #[test]
    fn a_torn_write_leaves_either_half_and_every_second_sector() {
        let writes = writes(&[Some((0, &[1, 2, 3, 4]))]);
        let of = |missing| bytes(&writes, Cut { after: 1, missing });
        assert_eq!(of(Missing::SecondHalf), [1, 2, 0, 0]);
        assert_eq!(of(Missing::FirstHalf), [0, 0, 3, 4]);
        assert_eq!(of(Missing::EverySecondSector), [1, 0, 3, 0]);
    }

    #[test]
    fn of_many_pending_writes_all_the_first_and_all_but_the_last_may_be_missing() {
        let entries: Vec<_> = (0..6).map(|sector| Some((sector, &[9_u8][..]))).collect();
        let writes = writes(&entries);
        let of = |missing| bytes(&writes, Cut { after: 6, missing });
        assert_eq!(of(Missing::All), [0; 6]);
        assert_eq!(of(Missing::AllButTheLast), [0, 0, 0, 0, 0, 9]);
        assert_eq!(of(Missing::TheFirst), [0, 9, 9, 9, 9, 9]);
        let found = all(&writes);
        assert!([Missing::All, Missing::AllButTheLast, Missing::TheFirst].iter().all(|missing| found.contains(&of(*missing))));
    }

    #[test]
    fn a_later_write_to_the_same_sector_counts() {
        let writes = writes(&[Some((3, &[5])), None, Some((3, &[6])), None]);
        assert_eq!(all(&writes), [[0], [5], [6]]);
        let end = writes.state(Cut { after: 4, missing: Missing::Nothing });
        let differs: Vec<_> = writes.differences(writes.base(), &end).collect();
        assert_eq!(differs, [(3, &[6; SECTOR])]);
    }
}
