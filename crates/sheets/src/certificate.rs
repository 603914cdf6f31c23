//! The certificate of service (志愿服务记录证明): one A4 page with what the ministry asks for (name, volunteer number,
//! hours and content, issuer, handler, date), its number, and a code that leads to the page where it can be checked.

use crate::drawing::{BLACK, Face, Line as Text, Page, RED, WHITE};
use crate::qr::{AddressTooLong, Symbol};

/// Width of the page in millimetres (A4).
pub const WIDTH_MM: f64 = 210.0;
/// Height of the page in millimetres (A4).
pub const HEIGHT_MM: f64 = 297.0;
/// Sorts of service that are named one by one; the others are added up in one line.
const LINES_MOST: usize = 9;
/// Side of the square that holds symbol and quiet zone.
const CODE_MM: f64 = 38.0;

/// One sort of service, added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// What it was.
    pub name: &'a str,
    /// How often.
    pub times: u64,
    /// Minutes of service, without travel.
    pub minutes: i64,
}

/// What is printed on one certificate. All texts are raw: [`svg`] escapes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate<'a> {
    /// The number, for example `7K2M-9Q4Z-1X5TB`.
    pub number: &'a str,
    /// The person's whole name.
    pub name: &'a str,
    /// The volunteer's number.
    pub badge: &'a str,
    /// The first day.
    pub from: &'a str,
    /// The last day.
    pub to: &'a str,
    /// Minutes of service in all, without travel.
    pub minutes: i64,
    /// By what was done, most first.
    pub lines: &'a [Line<'a>],
    /// Who issues it.
    pub issuer: &'a str,
    /// Who handled it.
    pub handler: &'a str,
    /// The day on which it was signed.
    pub issued_on: &'a str,
    /// The address that the QR code holds.
    pub url: &'a str,
}

/// Hours and minutes in words.
pub fn hours(minutes: i64) -> String {
    format!("{} 小时 {} 分", minutes / 60, minutes % 60)
}

fn plain(text: &str, baseline_mm: f64, size_mm: f64) -> Text<'_> {
    Text { text, baseline_mm, size_mm, fill: BLACK, face: Face::Sans }
}

/// The certificate as an SVG document in physical units.
///
/// # Errors
/// [`AddressTooLong`] when the address exceeds what a symbol holds.
pub fn svg(certificate: &Certificate<'_>) -> Result<String, AddressTooLong> {
    let symbol = Symbol::new(certificate.url)?;
    let mut page = Page::framed(WIDTH_MM, HEIGHT_MM, 18.0, 3.0);
    page.band(0.0, 38.0);
    page.line(&Text { fill: WHITE, ..plain("志愿服务记录证明", 25.0, 14.0) });
    let number = format!("编号 {}", certificate.number);
    page.line(&Text { text: &number, baseline_mm: 50.0, size_mm: 6.0, fill: RED, face: Face::Mono });
    page.line(&plain(&format!("{}（志愿者编号 {}）", certificate.name, certificate.badge), 68.0, 8.0));
    let span = format!("于 {} 至 {} 参加志愿服务", certificate.from, certificate.to);
    page.line(&plain(&span, 82.0, 6.5));
    page.line(&plain(&format!("累计 {}（不含路途时间）", hours(certificate.minutes)), 94.0, 7.5));
    page.line(&plain("服务内容", 110.0, 6.0));
    let mut baseline_mm = 120.0;
    for line in shown(certificate.lines) {
        page.line(&plain(&line, baseline_mm, 5.0));
        baseline_mm += 8.0;
    }
    page.square(202.0, CODE_MM, symbol.modules, &symbol.content);
    page.line(&plain("扫码核验本证明", 246.0, 4.5));
    page.line(&plain(&format!("出具单位：{}", certificate.issuer), 258.0, 6.0));
    page.line(&plain(
        &format!("经办人：{}    日期：{}", certificate.handler, certificate.issued_on),
        268.0,
        6.0,
    ));
    page.line(&plain(certificate.url, 282.0, 4.0));
    Ok(page.finish(&format!("志愿服务记录证明 {}", certificate.number)))
}

/// The lines that fit: those that do not are added up in the last.
fn shown(lines: &[Line<'_>]) -> Vec<String> {
    let (named, others) = lines.split_at(if lines.len() > LINES_MOST { LINES_MOST - 1 } else { lines.len() });
    let words = |name: &str, times: u64, minutes: i64| format!("{name}　{times} 次　{}", hours(minutes));
    let mut shown: Vec<String> =
        named.iter().map(|line| words(line.name, line.times, line.minutes)).collect();
    if !others.is_empty() {
        let times = others.iter().map(|line| line.times).sum();
        shown.push(words("其他", times, others.iter().map(|line| line.minutes).sum()));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [Line<'_>; 2] =
        [Line { name: "便民<代办>", times: 3, minutes: 125 }, Line { name: "陪诊", times: 1, minutes: 40 }];

    fn certificate<'a>(lines: &'a [Line<'a>]) -> Certificate<'a> {
        Certificate {
            number: "7K2M-9Q4Z-1X5TB",
            name: "王小明",
            badge: "05-00127-X",
            from: "2026-01-01",
            to: "2026-06-30",
            minutes: 165,
            lines,
            issuer: "示例县新时代文明实践中心",
            handler: "李主任",
            issued_on: "2026-07-01",
            url: "https://example.org/c/7K2M-9Q4Z-1X5TB",
        }
    }

    #[test]
    fn everything_that_is_asked_for_is_on_the_page() {
        let page = svg(&certificate(&LINES)).expect("a page");
        for text in [
            "7K2M-9Q4Z-1X5TB",
            "王小明",
            "05-00127-X",
            "2026-01-01",
            "2026-06-30",
            "2 小时 45 分",
            "不含路途",
            "便民&lt;代办&gt;　3 次　2 小时 5 分",
            "示例县新时代文明实践中心",
            "李主任",
            "2026-07-01",
        ] {
            assert!(page.contains(text), "{text}");
        }
        assert!(!page.contains("便民<代办>") && !page.contains("href") && !page.contains("script"));
    }

    #[test]
    fn what_does_not_fit_is_added_up() {
        let names: Vec<String> = (0..12).map(|n| format!("项目{n}")).collect();
        let lines: Vec<Line<'_>> = names.iter().map(|name| Line { name, times: 1, minutes: 10 }).collect();
        let shown = shown(&lines);
        assert_eq!(shown.len(), LINES_MOST);
        assert_eq!(shown.last().map(String::as_str), Some("其他　4 次　0 小时 40 分"));
        assert_eq!(super::shown(&lines[..9]).len(), 9);
        assert!(!super::shown(&lines[..9]).iter().any(|line| line.starts_with("其他")));
    }
}
