//! The revoked keys that a journal remembers.

use core::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::anchor::KeyId;
use crate::codec::{Reader, Writer};

/// Most key ids that a journal remembers as revoked.
pub const MAX_REVOKED: usize = 6;

/// How many counts there are: none to [`MAX_REVOKED`].
const COUNTS: u8 = MAX_REVOKED as u8 + 1;

/// Up to [`MAX_REVOKED`] distinct key ids, in the order of their revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RevokedKeys {
    ids: [KeyId; MAX_REVOKED],
    count: u8,
}

/// There is no room for another revoked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom;

impl RevokedKeys {
    /// No key is revoked.
    pub const NONE: Self = Self { ids: [[0; 8]; MAX_REVOKED], count: 0 };

    /// Adds a key, unless it is there already.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn insert(&mut self, id: KeyId) -> Result<(), NoRoom> {
        if self.contains(&id) {
            return Ok(());
        }
        *self.ids.get_mut(usize::from(self.count)).ok_or(NoRoom)? = id;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// A key that stands twice is no state that a writer commits.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>) {
        let count = reader.below(COUNTS);
        for _ in 0..count {
            let _ = self.insert(reader.bytes());
        }
        if self.count != count {
            reader.fail();
        }
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.list(self, |id, writer| writer.bytes(id));
    }
}

impl Deref for RevokedKeys {
    type Target = [KeyId];

    fn deref(&self) -> &[KeyId] {
        self.ids.get(..usize::from(self.count)).unwrap_or_default()
    }
}

impl Serialize for RevokedKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for RevokedKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ids = heapless::Vec::<KeyId, MAX_REVOKED>::deserialize(deserializer)?;
        let mut keys = Self::NONE;
        for id in &ids {
            let _ = keys.insert(*id);
        }
        if keys.len() == ids.len() { Ok(keys) } else { Err(serde::de::Error::custom("a revoked key stands twice")) }
    }
}
