//! Every way in which a power cut may leave the operation that it hits.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::board::Board;
use crate::content::{Content, Unit};
use crate::medium::{Operation, Recorded, apply};
use twinslot_tests::random::Random;

/// What a power cut leaves of the operation that it hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tear {
    /// Nothing of it happened.
    NotBegun,
    /// Its first half happened.
    Head,
    /// Its second half happened.
    Tail,
    /// Every other write unit happened, or every other word where it is one unit.
    Interleaved,
    /// A random half of the bits that should have changed did.
    Bits(u8),
    /// All of it happened, and nobody was told.
    Unreported,
    /// Only the first region that a torn write may damage was reached, and it holds noise.
    DestroyedFirst,
    /// All but the last such region was done, and that one holds noise.
    DestroyedLast,
    /// An erase reads as done and is not: the unit may not be programmed.
    Blank,
    /// It reads as done at the next start, and as half done from the one after it on.
    FlickerBack,
    /// It reads as not begun at the next start, and as done from the one after it on.
    FlickerOn,
}

impl Tear {
    /// Every pattern.
    pub const ALL: [Self; 14] = [
        Self::NotBegun,
        Self::Head,
        Self::Tail,
        Self::Interleaved,
        Self::Bits(0),
        Self::Bits(1),
        Self::Bits(2),
        Self::Bits(3),
        Self::Unreported,
        Self::DestroyedFirst,
        Self::DestroyedLast,
        Self::Blank,
        Self::FlickerBack,
        Self::FlickerOn,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::NotBegun => "not-begun",
            Self::Head => "head",
            Self::Tail => "tail",
            Self::Interleaved => "interleaved",
            Self::Bits(0) => "bits0",
            Self::Bits(1) => "bits1",
            Self::Bits(2) => "bits2",
            Self::Bits(_) => "bits3",
            Self::Unreported => "unreported",
            Self::DestroyedFirst => "destroyed-first",
            Self::DestroyedLast => "destroyed-last",
            Self::Blank => "blank",
            Self::FlickerBack => "flicker-back",
            Self::FlickerOn => "flicker-on",
        }
    }
}

impl fmt::Display for Tear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Tear {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|tear| tear.name() == name).ok_or_else(|| format!("{name:?} is no tear"))
    }
}

/// What reaches the medium of the operations that wait in a cache when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// All of them.
    Nothing,
    /// None of them.
    Everything,
    /// All but the newest one.
    Newest,
    /// Only the newest one: the cache wrote out of order.
    AllButNewest,
}

impl Loss {
    /// Every pattern.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Everything, Self::Newest, Self::AllButNewest];

    fn survivors(self, waiting: usize) -> Range<usize> {
        let newest = waiting.saturating_sub(1);
        match self {
            Self::Nothing => 0..waiting,
            Self::Everything => 0..0,
            Self::Newest => 0..newest,
            Self::AllButNewest => newest..waiting,
        }
    }
}

/// The contents that a cut at an operation may leave, each with its name. Without a cache nothing is lost.
pub fn cuts<'a>(board: &'static Board, recorded: &'a Recorded) -> impl Iterator<Item = (Tear, Loss, Content)> + use<'a> {
    let losses = match recorded.waiting.len() {
        0 => 1,
        1 => 2,
        _ => Loss::ALL.len(),
    };
    Loss::ALL
        .into_iter()
        .take(losses)
        .flat_map(|loss| Tear::ALL.map(|tear| (tear, loss)))
        .filter_map(|(tear, loss)| Some((tear, loss, cut(board, recorded, tear, loss)?)))
}

/// The content that one cut leaves; `None` when the pattern does not apply to the operation.
#[must_use]
pub fn cut(board: &Board, recorded: &Recorded, tear: Tear, loss: Loss) -> Option<Content> {
    let mut content = recorded.before.clone();
    for operation in &recorded.waiting[loss.survivors(recorded.waiting.len())] {
        apply(operation, &mut content, board.erase_size);
    }
    match (&*recorded.operation, tear) {
        (_, Tear::NotBegun) => {}
        (operation, Tear::Unreported) => apply(operation, &mut content, board.erase_size),
        (Operation::Program { at, bytes }, Tear::FlickerBack | Tear::FlickerOn) => flicker(&mut content, *at, bytes, tear),
        (Operation::Program { at, bytes }, _) => {
            program(board, &mut content, *at, bytes, tear)?;
            content.soften(*at..at + bytes.len());
        }
        (Operation::Erase { at }, _) => erase(board, &mut content, *at, tear)?,
    }
    Some(content)
}

