//! try
fn main() {
    let days: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let seeds: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    for row in xingfuma_simulation::simulate(days, seeds, 2) {
        for (f, p) in row.iter().zip(xingfuma_simulation::policy::Policy::ALL) {
            println!(
                "{:14} n{} left{} med{:.1} p90 {:.1} ontime {:.4} gini {:.4} opa {:.2}",
                p.name(),
                f.orders,
                f.left_over,
                f.median_seconds as f64 / 60.,
                f.p90_seconds as f64 / 60.,
                f.on_time,
                f.gini,
                f.offers_per_accept
            );
        }
    }
}
