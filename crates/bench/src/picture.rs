//! The ratios as a picture: a bar a comparison, with the range over its rounds, and a line at the floor.

use std::fmt::Write as _;

use crate::duel::{Duel, range};

const ROW: usize = 34;
const LEFT: usize = 230;
const WIDTH: usize = 860;

/// The picture as SVG; it names no font that a machine may lack.
pub(crate) fn ratios(duels: &[Duel]) -> String {
    let height = ROW * duels.len() + 70;
    let most = duels.iter().map(|duel| range(&duel.ratios()).1).fold(2.0, f64::max);
    let x = |ratio: f64| LEFT as f64 + (WIDTH - LEFT - 60) as f64 * ratio / most;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n<text x=\"12\" y=\"24\" \
         font-size=\"15\">Product against the floor: median of the rounds' ratios, with their range</text>\n"
    );
    for (n, duel) in duels.iter().enumerate() {
        let y = 44 + n * ROW;
        let (low, high) = range(&duel.ratios());
        let colour = if duel.holds() { "#15803d" } else { "#c2410c" };
        let middle = y + 11;
        let _ = write!(
            text,
            "<text x=\"12\" y=\"{}\">{}, {} conn.</text>\n<rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"22\" \
             fill=\"{colour}\" opacity=\"0.8\"/>\n<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\" \
             stroke=\"#111827\"/>\n<text x=\"{:.1}\" y=\"{}\">{:.2}</text>\n",
            y + 16,
            duel.name,
            duel.connections,
            x(duel.ratio()) - LEFT as f64,
            x(low),
            x(high),
            x(high) + 8.0,
            y + 16,
            duel.ratio(),
        );
        let at = x(duel.wanted);
        let _ = writeln!(
            text,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#b91c1c\" stroke-width=\"2\"/>",
            y - 3,
            y + 25
        );
    }
    let floor = x(1.0);
    let _ = write!(
        text,
        "<line x1=\"{floor:.1}\" x2=\"{floor:.1}\" y1=\"38\" y2=\"{}\" stroke=\"#6b7280\" stroke-dasharray=\"4 3\"/>\n\
         <text x=\"{LEFT}\" y=\"{}\" fill=\"#374151\">dashed: the floor · red: what was wanted</text>\n</svg>\n",
        height - 28,
        height - 10
    );
    text
}
