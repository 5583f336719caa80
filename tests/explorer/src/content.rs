//! What a flash holds: bytes, and whether each write unit may be programmed. Copies share what they have in common.

use std::cell::OnceCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::rc::Rc;

/// Whether a write unit may be programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unit {
    /// It was erased as a whole.
    Erased,
    /// It may read blank, but no erase of it ever ended.
    Unreliable,
    /// It reads blank, and programming it was begun. Nobody can tell, so that it may be programmed; what was begun may show through later.
    Marginal,
    /// It was programmed since its erase.
    Written,
}

/// The content of a flash. Cheap to copy; equal contents have equal keys.
#[derive(Debug, Clone)]
pub struct Content {
    pieces: Vec<Rc<Piece>>,
    piece_size: usize,
    write_size: usize,
    flicker: Option<Flicker>,
}

/// Cells that read one way once and another way from the next start on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Flicker {
    at: usize,
    then: Rc<[u8]>,
    starts: u8,
    /// What the units that read blank are from then on.
    blank: Unit,
}

impl Flicker {
    fn touches(&self, range: &Range<usize>) -> bool {
        self.at < range.end && range.start < self.at + self.then.len()
    }

    /// The same cells after these bytes were programmed over them.
    fn under(self, at: usize, bytes: &[u8]) -> Self {
        let mut then = self.then.to_vec();
        for (index, byte) in then.iter_mut().enumerate() {
            if let Some(new) = (self.at + index).checked_sub(at).and_then(|index| bytes.get(index)) {
                *byte &= new;
            }
        }
        Self { then: then.into(), ..self }
    }
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    units: Vec<Unit>,
    hash: OnceCell<u64>,
}

impl Clone for Piece {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), units: self.units.clone(), hash: OnceCell::new() }
    }
}

impl Piece {
    fn hash(&self) -> u64 {
        *self.hash.get_or_init(|| {
            let mut hasher = DefaultHasher::new();
            self.bytes.hash(&mut hasher);
            self.units.hash(&mut hasher);
            hasher.finish()
        })
    }
}

/// Whether bytes read as an erased flash does.
#[must_use]
pub fn is_blank(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| *word == [0xff; 16]) && rest.iter().all(|byte| *byte == 0xff)
}

impl Content {
    /// A flash of `size` bytes that reads blank but was never erased. `size` is a multiple of 1024 and of the write size.
    #[must_use]
    pub fn new(size: usize, write_size: usize) -> Self {
        let piece_size = if size > 64 * 1024 { 4096 } else { 1024 };
        let blank = Piece { bytes: vec![0xff; piece_size], units: vec![Unit::Unreliable; piece_size / write_size], hash: OnceCell::new() };
        let blank = Rc::new(blank);
        Self { pieces: vec![blank; size.div_ceil(piece_size)], piece_size, write_size, flicker: None }
    }

    /// Bytes in all.
    #[must_use]
    pub fn size(&self) -> usize {
        self.pieces.len() * self.piece_size
    }

