//! Any bytes as a life with troubles in it: the body of the stateful fuzz target.

use crate::board::BOARDS;
use crate::life::LIVES;
use crate::medium::Fault;
use crate::replay::replay;
use crate::script::{Causes, Script, Trouble};
use crate::tear::{Loss, Tear};

/// Most troubles of one life: more make it longer, not richer.
const TROUBLES: usize = 6;

/// Boards that are small enough to be lived on many times a second.
const SMALL: [usize; 6] = [0, 1, 3, 4, 7, 8];

/// The script that bytes stand for: board, life and causes, then four bytes for each trouble. Every script of cuts and failing operations has bytes.
#[must_use]
pub fn script(bytes: &[u8]) -> Option<Script> {
    let [board, life, causes, troubles @ ..] = bytes else { return None };
    let mut step = 0;
    let troubles = troubles.as_chunks::<4>().0.iter().take(TROUBLES).map(|[gap, kind, at, detail]| {
        step += usize::from(gap % 8);
        (step, trouble(*kind, usize::from(at % 64), usize::from(*detail)))
    });
    Some(Script {
        board: &BOARDS[SMALL[usize::from(*board) % SMALL.len()]],
        life: &LIVES[usize::from(*life) % LIVES.len()],
        causes: Causes::ALL[usize::from(*causes) % Causes::ALL.len()],
        troubles: troubles.collect(),
    })
}

fn trouble(kind: u8, at: usize, detail: usize) -> Trouble {
    match kind % 8 {
        0 => Trouble::PowerFails,
        1 => Trouble::Fault(Fault::Swallowed(at)),
        2 => Trouble::Fault(Fault::Denied(at)),
        3 => Trouble::Fault(Fault::Failed(at)),
        _ => Trouble::Cut(at, Tear::ALL[detail % Tear::ALL.len()], Loss::ALL[detail / 16 % Loss::ALL.len()]),
    }
}

/// Lives the life that the bytes stand for.
///
/// # Panics
/// When a rule does not hold; the message is the script and the rule.
pub fn live(bytes: &[u8]) {
    let Some(script) = script(bytes) else { return };
    // A life that the storage fails in more than once may lose what only redundancy kept.
    let mut faults = script.troubles.iter().filter(|(_, trouble)| matches!(trouble, Trouble::Fault(_)));
    if faults.nth(1).is_some() {
        return;
    }
    if let Err(broken) = replay(&script, |_| {}) {
        panic!("{script}\n{broken:?}");
    }
}
