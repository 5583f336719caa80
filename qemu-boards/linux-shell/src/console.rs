//! Lines on the console: `twinslot: ` and what there is to say.
//!
//! Words follow each other without the formatting of `core::fmt`, which takes 5 KB of a loader.

use crate::machine::Machine;

/// Decimal digits of the largest number.
const DIGITS: usize = 20;

/// A line that was begun. It ends when it is dropped.
#[must_use]
pub struct Line<'m, M: Machine> {
    machine: &'m M,
}

impl<'m, M: Machine> Line<'m, M> {
    /// Begins a line.
    pub fn new(machine: &'m M) -> Self {
        machine.send("twinslot: ");
        Self { machine }
    }

    /// Goes on with a text.
    #[inline(never)]
    pub fn text(self, text: &str) -> Self {
        self.machine.send(text);
        self
    }

    /// Goes on with a number, in decimal.
    pub fn number(self, number: u64) -> Self {
        self.digits(number, 10)
    }

    /// Goes on with a number, in hexadecimal.
    pub fn hexadecimal(self, number: u64) -> Self {
        self.text("0x").digits(number, 16)
    }

    #[inline(never)]
    fn digits(self, number: u64, base: u64) -> Self {
        let mut digits = [0; DIGITS];
        let mut rest = number;
        let mut first = DIGITS;
        for (at, place) in digits.iter_mut().enumerate().rev() {
            *place = b"0123456789abcdef".get((rest % base) as usize).copied().unwrap_or(b'?');
            rest /= base;
            first = at;
            if rest == 0 {
                break;
            }
        }
        self.text(digits.get(first..).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or_default())
    }
}

impl<M: Machine> Drop for Line<'_, M> {
    fn drop(&mut self) {
        self.machine.send("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use twinslot_bootloader::image::kernel::Architecture;

    use super::*;

    #[derive(Default)]
    struct Paper(RefCell<String>);

    impl Machine for Paper {
        const ARCHITECTURE: Architecture = Architecture::Aarch64;

        fn send(&self, text: &str) {
            self.0.borrow_mut().push_str(text);
        }

        fn microseconds(&self) -> u64 {
            0
        }

        fn start_kernel(&self, _: u64, _: u64) -> ! {
            unreachable!("paper starts nothing")
        }

        fn stop(&self) -> ! {
            unreachable!("paper does not stop")
        }
    }

    #[test]
    fn a_line_has_its_words_between_its_beginning_and_its_end() {
        let paper = Paper::default();
        drop(Line::new(&paper).text("halt: code=").number(42).text(" ").hexadecimal(0xdead_beef));
        assert_eq!(paper.0.into_inner(), "twinslot: halt: code=42 0xdeadbeef\r\n");
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, 15, 16, 99, 100, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let paper = Paper::default();
            drop(Line::new(&paper).number(number).text(" ").hexadecimal(number));
            assert_eq!(paper.0.into_inner(), format!("twinslot: {number} {number:#x}\r\n"));
        }
    }
}
