//! The sequences of records that storage may still hold, whole or torn: the next commit's must be greater than all of them.

use std::collections::BTreeMap;

use twinslot_bootloader::storage::Region;

use crate::board::Board;
use crate::medium::{Operation, Recorded};
use crate::reader;
use crate::rules::{Verdict, ensure};

/// Sequences by the place at which writing their record was begun, since that place was erased.
///
/// Nothing is known once cells flickered: a record that was seen, and counted on, may be gone.
#[derive(Debug, Clone, Default, Hash)]
pub struct Begun {
    places: BTreeMap<usize, u64>,
    is_doubtful: bool,
    is_blind: bool,
}

impl Begun {
    /// What storage may hold once these operations were begun, each but perhaps the last of them done.
    #[must_use]
    pub fn after(&self, board: &Board, recorded: &[Recorded]) -> Self {
        let mut next = self.clone();
        for operation in recorded {
            next.apply(board, &operation.operation);
        }
        next
    }

    /// The same once some cells flicker.
    #[must_use]
    pub fn doubtful(self) -> Self {
        Self { is_doubtful: true, ..self }
    }

    /// The same once the power was cut and the newest record could not be read afterwards.
    #[must_use]
    pub fn blind(self) -> Self {
        Self { is_blind: true, ..self }
    }

    /// Whether the mirror of a log whose erase was cut may have been unable to tell so: its record was gone, for once or for good.
    #[must_use]
    pub const fn may_hide_an_erase(&self) -> bool {
        self.is_doubtful || self.is_blind
    }

    /// Checks that each record is begun with a sequence of its own.
    pub(crate) fn check(&self, board: &Board, recorded: &[Recorded]) -> Verdict {
        if self.is_doubtful {
            return Ok(());
        }
        let (mut before, mut in_step) = (self.clone(), [0; 2]);
        for operation in recorded {
            if let Some((log, sequence)) = begun_by(board, &operation.operation) {
                let highest = before.places.values().copied().max().unwrap_or(0).max(in_step[log]);
                ensure(sequence > highest, "sequence_grows", || format!("sequence {sequence} is begun where storage may hold {highest}"))?;
                in_step[log] = sequence;
            }
            if matches!(*operation.operation, Operation::Erase { .. }) {
                before.apply(board, &operation.operation);
            }
        }
        Ok(())
    }

    fn apply(&mut self, board: &Board, operation: &Operation) {
        match operation {
            Operation::Erase { at } => self.places.retain(|place, _| !(*at..at + board.erase_size).contains(place)),
            Operation::Program { at, .. } => {
                if let Some((_, sequence)) = begun_by(board, operation) {
                    self.places.insert(*at, sequence);
                }
            }
        }
    }
}

/// The log, 0 or 1, and the sequence of the record that an operation begins to write.
fn begun_by(board: &Board, operation: &Operation) -> Option<(usize, u64)> {
    let Operation::Program { at, bytes } = operation else { return None };
    let log = [Region::Log0, Region::Log1].into_iter().position(|log| board.region(log).contains(at))?;
    Some((log, reader::sequence_begun(bytes)?))
}
