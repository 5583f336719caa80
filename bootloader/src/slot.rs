//! The two slots and values that exist once for each.

use serde::{Deserialize, Serialize};

use crate::codec::Reader;

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Slot {
    /// Slot A.
    A,
    /// Slot B.
    B,
}

impl Slot {
    /// Both slots, A first.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The slot that this one is not.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        if reader.below(2) == 0 { Self::A } else { Self::B }
    }

    /// `"a"` or `"b"`, as on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// One value for each slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BySlot<T> {
    /// The value of slot A.
    pub a: T,
    /// The value of slot B.
    pub b: T,
}

impl<T> BySlot<T> {
    /// The value of `slot`.
    #[must_use]
    pub const fn of(&self, slot: Slot) -> &T {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }

    /// The value of `slot`, to change it.
    #[inline(never)]
    pub const fn of_mut(&mut self, slot: Slot) -> &mut T {
        match slot {
            Slot::A => &mut self.a,
            Slot::B => &mut self.b,
        }
    }

    /// The same values with the slots' names swapped.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self { a: self.b, b: self.a }
    }
}
