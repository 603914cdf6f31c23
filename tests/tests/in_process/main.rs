//! The use cases in the test's own process, on both databases, with a clock that stands still until the test moves it
//! and a worker and a sweep that run when the test says so.

mod abandoned;
mod asking;
mod clocks;
mod hazards;
mod helping;
mod load;
mod messages;
mod photos;
mod post_checks;
mod reads;
mod sequences;
mod small_county;
mod time_outs;
mod timers;
mod together;
mod transfers;
mod turns;

/// Makes a test of each function for each database; a function gets a [`small_county::SmallCounty`] of its own.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        on_both_databases!(@on sqlite, Sqlite, $($name),+);
        on_both_databases!(@on postgres, Postgres, $($name),+);
    };
    (@on $module:ident, $database:ident, $($name:ident),+) => {
        mod $module {
            use crate::small_county::{Database, SmallCounty};

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(SmallCounty::open(Database::$database).await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_databases;