fn program(board: &Board, content: &mut Content, at: usize, bytes: &[u8], tear: Tear) -> Option<()> {
    let unit = board.write_size;
    let half = if bytes.len() > unit { (bytes.len() / 2).next_multiple_of(unit) } else { bytes.len() / 2 };
    match tear {
        Tear::Head => content.program(at, &bytes[..half]),
        Tear::Tail => content.program(at + half, &bytes[half..]),
        Tear::Interleaved => {
            let step = if bytes.len() > unit { unit } else { bytes.len().min(4) };
            for (index, word) in bytes.chunks(step).enumerate().step_by(2) {
                content.program(at + index * step, word);
            }
        }
        Tear::Bits(seed) => content.program(at, &half_cleared(bytes, at, seed)),
        Tear::DestroyedFirst => destroy(board, content, at),
        Tear::DestroyedLast => {
            content.program(at, bytes);
            destroy(board, content, at + bytes.len() - 1);
        }
        Tear::NotBegun | Tear::Unreported | Tear::Blank | Tear::FlickerBack | Tear::FlickerOn => return None,
    }
    Some(())
}

/// Cells that make up their mind at the second start.
fn flicker(content: &mut Content, at: usize, bytes: &[u8], tear: Tear) {
    let range = at..at + bytes.len();
    let mut later = content.clone();
    if tear == Tear::FlickerBack {
        later.program(at, &half_cleared(bytes, at, 7));
        content.program(at, bytes);
    } else {
        later.program(at, bytes);
        let before = content.bytes(range.clone());
        content.put(at, &before, Unit::Marginal);
    }
    content.flicker(at, &later.bytes(range));
}

/// The bytes with about half of their zeros not written.
fn half_cleared(bytes: &[u8], at: usize, seed: u8) -> Vec<u8> {
    let mut random = Random::new(at as u64 ^ (u64::from(seed) << 40));
    bytes.iter().map(|byte| byte | random.byte()).collect()
}

/// Noise in the region that a torn write at `at` may damage.
fn destroy(board: &Board, content: &mut Content, at: usize) {
    let size = board.tear_size.max(board.write_size);
    let start = at - at % size;
    let noise = Random::new(start as u64 ^ 0xde57).bytes(size);
    content.put(start, &noise, Unit::Written);
}

fn erase(board: &Board, content: &mut Content, at: usize, tear: Tear) -> Option<()> {
    let size = board.erase_size;
    let before = content.bytes(at..at + size);
    let mut left = before.clone();
    match tear {
        Tear::Head => left[..size / 2].fill(0xff),
        Tear::Tail => left[size / 2..].fill(0xff),
        Tear::Interleaved => left.chunks_mut(64).step_by(2).for_each(|row| row.fill(0xff)),
        Tear::Bits(seed) => left = half_erased(&before, at, seed),
        Tear::Blank => left.fill(0xff),
        Tear::DestroyedFirst => left = Random::new(at as u64 ^ 0xde57).bytes(size),
        Tear::FlickerBack => left.fill(0xff),
        Tear::FlickerOn => {}
        Tear::DestroyedLast | Tear::NotBegun | Tear::Unreported => return None,
    }
    content.put(at, &left, Unit::Unreliable);
    match tear {
        Tear::FlickerBack => content.flicker(at, &half_erased(&before, at, 7)),
        Tear::FlickerOn => content.flicker(at, &vec![0xff; size]),
        _ => {}
    }
    Some(())
}

/// The bytes with about half of their zeros erased.
fn half_erased(bytes: &[u8], at: usize, seed: u8) -> Vec<u8> {
    let mut random = Random::new(at as u64 ^ (u64::from(seed) << 40));
    bytes.iter().map(|byte| byte | random.byte()).collect()
}
