//! Numbers that look random and are the same in every run: the moments at which the power is cut.

/// The seed of every run; it is printed with a failure.
pub(crate) const SEED: u64 = 0x7477_696e_736c_6f74;

/// SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
pub(crate) struct Sequence(u64);

impl Sequence {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, in 1..=limit; 1 when the limit is 0.
    pub(crate) fn up_to(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).map_or(1, |number| number + 1)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference implementation for the seed 1234567.
    #[test]
    fn the_sequence_is_that_of_the_paper() {
        let mut sequence = Sequence::new(1_234_567);
        assert_eq!(
            [sequence.next(), sequence.next(), sequence.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn moments_lie_within_the_run() {
        let mut sequence = Sequence::new(SEED);
        assert!((0..1000).all(|_| (1..=7).contains(&sequence.up_to(7))));
        assert_eq!(sequence.up_to(0), 1);
    }
}
