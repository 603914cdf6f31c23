//! What was measured: as a table for people, as JSON for programs, as a picture for the documentation.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::duel::{Duel, median, range};
use crate::picture;

/// What a figure should keep to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// For the record.
    None,
}

/// One figure that has no rival.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) limit: Limit,
}

impl Figure {
    pub(crate) fn new(name: &str, value: f64, unit: &'static str, limit: Limit) -> Figure {
        Figure { name: name.to_owned(), value, unit, limit }
    }

    fn holds(&self) -> Option<bool> {
        match self.limit {
            Limit::AtMost(most) => Some(self.value <= most),
            Limit::AtLeast(least) => Some(self.value >= least),
            Limit::None => None,
        }
    }

    fn limit(&self) -> String {
        match self.limit {
            Limit::AtMost(most) => format!("≤ {}", plain(most)),
            Limit::AtLeast(least) => format!("≥ {}", plain(least)),
            Limit::None => String::new(),
        }
    }
}

/// Everything that one run found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Processor and cores.
    pub(crate) machine: String,
    /// PostgreSQL's and Redis's own words.
    pub(crate) services: Vec<String>,
    /// How busy the machine was before the run: another's work makes every figure worse and the ranges wide.
    pub(crate) load_before: f64,
    /// How it was called.
    pub(crate) arguments: String,
    pub(crate) duels: Vec<Duel>,
    pub(crate) figures: Vec<Figure>,
}

impl Report {
    /// Adds a figure and tells it.
    pub(crate) fn add(&mut self, figure: Figure) {
        println!("{}", row(&figure));
        self.figures.push(figure);
    }

    /// The whole as Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("Machine: {}. {}.\n", self.machine, self.services.join(". "));
        let _ = writeln!(
            text,
            "Load average before the run: {:.1}. Called with: {}.\n",
            self.load_before, self.arguments
        );
        if !self.duels.is_empty() {
            text.push_str(DUELS);
        }
        for duel in &self.duels {
            let _ = writeln!(text, "{}", line(duel));
        }
        if !self.figures.is_empty() {
            text.push_str(FIGURES);
        }
        for figure in &self.figures {
            let _ = writeln!(text, "{}", row(figure));
        }
        text
    }

    /// Writes table, JSON and picture.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn write(&self, directory: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("bench.md"), self.table())?;
        std::fs::write(directory.join("bench.json"), serde_json::to_string_pretty(self)? + "\n")?;
        std::fs::write(directory.join("bench.svg"), picture::ratios(&self.duels))
    }
}

const DUELS: &str = "| against the floor | conn. | product/s (range) | floor/s (range) | ratio (range) | wanted | p50, p99 ms \
    | floor's | CPU µs an answer: server + database + client | floor's |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
const FIGURES: &str = "\n| figure | value | wanted |\n| --- | --- | --- |\n";

/// A comparison as a row of the table.
pub(crate) fn line(duel: &Duel) -> String {
    let side = |side: &crate::duel::Side| {
        let (low, high) = range(&side.per_second);
        format!("{} ({}–{})", plain(median(&side.per_second)), plain(low), plain(high))
    };
    let latency =
        |side: &crate::duel::Side| format!("{:.2}, {:.2}", median(&side.p50_ms), median(&side.p99_ms));
    let cost = |side: &crate::duel::Side| {
        let each = |seconds: f64| plain(seconds * 1e6 / side.answers.max(1) as f64);
        let used = side.seconds;
        format!("{} + {} + {}", each(used.server), each(used.database), each(used.client))
    };
    let (low, high) = range(&duel.ratios());
    let wanted = format!("≥ {} {}", duel.wanted, mark(Some(duel.holds())));
    format!(
        "| {} | {} | {} | {} | {:.2} ({low:.2}–{high:.2}) | {wanted} | {} | {} | {} | {} |",
        duel.name,
        duel.connections,
        side(&duel.product),
        side(&duel.floor),
        duel.ratio(),
        latency(&duel.product),
        latency(&duel.floor),
        cost(&duel.product),
        cost(&duel.floor),
    )
}

fn row(figure: &Figure) -> String {
    format!(
        "| {} | {} {} | {} {} |",
        figure.name,
        plain(figure.value),
        figure.unit,
        figure.limit(),
        mark(figure.holds())
    )
}

fn mark(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "",
    }
}

/// As many digits as a measurement like this is worth.
fn plain(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_whether_it_keeps_to_its_limit() {
        let told = |value, limit| row(&Figure::new("x", value, "ms", limit));
        assert_eq!(told(9.94, Limit::AtMost(10.0)), "| x | 9.94 ms | ≤ 10.0 ✓ |");
        assert_eq!(told(12.3, Limit::AtMost(10.0)), "| x | 12.3 ms | ≤ 10.0 ✗ |");
        assert_eq!(told(6_001.2, Limit::AtLeast(6_000.0)), "| x | 6001 ms | ≥ 6000 ✓ |");
        assert_eq!(told(1.0, Limit::None), "| x | 1.00 ms |   |");
    }
}