    /// Two independent hashes over everything that a later step may see.
    #[must_use]
    pub fn key(&self) -> [u64; 2] {
        [0_u8, 1].map(|salt| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            self.flicker.hash(&mut hasher);
            for piece in &self.pieces {
                piece.hash().hash(&mut hasher);
            }
            hasher.finish()
        })
    }

    /// Copies bytes out.
    pub fn read(&self, at: usize, bytes: &mut [u8]) {
        for (piece, range, from) in self.spans(at..at + bytes.len()) {
            bytes[from..from + range.len()].copy_from_slice(&self.pieces[piece].bytes[range]);
        }
    }

    /// The bytes of a range.
    #[must_use]
    pub fn bytes(&self, range: Range<usize>) -> Vec<u8> {
        let mut bytes = vec![0; range.len()];
        self.read(range.start, &mut bytes);
        bytes
    }

    /// Whether a range holds exactly these bytes.
    #[must_use]
    pub fn holds(&self, at: usize, bytes: &[u8]) -> bool {
        self.spans(at..at + bytes.len()).all(|(piece, range, from)| self.pieces[piece].bytes[range.clone()] == bytes[from..from + range.len()])
    }

    /// The first unit of a range that may not be programmed.
    #[must_use]
    pub fn first_not_programmable(&self, at: usize, len: usize) -> Option<Unit> {
        let per_piece = self.piece_size / self.write_size;
        (at / self.write_size..(at + len).div_ceil(self.write_size))
            .map(|unit| self.pieces[unit / per_piece].units[unit % per_piece])
            .find(|unit| matches!(unit, Unit::Unreliable | Unit::Written))
    }

    /// Puts bytes there whatever was there before, and says what the units are now.
    pub fn put(&mut self, at: usize, bytes: &[u8], unit: Unit) {
        let range = at..at + bytes.len();
        if self.flicker.as_ref().is_some_and(|flicker| flicker.touches(&range)) {
            self.flicker = None;
        }
        for (piece, part, from) in self.spans(range).collect::<Vec<_>>() {
            let piece = Rc::make_mut(&mut self.pieces[piece]);
            piece.hash = OnceCell::new();
            let units = part.start / self.write_size..part.end.div_ceil(self.write_size);
            piece.bytes[part.clone()].copy_from_slice(&bytes[from..from + part.len()]);
            piece.units[units].fill(unit);
        }
    }

    /// Programs bytes: only clears bits. Cells that flicker keep what was begun in them.
    pub fn program(&mut self, at: usize, bytes: &[u8]) {
        let mut now = self.bytes(at..at + bytes.len());
        now.iter_mut().zip(bytes).for_each(|(now, new)| *now &= new);
        let flicker = self.flicker.clone().map(|flicker| flicker.under(at, bytes));
        self.put(at, &now, Unit::Written);
        self.flicker = flicker;
    }

    /// Units of a range that read blank after they were begun to be programmed.
    pub fn soften(&mut self, range: Range<usize>) {
        let first = range.start - range.start % self.write_size;
        for at in (first..range.end).step_by(self.write_size) {
            let unit = self.bytes(at..at + self.write_size);
            if is_blank(&unit) {
                self.put(at, &unit, Unit::Marginal);
            }
        }
    }

    /// Erases a range: sets every bit.
    pub fn erase(&mut self, range: Range<usize>) {
        self.put(range.start, &vec![0xff; range.len()], Unit::Erased);
    }

    /// Lets a range read as it does now at the next start, and as `then` from the one after it on.
    pub fn flicker(&mut self, at: usize, then: &[u8]) {
        self.flicker = Some(Flicker { at, then: then.into(), starts: 1, blank: Unit::Written });
    }

    /// Takes an erase for done that was not: of what reads blank, or will from some start on, nobody can tell.
    pub fn swallow_erase(&mut self, range: Range<usize>) {
        let bytes = self.bytes(range.clone());
        let flicker = self.flicker.clone();
        if is_blank(&bytes) {
            self.put(range.start, &bytes, Unit::Erased);
        } else if let Some(flicker) = flicker.filter(|flicker| flicker.at == range.start && is_blank(&flicker.then)) {
            self.flicker = Some(Flicker { blank: Unit::Erased, ..flicker });
        }
    }

    /// Gives power: cells that flicker make up their mind at the second start.
    pub fn start(&mut self) {
        match &mut self.flicker {
            Some(flicker) if flicker.starts == 0 => {
                let Flicker { at, then, blank, .. } = flicker.clone();
                self.put(at, &then, Unit::Written);
                for (index, unit) in then.chunks(self.write_size).enumerate().filter(|(_, unit)| is_blank(unit)) {
                    self.put(at + index * self.write_size, unit, blank);
                }
            }
            Some(flicker) => flicker.starts -= 1,
            None => {}
        }
    }

    /// Whether some cells have not made up their mind.
    #[must_use]
    pub const fn is_flickering(&self) -> bool {
        self.flicker.is_some()
    }

    /// The pieces that a range touches: index, range inside, offset from the range's start.
    fn spans(&self, range: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>, usize)> + use<> {
        let size = self.piece_size;
        let pieces = if range.is_empty() { 0..0 } else { range.start / size..(range.end - 1) / size + 1 };
        pieces.map(move |piece| {
            let start = range.start.max(piece * size);
            let end = range.end.min((piece + 1) * size);
            (piece, start - piece * size..end - piece * size, start - range.start)
        })
    }
}
