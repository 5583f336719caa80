//! Why the machine started.
//!
//! The loader leaves a mark in a page of RAM that Linux is told to leave alone. A reset keeps it, a power cut loses it. A watchdog that resets the
//! machine says so itself; what is left is a reset that software asked for.

use core::sync::atomic::{AtomicU32, Ordering};

use twinslot_bootloader::reason::ResetCause;

/// Bytes of the page that the mark has to itself.
pub const PAGE: u64 = 4096;

/// Two words and their complements; RAM that lost its power holds them once in 2^64 starts.
const MARK: [u32; 4] = [0x5457_504f, 0x5745_5231, !0x5457_504f, !0x5745_5231];

/// What the watchdog says of the last reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchdogSays {
    /// It was mine.
    Mine,
    /// It was not mine, or there is no watchdog.
    NotMine,
}

/// Tells why the machine started.
#[must_use]
pub fn reset_cause(words: &[AtomicU32], watchdog: WatchdogSays) -> ResetCause {
    let is_marked = words.len() >= MARK.len() && words.iter().zip(MARK).all(|(word, mark)| word.load(Ordering::Relaxed) == mark);
    match (is_marked, watchdog) {
        (false, WatchdogSays::NotMine) => ResetCause::PowerOn,
        (_, WatchdogSays::Mine) => ResetCause::Watchdog,
        (true, WatchdogSays::NotMine) => ResetCause::Software,
    }
}

/// Leaves the mark.
pub fn mark(words: &[AtomicU32]) {
    for (word, mark) in words.iter().zip(MARK) {
        word.store(mark, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> [AtomicU32; 4] {
        core::array::from_fn(|_| AtomicU32::new(0))
    }

    #[test]
    fn ram_without_the_mark_lost_its_power() {
        let words = words();
        assert_eq!(reset_cause(&words, WatchdogSays::NotMine), ResetCause::PowerOn);
        mark(&words);
        for word in &words {
            let whole = word.fetch_xor(1, Ordering::Relaxed);
            assert_eq!(reset_cause(&words, WatchdogSays::NotMine), ResetCause::PowerOn, "a damaged mark is none");
            word.store(whole, Ordering::Relaxed);
        }
        assert_eq!(reset_cause(&[], WatchdogSays::NotMine), ResetCause::PowerOn);
    }

    #[test]
    fn a_reset_that_kept_the_mark_is_the_watchdogs_or_softwares() {
        let words = words();
        mark(&words);
        assert_eq!(reset_cause(&words, WatchdogSays::Mine), ResetCause::Watchdog);
        assert_eq!(reset_cause(&words, WatchdogSays::NotMine), ResetCause::Software);
    }
}
