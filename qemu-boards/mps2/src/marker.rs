//! The reset marker: two words of RAM that a reset keeps and a power cut loses.
//!
//! The machine has no register that tells why it started. Whoever is about to lose control leaves a [`Mark`]; the loader reads it at the next start.

use core::sync::atomic::{AtomicU32, Ordering};

use twinslot_bootloader::reason::ResetCause;

/// The upper three bytes of the first word. RAM that lost its power holds them once in 16 million starts.
const MAGIC: u32 = 0x5457_4d00;

/// Bytes of a marker.
pub const SIZE: usize = 8;

/// What was going on when the marker was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// The loader started, or whatever runs has no watchdog on it.
    Running = 1,
    /// The watchdog is armed.
    Armed = 2,
    /// Software is about to reset the machine.
    Software = 3,
    /// A fault handler is about to reset the machine.
    Fault = 4,
}

/// Where the mark is kept.
#[derive(Debug, Clone, Copy)]
pub struct Marker<'a> {
    words: &'a [AtomicU32],
}

impl<'a> Marker<'a> {
    /// The marker in the first two of `words`.
    #[must_use]
    pub const fn new(words: &'a [AtomicU32]) -> Self {
        Self { words }
    }

    /// Leaves a mark.
    pub fn leave(self, mark: Mark) {
        let word = MAGIC | mark as u32;
        if let [first, second, ..] = self.words {
            first.store(word, Ordering::Relaxed);
            second.store(!word, Ordering::Relaxed);
        }
    }

    /// Why the machine started, as far as the mark tells.
    #[must_use]
    pub fn reset_cause(self) -> ResetCause {
        match self.words {
            [first, second, ..] => cause_of(first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)),
            _ => ResetCause::Unknown,
        }
    }
}

/// No mark means that RAM lost its power. A mark that is torn, or that says nothing about a reset, means that nobody knows.
const fn cause_of(word: u32, complement: u32) -> ResetCause {
    if word & !0xff != MAGIC {
        return ResetCause::PowerOn;
    }
    if complement != !word {
        return ResetCause::Unknown;
    }
    match word & 0xff {
        2 => ResetCause::Watchdog,
        3 => ResetCause::Software,
        4 => ResetCause::Fault,
        _ => ResetCause::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(mark: Mark) -> ResetCause {
        let words = [AtomicU32::new(0), AtomicU32::new(0)];
        let marker = Marker::new(&words);
        marker.leave(mark);
        marker.reset_cause()
    }

    #[test]
    fn each_mark_names_its_reset() {
        assert_eq!(after(Mark::Armed), ResetCause::Watchdog);
        assert_eq!(after(Mark::Software), ResetCause::Software);
        assert_eq!(after(Mark::Fault), ResetCause::Fault);
        assert_eq!(after(Mark::Running), ResetCause::Unknown, "a reset that nobody announced");
    }

    #[test]
    fn ram_without_a_mark_lost_its_power() {
        for word in [0, u32::MAX, 0xdead_beef, 0x5457_4c02] {
            assert_eq!(cause_of(word, !word), ResetCause::PowerOn);
        }
    }

    #[test]
    fn a_damaged_mark_is_nobodys_word() {
        assert_eq!(cause_of(MAGIC | 2, 0), ResetCause::Unknown);
        assert_eq!(cause_of(MAGIC | 9, !(MAGIC | 9)), ResetCause::Unknown);
    }
}
