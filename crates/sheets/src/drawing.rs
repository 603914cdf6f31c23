//! The few strokes that plates and badges share: escaped text that fits its line, bands, and the page around them.

use std::fmt::Write as _;

/// Dark red of the bands: 8.2:1 against white, so it also survives a cheap printer.
pub(crate) const RED: &str = "#9b1c1c";
/// Ink of text and codes.
pub(crate) const BLACK: &str = "#000000";
/// Ground of the page, and text on a band.
pub(crate) const WHITE: &str = "#ffffff";

/// Fonts with Chinese glyphs that Linux, Windows and macOS bring along, best first.
const SANS: &str = "Noto Sans CJK SC, Source Han Sans SC, Microsoft YaHei, PingFang SC, SimHei, sans-serif";
/// Fonts in which 0 and 8 and B stay apart, for codes that people read aloud.
const MONO: &str = "DejaVu Sans Mono, Noto Sans Mono, Consolas, Menlo, monospace";

/// A typeface of the drawings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    /// Chinese and mixed text.
    Sans,
    /// Codes and numbers that are read aloud or typed.
    Mono,
}

/// One line of text, centred on the page.
pub(crate) struct Line<'a> {
    /// The raw text: [`Page::line`] escapes it.
    pub(crate) text: &'a str,
    /// Height of the base line above which the text stands, from the top of the page in millimetres.
    pub(crate) baseline_mm: f64,
    /// The wished font size in millimetres; a text too long for the page gets a smaller one.
    pub(crate) size_mm: f64,
    /// Fill colour.
    pub(crate) fill: &'a str,
    /// Typeface.
    pub(crate) face: Face,
}

/// A page being drawn: one SVG user unit is one millimetre.
pub(crate) struct Page {
    width_mm: f64,
    height_mm: f64,
    margin_mm: f64,
    body: String,
}

impl Page {
    /// A white page with a red frame as wide as `frame_mm`; text keeps `margin_mm` from both sides.
    pub(crate) fn framed(width_mm: f64, height_mm: f64, margin_mm: f64, frame_mm: f64) -> Self {
        let mut page = Self { width_mm, height_mm, margin_mm, body: String::new() };
        page.rectangle(0.0, 0.0, width_mm, height_mm, RED);
        page.rectangle(frame_mm, frame_mm, width_mm - 2.0 * frame_mm, height_mm - 2.0 * frame_mm, WHITE);
        page
    }

    /// A band across the whole page.
    pub(crate) fn band(&mut self, top_mm: f64, height_mm: f64) {
        self.rectangle(0.0, top_mm, self.width_mm, height_mm, RED);
    }

    /// One centred line of text, escaped, shrunk where it would not fit between the margins.
    pub(crate) fn line(&mut self, line: &Line<'_>) {
        let room_mm = self.width_mm - 2.0 * self.margin_mm;
        let size_mm = line.size_mm.min(room_mm / ems(line.text, line.face).max(1.0));
        let family = if line.face == Face::Mono { MONO } else { SANS };
        let _infallible = writeln!(
            self.body,
            r#"<text x="{x:.2}" y="{y:.2}" font-size="{size_mm:.2}" font-family="{family}" font-weight="700" text-anchor="middle" fill="{fill}">{text}</text>"#,
            x = self.width_mm / 2.0,
            y = line.baseline_mm,
            fill = line.fill,
            text = escape(line.text),
        );
    }

    /// A drawing of `modules` × `modules` units, scaled to a centred square.
    pub(crate) fn square(&mut self, top_mm: f64, side_mm: f64, modules: usize, content: &str) {
        let left_mm = (self.width_mm - side_mm) / 2.0;
        let _infallible = writeln!(
            self.body,
            r#"<g transform="translate({left_mm:.3} {top_mm:.3}) scale({scale:.6})">{content}</g>"#,
            scale = side_mm / modules as f64,
        );
    }

    /// The finished document; `title` is what a screen reader or a file browser says.
    pub(crate) fn finish(self, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}mm\" height=\"{h}mm\" viewBox=\"0 0 {w} {h}\" \
             role=\"img\" xml:lang=\"zh-CN\">\n<title>{title}</title>\n{body}</svg>\n",
            w = self.width_mm,
            h = self.height_mm,
            title = escape(title),
            body = self.body,
        )
    }

    fn rectangle(&mut self, x_mm: f64, y_mm: f64, width_mm: f64, height_mm: f64, fill: &str) {
        let _infallible = writeln!(
            self.body,
            r#"<rect x="{x_mm:.2}" y="{y_mm:.2}" width="{width_mm:.2}" height="{height_mm:.2}" fill="{fill}"/>"#
        );
    }
}

/// How wide a text is, in font sizes, erring on the wide side: a full square for Chinese, less for Latin and digits.
fn ems(text: &str, face: Face) -> f64 {
    let latin = if face == Face::Mono { 0.62 } else { 0.7 };
    text.chars().map(|c| if c.is_ascii() { latin } else { 1.0 }).sum()
}

/// Text made safe for XML content and for attribute values in either quotes.
///
/// Characters that XML 1.0 forbids even when escaped (most controls, U+FFFE, U+FFFF) become U+FFFD, because one of
/// them in a name would make the whole drawing unreadable.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_markup_quotes_and_forbidden_characters() {
        assert_eq!(escape(r#"<a b="c">&'"#), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
        assert_eq!(escape("一\n二\t三"), "一 二 三");
        assert_eq!(escape("\0\u{8}\u{1b}\u{ffff}x"), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}x");
        assert_eq!(escape("]]>"), "]]&gt;");
    }

    #[test]
    fn a_long_line_shrinks_and_a_short_one_does_not() {
        let font_size = |text: &str| {
            let mut page = Page::framed(100.0, 100.0, 10.0, 2.0);
            page.line(&Line { text, baseline_mm: 50.0, size_mm: 10.0, fill: BLACK, face: Face::Sans });
            let svg = page.finish("");
            let after = svg.split("font-size=\"").nth(1).expect("a text").to_owned();
            after.split('"').next().expect("a value").parse::<f64>().expect("a number")
        };
        assert_eq!(font_size("八个汉字正好放下"), 10.0);
        assert_eq!(font_size("十六个汉字只能用一半的字号来排印"), 5.0);
    }
}
