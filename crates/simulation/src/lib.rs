//! A county at work, in memory: the default county, a stream of orders, people who answer or do not, and a policy that
//! decides who is asked. `docs/simulation.md` has the model in words and the figures.

pub mod chance;
pub mod model;
