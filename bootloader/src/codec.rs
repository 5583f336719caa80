//! The verifier's reader and writer of postcard's wire format, strict by construction.
//!
//! postcard accepts integers that are longer than they need to be. The reader accepts the canonical encoding only, so that a value has one encoding
//! and no bytes of a signed body are left to choose. It needs no second pass and a fraction of the code of a derived decoder; tests hold it against
//! postcard itself. Wire format: <https://postcard.jamesmunns.com/wire-format>.

use heapless::Vec;

use crate::anchor::KeyId;

/// 64-bit numbers of this size or more are refused everywhere.
pub const NUMBER_LIMIT: u64 = 1 << 48;

/// What a reader found wrong first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The bytes are no such value.
    Malformed,
    /// The same value has another, canonical encoding.
    NotCanonical,
    /// A number of 2^48 or more.
    TooLarge,
}

/// Reads values from the front of bytes. The first error is kept and everything read after it is zero.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    error: Option<DecodeError>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, error: None }
    }

    /// What follows the values read; an error when any of them was none.
    pub(crate) const fn finish(self) -> Result<&'a [u8], DecodeError> {
        match self.error {
            None => Ok(self.rest),
            Some(error) => Err(error),
        }
    }

    /// Remembers that the bytes are no such value.
    #[inline(never)]
    pub(crate) fn fail(&mut self) {
        self.fail_with(DecodeError::Malformed);
    }

    fn fail_with(&mut self, error: DecodeError) {
        self.error.get_or_insert(error);
        self.rest = &[];
    }

    #[inline(never)]
    pub(crate) fn byte(&mut self) -> u8 {
        match self.rest {
            [first, rest @ ..] => {
                self.rest = rest;
                *first
            }
            [] => {
                self.fail();
                0
            }
        }
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    #[inline(never)]
    pub(crate) fn fill(&mut self, target: &mut [u8]) {
        for byte in target {
            *byte = self.byte();
        }
    }

    /// An unsigned integer below 2^`bits`.
    #[inline(never)]
    fn varint(&mut self, bits: u32) -> u64 {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        while shift < bits {
            let byte = self.byte();
            let payload = u64::from(byte & 0x7f);
            let room = bits.saturating_sub(shift);
            if room < 7 && payload >> room != 0 {
                self.fail();
            }
            value |= payload.wrapping_shl(shift);
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    self.fail_with(DecodeError::NotCanonical);
                }
                return value;
            }
            shift = shift.saturating_add(7);
        }
        self.fail();
        0
    }

    /// A 64-bit integer, which must be below 2^48.
    #[inline(never)]
    pub(crate) fn number(&mut self) -> u64 {
        let value = self.varint(64);
        if value >= NUMBER_LIMIT {
            self.fail_with(DecodeError::TooLarge);
        }
        value
    }

    #[expect(clippy::cast_possible_truncation, reason = "the reader returns values below 2^32 only")]
    pub(crate) fn u32(&mut self) -> u32 {
        self.varint(32) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "the reader returns values below 2^16 only")]
    pub(crate) fn u16(&mut self) -> u16 {
        self.varint(16) as u16
    }

    /// A length or an enum's variant, below `limit`.
    #[inline(never)]
    pub(crate) fn below(&mut self, limit: u8) -> u8 {
        let value = self.varint(32);
        match u8::try_from(value) {
            Ok(small) if small < limit => small,
            _ => {
                self.fail();
                0
            }
        }
    }

    /// A value that may be absent.
    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 1).then(|| read(self))
    }

    /// Up to `N` values, each read into a copy of `unread`.
    pub(crate) fn list<T: Clone, const N: usize>(&mut self, values: &mut Vec<T, N>, unread: T, read: impl Fn(&mut T, &mut Self)) {
        let limit = u8::try_from(N).unwrap_or(u8::MAX);
        let count = self.below(limit.saturating_add(1));
        if values.resize(usize::from(count), unread).is_err() {
            self.fail();
        }
        for value in values {
            read(value, self);
        }
    }

    /// Up to `N` bytes.
    pub(crate) fn byte_list<const N: usize>(&mut self, bytes: &mut Vec<u8, N>) {
        self.list(bytes, 0, |byte, reader| *byte = reader.byte());
    }

    /// Up to `N` key ids.
    pub(crate) fn key_ids<const N: usize>(&mut self, ids: &mut Vec<KeyId, N>) {
        self.list(ids, [0; 8], |id, reader| reader.fill(id));
    }
}

/// Writes values to the front of a buffer. A buffer that is too short is told at the end.
pub(crate) struct Writer<'a> {
    rest: &'a mut [u8],
    overflow: bool,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { rest: buffer, overflow: false }
    }

    /// How many bytes of the buffer were not used; `None` when it was too short.
    pub(crate) const fn unused(&self) -> Option<usize> {
        if self.overflow { None } else { Some(self.rest.len()) }
    }

    #[inline(never)]
    pub(crate) fn byte(&mut self, value: u8) {
        match core::mem::take(&mut self.rest) {
            [first, rest @ ..] => {
                *first = value;
                self.rest = rest;
            }
            [] => self.overflow = true,
        }
    }

    #[inline(never)]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    #[inline(never)]
    pub(crate) fn varint(&mut self, mut value: u64) {
        loop {
            let low = value.to_le_bytes()[0] & 0x7f;
            value >>= 7;
            if value == 0 {
                self.byte(low);
                return;
            }
            self.byte(low | 0x80);
        }
    }

    /// A list, with its length ahead.
    pub(crate) fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&T, &mut Self)) {
        self.varint(items.len() as u64);
        for item in items {
            write(item, self);
        }
    }

    /// A value that may be absent.
    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(T, &mut Self)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(value, self);
        }
    }
}
