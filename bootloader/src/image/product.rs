//! A product's name.

use core::fmt;

use heapless::Vec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::Reader;

/// Most bytes of a product's name.
pub const MAX_PRODUCT: usize = 32;

/// A product's name: 1 to 32 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    bytes: Vec<u8, MAX_PRODUCT>,
}

/// Bytes that are no product's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidProduct;

impl fmt::Display for InvalidProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a product's name is 1 to 32 visible ascii characters")
    }
}

impl core::error::Error for InvalidProduct {}

impl Product {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// The name's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// No name yet, to read one into.
    pub(super) const UNREAD: Self = Self { bytes: Vec::new() };

    pub(super) fn read(&mut self, reader: &mut Reader<'_>) {
        reader.byte_list(&mut self.bytes);
        if !is_name(&self.bytes) {
            reader.fail();
        }
    }
}

fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic)
}

impl TryFrom<&str> for Product {
    type Error = InvalidProduct;

    fn try_from(name: &str) -> Result<Self, InvalidProduct> {
        let bytes = Vec::from_slice(name.as_bytes()).map_err(|_| InvalidProduct)?;
        if is_name(&bytes) { Ok(Self { bytes }) } else { Err(InvalidProduct) }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Product {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Product {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <&str>::deserialize(deserializer)?;
        Self::try_from(name).map_err(serde::de::Error::custom)
    }
}
