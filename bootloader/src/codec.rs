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

    /// An unsigned integer below 2^`bits`. What has failed the reader may come back as a larger one.
    #[inline(never)]
    fn varint(&mut self, bits: u32) -> u64 {
        let mut value = 0_u64;
        let mut shift = 0_u32;
        while shift < bits {
            let byte = self.byte();
            let payload = u32::from(byte & 0x7f);
            let room = bits.saturating_sub(shift).min(7);
            if payload >> room != 0 {
                self.fail();
            }
            value |= u64::from(payload).wrapping_shl(shift);
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

    #[expect(clippy::cast_possible_truncation, reason = "what is cut off here has failed the reader already")]
    pub(crate) fn u32(&mut self) -> u32 {
        self.varint(32) as u32
    }

    #[expect(clippy::cast_possible_truncation, reason = "what is cut off here has failed the reader already")]
    pub(crate) fn u16(&mut self) -> u16 {
        self.varint(16) as u16
    }

    /// A length or an enum's variant, below `limit`.
    #[inline(never)]
    pub(crate) fn below(&mut self, limit: u8) -> u8 {
        match u8::try_from(self.u32()) {
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
        // There is room for every count that was just accepted.
        let _ = values.resize(usize::from(count), unread);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec as Owned;

    /// What a reader makes of a number: its value, or why it is none.
    fn number<'a>(bytes: &'a [u8], read: impl Fn(&mut Reader<'a>) -> u64) -> Result<u64, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = read(&mut reader);
        reader.finish().map(|_| value)
    }

    /// postcard's own encoding.
    fn encoded(value: u64) -> Owned<u8> {
        postcard::to_slice(&value, &mut [0; 16]).expect("room").to_vec()
    }

    #[test]
    fn numbers_are_written_as_postcard_writes_them_and_read_back() {
        let powers = (0..48).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
        for value in powers.filter(|value| *value < NUMBER_LIMIT) {
            let bytes = encoded(value);
            let mut buffer = [0; 16];
            let mut writer = Writer::new(&mut buffer);
            writer.varint(value);
            let used = writer.unused().map(|unused| 16 - unused).expect("room");
            assert_eq!(buffer[..used], bytes[..], "{value}");
            assert_eq!(number(&bytes, Reader::number), Ok(value));
            let narrow = |limit: u64| if value < limit { Ok(value) } else { Err(DecodeError::Malformed) };
            assert_eq!(number(&bytes, |reader| u64::from(reader.u32())), narrow(1 << 32), "{value}");
            assert_eq!(number(&bytes, |reader| u64::from(reader.u16())), narrow(1 << 16), "{value}");
            for limit in [1, 2, 100, 255] {
                let of = match limit {
                    1 => number(&bytes, |reader| u64::from(reader.below(1))),
                    2 => number(&bytes, |reader| u64::from(reader.below(2))),
                    100 => number(&bytes, |reader| u64::from(reader.below(100))),
                    _ => number(&bytes, |reader| u64::from(reader.below(255))),
                };
                assert_eq!(of, narrow(limit), "{value} below {limit}");
            }
        }
    }

    #[test]
    fn numbers_of_2_to_the_48_and_more_are_too_large_and_longer_ones_are_none() {
        for value in [NUMBER_LIMIT, NUMBER_LIMIT + 1, u64::MAX] {
            assert_eq!(number(&encoded(value), Reader::number), Err(DecodeError::TooLarge), "{value}");
        }
        let mut beyond = encoded(u64::MAX);
        *beyond.last_mut().expect("ten bytes") = 2;
        assert_eq!(number(&beyond, Reader::number), Err(DecodeError::Malformed), "bit 64");
        assert_eq!(number(&[0x80; 11], Reader::number), Err(DecodeError::Malformed), "no end");
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0x10], |reader| u64::from(reader.u32())), Err(DecodeError::Malformed), "bit 32");
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0x0f], |reader| u64::from(reader.u32())), Ok(0xffff_ffff));
        assert_eq!(number(&[0xff, 0xff, 0x04], |reader| u64::from(reader.u16())), Err(DecodeError::Malformed), "bit 16");
        assert_eq!(number(&[0xff, 0xff, 0x03], |reader| u64::from(reader.u16())), Ok(0xffff));
    }

    #[test]
    fn a_number_has_one_encoding() {
        assert_eq!(number(&[0], Reader::number), Ok(0));
        for longer in [&[0x80, 0][..], &[0x81, 0], &[0x80, 0x80, 0]] {
            assert_eq!(number(longer, Reader::number), Err(DecodeError::NotCanonical), "{longer:?}");
        }
        assert_eq!(number(&[0x80, 1], Reader::number), Ok(128));
    }

    #[test]
    fn the_first_error_is_kept_and_everything_behind_it_is_zero() {
        let mut reader = Reader::new(&[0x80, 0, 7, 7]);
        assert_eq!(reader.number(), 0);
        assert_eq!((reader.byte(), reader.bytes::<2>(), reader.option(Reader::byte)), (0, [0; 2], None));
        assert_eq!(reader.finish(), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn what_follows_the_values_is_given_back() {
        let mut reader = Reader::new(&[1, 9, 0, 2, 3, 4, 5]);
        assert_eq!((reader.option(Reader::byte), reader.option(Reader::byte)), (Some(9), None));
        let mut list = Vec::<u8, 4>::new();
        reader.byte_list(&mut list);
        assert_eq!((&list[..], reader.finish()), (&[3, 4][..], Ok(&[5][..])));
    }

    #[test]
    fn a_list_longer_than_its_room_is_none() {
        let mut reader = Reader::new(&[4, 1, 2, 3, 4]);
        let mut list = Vec::<u8, 4>::new();
        reader.byte_list(&mut list);
        assert_eq!((&list[..], reader.finish()), (&[1, 2, 3, 4][..], Ok(&[][..])));
        let mut reader = Reader::new(&[5, 1, 2, 3, 4, 5]);
        let mut list = Vec::<u8, 4>::new();
        reader.byte_list(&mut list);
        assert_eq!(reader.finish(), Err(DecodeError::Malformed));
        let mut reader = Reader::new(&[2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
        let mut ids = Vec::<KeyId, 2>::new();
        reader.key_ids(&mut ids);
        assert_eq!((&ids[..], reader.finish()), (&[[1; 8], [2; 8]][..], Ok(&[][..])));
    }

    #[test]
    fn a_buffer_that_is_too_short_is_told_and_not_overrun() {
        let mut buffer = [0; 4];
        let mut writer = Writer::new(&mut buffer[..3]);
        writer.list(&[7_u8, 8], |byte, writer| writer.byte(*byte));
        assert_eq!(writer.unused(), Some(0));
        writer.option(Some(1_u8), |byte, writer| writer.byte(byte));
        assert_eq!(writer.unused(), None);
        assert_eq!(buffer, [2, 7, 8, 0]);
        let mut writer = Writer::new(&mut buffer);
        writer.option(None::<u8>, |byte, writer| writer.byte(byte));
        writer.bytes(&[5, 6]);
        assert_eq!((writer.unused(), buffer), (Some(1), [0, 5, 6, 0]));
    }
}
