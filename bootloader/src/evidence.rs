//! The verdict as a value.
//!
//! A fault in the machine - a glitch on its supply or its clock - can skip an instruction, and with it a branch, a call or a store. So every rule that
//! decides whether an image may start is held twice: by a branch that refuses with a code, and by a word that is zero only when the rule holds. The
//! words are gathered in an [`Evidence`], which is wrong until everything was shown, and from which the address of the jump is computed. Whoever skips
//! the branch jumps nowhere.
//!
//! What the two lines have in common is read through [`black_box`], so that the compiler does not conclude the second one from the first.

use core::hint::black_box;

/// What the verification of one image has shown so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// [`Evidence::NONE`]'s word plus that of each step shown: a step that was left out, or taken twice, leaves another sum.
    shown: u32,
    /// Every difference found.
    doubt: u32,
}

/// What has to be shown, once each. The words have nothing in common but to be odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Shown {
    /// Enough keys signed the header: their R was recomputed from the signed bytes.
    Signatures = 0x3a96_5c1d,
    /// The bytes of each part have the signed digest where they run.
    Parts = 0x94e2_71b5,
    /// The image is the one that the journal speaks of, and not below any floor.
    Choice = 0xc7d1_0e6b,
}

impl Evidence {
    /// Nothing was shown yet.
    pub(crate) const NONE: Self = Self { shown: 0x5f08_d3a9, doubt: 0 };

    /// The sum of everything.
    const ALL: u32 = Self::NONE.shown.wrapping_add(Shown::Signatures as u32).wrapping_add(Shown::Parts as u32).wrapping_add(Shown::Choice as u32);

    /// Takes a step in. `difference` is zero when it holds.
    #[inline(never)]
    pub(crate) fn absorb(&mut self, step: Shown, difference: u32) {
        self.shown = self.shown.wrapping_add(step as u32);
        self.doubt |= difference;
    }

    /// Zero when everything was shown and nothing is in doubt.
    #[must_use]
    pub const fn missing(&self) -> u32 {
        self.doubt | (self.shown ^ Self::ALL)
    }
}

/// Zero when two byte strings are equal.
#[inline(never)]
pub(crate) fn difference(a: &[u8], b: &[u8]) -> u32 {
    let unequal = |doubt: u32, (a, b): (&u8, &u8)| doubt | u32::from(a ^ b);
    black_box(a.iter().zip(b).fold(u32::from(a.len() != b.len()), unequal))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Shown; 3] = [Shown::Signatures, Shown::Parts, Shown::Choice];

    fn after(steps: &[(Shown, u32)]) -> u32 {
        let mut evidence = Evidence::NONE;
        for (step, difference) in steps {
            evidence.absorb(*step, *difference);
        }
        evidence.missing()
    }

    #[test]
    fn only_every_step_once_and_without_a_difference_misses_nothing() {
        let [first, second, third] = STEPS;
        assert_eq!(after(&[(first, 0), (second, 0), (third, 0)]), 0);
        for bit in 0..32 {
            for at in 0..3 {
                let step = |index: usize| (STEPS[index], if index == at { 1 << bit } else { 0 });
                assert_ne!(after(&[step(0), step(1), step(2)]), 0, "bit {bit} of step {at}");
            }
        }
    }

    #[test]
    fn up_to_four_steps_in_any_other_choice_miss_something() {
        let mut complete = 0;
        for number in 0..4_usize.pow(4) {
            let chosen = (0..4).map(|digit| number / 4_usize.pow(digit) % 4).filter(|digit| *digit < 3);
            let mut evidence = Evidence::NONE;
            let mut times = [0; 3];
            for index in chosen {
                evidence.absorb(STEPS[index], 0);
                times[index] += 1;
            }
            assert_eq!(evidence.missing() == 0, times == [1, 1, 1], "{times:?}");
            complete += usize::from(evidence.missing() == 0);
        }
        assert!(complete > 0);
    }

    #[test]
    fn any_changed_bit_and_any_other_length_is_a_difference() {
        let bytes = [0x5a; 32];
        assert_eq!(difference(&bytes, &bytes.clone()), 0);
        assert_ne!(difference(&bytes, &bytes[..31]), 0);
        for bit in 0..256 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(difference(&bytes, &changed), 0);
        }
    }
}
