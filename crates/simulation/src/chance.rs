//! Draws that depend on what they are for and on nothing else.
//!
//! A draw is a hash of the seed and of its subject ("does person 17 say yes to order 4?"), not the next number of a
//! sequence. So every policy meets the same people on the same days: what differs is whom it asks.

/// The draws of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

/// What a draw is about, so that two questions about the same person are independent.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum About {
    /// How willing somebody is.
    Willingness = 1,
    /// How often somebody looks at his phone.
    Glance,
    /// When somebody's day begins.
    Waking,
    /// Whether somebody is away on a day.
    Leave,
    /// Whether he has said so.
    LeaveEntered,
    /// When an invitation is seen.
    Seen,
    /// Whether an invitation is accepted.
    Accepts,
    /// Whether somebody who does not accept says so.
    Declines,
    /// How long a service takes.
    Service,
    /// How many orders a day brings.
    Orders,
    /// When an order comes.
    Moment,
    /// From where an order comes.
    Place,
    /// What an order is about.
    Category,
    /// How busy a grid is.
    Busyness,
    /// The order in which a policy without a preference asks.
    Shuffle,
}

/// One step of SplitMix64, a published mixing function (Steele, Lea, Flood 2014).
fn mix(value: u64) -> u64 {
    let mut bits = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Chance {
    /// The draws of this seed.
    pub fn new(seed: u64) -> Chance {
        Chance(mix(seed))
    }

    /// 64 even bits about a subject.
    pub fn bits(self, about: About, first: usize, second: usize) -> u64 {
        mix(mix(mix(self.0 ^ about as u64) ^ first as u64) ^ second as u64)
    }

    /// A number from 0 (included) to 1 (excluded), even.
    pub fn even(self, about: About, first: usize, second: usize) -> f64 {
        (self.bits(about, first, second) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A waiting time with this mean: exponential.
    pub fn waiting(self, mean: f64, about: About, first: usize, second: usize) -> f64 {
        -mean * (1.0 - self.even(about, first, second)).ln()
    }

    /// A number around 1 whose logarithm is about normal with this deviation: the sum of four even draws (Irwin–Hall)
    /// stands in for the normal.
    pub fn spread(self, deviation: f64, about: About, first: usize, second: usize) -> f64 {
        let part = |n: usize| self.even(about, first, second.wrapping_mul(4).wrapping_add(n)) - 0.5;
        let sum: f64 = (0..4).map(part).sum();
        // Four even draws have a variance of 4/12.
        (deviation * sum * 3.0_f64.sqrt()).exp()
    }
}
