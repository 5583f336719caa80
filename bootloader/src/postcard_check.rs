//! Canonical decoding: a value, and the proof that encoding it again gives the same bytes.

use serde::{Serialize, de::DeserializeOwned};

/// What a decoder found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The bytes are no such value.
    Malformed,
    /// The same value has another, canonical encoding.
    NotCanonical,
}

/// Decodes one value from the front of `bytes`; the second half of the result is what follows it.
pub(crate) fn take_canonical<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    let used = bytes
        .len()
        .checked_sub(rest.len())
        .and_then(|used| bytes.get(..used))
        .ok_or(DecodeError::Malformed)?;
    let matched = postcard::serialize_with_flavor(&value, Expect { rest: used }).map_err(|_| DecodeError::NotCanonical)?;
    if matched { Ok((value, rest)) } else { Err(DecodeError::NotCanonical) }
}

/// A serializer's output that compares instead of storing.
struct Expect<'a> {
    rest: &'a [u8],
}

impl postcard::ser_flavors::Flavor for Expect<'_> {
    type Output = bool;

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        match self.rest.split_first() {
            Some((first, rest)) if *first == data => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(postcard::Error::SerializeBufferFull),
        }
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.rest.is_empty())
    }
}
