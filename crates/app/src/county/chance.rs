//! Chance that is the same on every machine and for ever: the demo of today is the demo of tomorrow.

/// The generator splitmix64 (Steele, Lea and Flood, 2014). Good enough to spread names; not for secrets.
pub(super) struct Chance {
    state: u64,
}

impl Chance {
    /// A generator whose whole sequence follows from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which is above zero and small: the bias of the remainder is far below what matters.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// One of the characters.
    pub(super) fn pick(&mut self, from: &[char]) -> char {
        from[self.below(from.len())]
    }
}

/// Shares `total` out by weight, exactly: whole parts first, then one each to the largest remainders.
pub(super) fn share_out(total: usize, weights: &[usize]) -> Vec<usize> {
    let sum: usize = weights.iter().sum();
    let mut shares: Vec<usize> = weights.iter().map(|weight| total * weight / sum).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&at| (std::cmp::Reverse(total * weights[at] % sum), at));
    let left = total - shares.iter().sum::<usize>();
    for at in by_remainder.into_iter().take(left) {
        shares[at] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_published_generator() {
        let mut chance = Chance::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| chance.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn shares_are_exact_and_by_weight() {
        assert_eq!(share_out(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(share_out(7, &[3, 1, 2]), [4, 1, 2]);
        assert_eq!(share_out(30_000, &[7; 288]).iter().sum::<usize>(), 30_000);
    }
}
