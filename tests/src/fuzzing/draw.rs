//! Values out of arbitrary bytes: the same bytes, the same values; zeros when they have run out.

/// Bytes that are used up from the front.
pub(super) struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (front, rest) = self.0.split_at(self.0.len().min(N));
        self.0 = rest;
        let mut bytes = [0; N];
        bytes[..front.len()].copy_from_slice(front);
        bytes
    }

    pub(super) const fn is_odd(byte: u8) -> bool {
        byte & 1 == 1
    }

    /// A number as layouts have them: few bits, anywhere.
    pub(super) fn number(&mut self) -> u64 {
        let bits = u64::from(u32::from_le_bytes(self.bytes()));
        (bits << (self.byte() % 32)) & i64::MAX as u64
    }

    /// A number, or none.
    pub(super) fn optional(&mut self) -> Option<u64> {
        let number = self.number();
        Self::is_odd(self.byte()).then_some(number)
    }
}
