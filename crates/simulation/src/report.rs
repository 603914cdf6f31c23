//! The figures as a table (Markdown) and as a picture (SVG).

use std::fmt::Write as _;

use crate::measure::Figures;
use crate::policy::Policy;

/// The place of ours in [`Policy::ALL`], and of broadcast.
const OURS: usize = 4;
const BROADCAST: usize = 3;

/// The means over all seeds, one row a policy.
pub fn means(rows: &[Vec<Figures>]) -> Vec<Figures> {
    let count = rows.len().max(1);
    let mean = |of: &dyn Fn(&Figures) -> f64, policy: usize| {
        rows.iter().map(|row| of(&row[policy])).sum::<f64>() / count as f64
    };
    let whole = |of: &dyn Fn(&Figures) -> f64, policy: usize| mean(of, policy).round();
    (0..Policy::ALL.len())
        .map(|policy| Figures {
            orders: whole(&|figures| figures.orders as f64, policy) as usize,
            left_over: whole(&|figures| figures.left_over as f64, policy) as usize,
            median_seconds: whole(&|figures| figures.median_seconds as f64, policy) as i64,
            p90_seconds: whole(&|figures| figures.p90_seconds as f64, policy) as i64,
            on_time: mean(&|figures| figures.on_time, policy),
            gini: mean(&|figures| figures.gini, policy),
            offers_per_accept: mean(&|figures| figures.offers_per_accept, policy),
        })
        .collect()
}

/// The table, and what it says about ours against the others, seed by seed.
pub fn markdown(rows: &[Vec<Figures>]) -> String {
    let mut text = String::from(
        "| policy | orders | never accepted | median, min | p90, min | on time | Gini | offers per accept |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (policy, figures) in Policy::ALL.iter().zip(means(rows)) {
        let _infallible = writeln!(
            text,
            "| {} | {} | {} | {:.0} | {:.0} | {:.2} % | {:.3} | {:.1} |",
            policy.name(),
            figures.orders,
            figures.left_over,
            figures.median_seconds as f64 / 60.0,
            figures.p90_seconds as f64 / 60.0,
            figures.on_time * 100.0,
            figures.gini,
            figures.offers_per_accept
        );
    }
    text.push('\n');
    text.push_str(&verdicts(rows));
    text
}

fn verdicts(rows: &[Vec<Figures>]) -> String {
    let seeds = rows.len();
    let won = |of: &dyn Fn(&[Figures]) -> bool| rows.iter().filter(|row| of(row)).count();
    let mut text = String::from(
        "| in how many of the seeds ours | p90 shorter | on time more often | Gini no worse |\n",
    );
    text.push_str("| --- | ---: | ---: | ---: |\n");
    for (place, policy) in Policy::ALL.iter().enumerate().take(BROADCAST) {
        let sooner = won(&|row| row[OURS].p90_seconds < row[place].p90_seconds);
        let on_time = won(&|row| row[OURS].on_time > row[place].on_time);
        let fair = won(&|row| row[OURS].gini <= row[place].gini);
        let name = policy.name();
        let _infallible = writeln!(
            text,
            "| against {name} | {sooner} of {seeds} | {on_time} of {seeds} | {fair} of {seeds} |"
        );
    }
    let on_time = won(&|row| row[OURS].on_time >= 0.95 * row[BROADCAST].on_time);
    let tenth = won(&|row| row[OURS].offers_per_accept <= 0.1 * row[BROADCAST].offers_per_accept);
    let mean = means(rows);
    let part = mean[OURS].offers_per_accept / mean[BROADCAST].offers_per_accept * 100.0;
    let _infallible = writeln!(
        text,
        "\nAgainst broadcast: at least 95 % of its share on time in {on_time} of {seeds}; a tenth of its offers per accept \
         or less in {tenth} of {seeds} ({part:.1} % on average)."
    );
    text
}

/// A bar chart of four figures, one panel each: an SVG document of its own.
pub fn svg(rows: &[Vec<Figures>]) -> String {
    let figures = means(rows);
    let panels: [(&str, Vec<f64>); 4] = [
        ("p90, minutes (less is better)", figures.iter().map(|one| one.p90_seconds as f64 / 60.0).collect()),
        ("on time, % (more is better)", figures.iter().map(|one| one.on_time * 100.0).collect()),
        ("Gini (less is better)", figures.iter().map(|one| one.gini).collect()),
        ("offers per accept (less is better)", figures.iter().map(|one| one.offers_per_accept).collect()),
    ];
    let mut body = String::new();
    for (place, (title, values)) in panels.iter().enumerate() {
        panel(&mut body, (place % 2) as f64 * 380.0, (place / 2) as f64 * 190.0, title, values);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 380\" role=\"img\" font-family=\"sans-serif\">\n\
         <title>Dispatch policies in the simulation</title>\n\
         <rect width=\"760\" height=\"380\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn panel(body: &mut String, left: f64, top: f64, title: &str, values: &[f64]) {
    let _infallible = writeln!(
        body,
        "<text x=\"{:.0}\" y=\"{:.0}\" font-size=\"14\">{title}</text>",
        left + 15.0,
        top + 24.0
    );
    let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    for (place, (value, policy)) in values.iter().zip(Policy::ALL).enumerate() {
        let y = top + 36.0 + 28.0 * place as f64;
        let width = value / most * 210.0;
        let fill = if policy == Policy::Ours { "#9b1c1c" } else { "#8a8f98" };
        let _infallible = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{:.0}\" font-size=\"12\">{}</text><rect x=\"{:.0}\" y=\"{y:.0}\" width=\"{width:.1}\" \
             height=\"20\" fill=\"{fill}\"/><text x=\"{:.1}\" y=\"{:.0}\" font-size=\"12\">{}</text>",
            left + 15.0,
            y + 14.0,
            policy.name(),
            left + 105.0,
            left + 110.0 + width,
            y + 14.0,
            if *value < 2.0 { format!("{value:.3}") } else { format!("{value:.1}") }
        );
    }
}
