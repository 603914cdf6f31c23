//! The volunteer record as files: which parts it has, their columns, and how a row becomes CSV or JSON.
//!
//! The shape follows what a national volunteer record asks for: people, teams, projects, training, awards, hours,
//! ratings. A CSV begins with a byte order mark, so that Excel reads it as UTF-8, and a text that a spreadsheet would
//! take for a formula gets an apostrophe before it.

use std::fmt::Write as _;
use std::str::FromStr;

/// A part of the record: one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Volunteers.
    People,
    /// Teams.
    Teams,
    /// What was served: the categories, with what was done in each.
    Projects,
    /// Who attended which training.
    Training,
    /// Stars that were conferred, and bonuses that were granted.
    Awards,
    /// Services with their minutes.
    Hours,
    /// What residents thought.
    Ratings,
}

/// A text is none of the parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no part of the record")]
pub struct UnknownPart(pub String);

/// A column: its name in JSON and its heading in CSV.
pub type Column = (&'static str, &'static str);

impl Part {
    /// Every part.
    pub const ALL: [Part; 7] =
        [Part::People, Part::Teams, Part::Projects, Part::Training, Part::Awards, Part::Hours, Part::Ratings];

    /// The name of its file and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Part::People => "people",
            Part::Teams => "teams",
            Part::Projects => "projects",
            Part::Training => "training",
            Part::Awards => "awards",
            Part::Hours => "hours",
            Part::Ratings => "ratings",
        }
    }

    /// Its columns.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Part::People => &[
                ("volunteerNumber", "志愿者编号"),
                ("name", "姓名"),
                ("phone", "联系电话"),
                ("areaCode", "网格代码"),
                ("team", "所属队伍"),
                ("status", "状态"),
                ("registeredOn", "注册日期"),
                ("stars", "星级"),
            ],
            Part::Teams => &[
                ("id", "队伍编号"),
                ("name", "队伍名称"),
                ("kind", "类型"),
                ("areaCodes", "服务区域"),
                ("people", "在册人数"),
            ],
            Part::Projects => &[
                ("code", "项目编号"),
                ("name", "项目名称"),
                ("services", "服务次数"),
                ("minutes", "服务时长（分钟）"),
            ],
            Part::Training => &[
                ("volunteerNumber", "志愿者编号"),
                ("name", "培训名称"),
                ("on", "培训日期"),
                ("minutes", "培训时长（分钟）"),
                ("organizer", "组织者"),
                ("areaCode", "培训地区代码"),
            ],
            Part::Awards => &[
                ("volunteerNumber", "志愿者编号"),
                ("kind", "类别"),
                ("name", "名称"),
                ("on", "日期"),
                ("points", "积分"),
                ("handMade", "手工录入"),
            ],
            Part::Hours => &[
                ("volunteerNumber", "志愿者编号"),
                ("orderNumber", "服务单号"),
                ("project", "项目编号"),
                ("areaCode", "服务地点代码"),
                ("team", "所属队伍"),
                ("on", "服务日期"),
                ("minutes", "服务时长（分钟，不含路途）"),
            ],
            Part::Ratings => &[
                ("volunteerNumber", "志愿者编号"),
                ("orderNumber", "服务单号"),
                ("on", "服务日期"),
                ("stars", "评价星级"),
                ("solved", "是否解决"),
            ],
        }
    }
}

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Part, UnknownPart> {
        Part::ALL.into_iter().find(|part| part.as_str() == text).ok_or_else(|| UnknownPart(text.to_owned()))
    }
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Cell {
        Cell::Number(number)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Cell {
        Cell::Flag(flag)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Cell {
        cell.map_or(Cell::Empty, Into::into)
    }
}

/// How the record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// UTF-8 with a byte order mark, CRLF, every text in quotes.
    Csv,
    /// One object with the part's name and its rows as objects.
    Json,
}

impl Format {
    /// What stands before the rows.
    pub fn head(self, part: Part) -> String {
        match self {
            Format::Csv => {
                let heads: Vec<String> = part.columns().iter().map(|(_, heading)| quoted(heading)).collect();
                format!("\u{feff}{}\r\n", heads.join(","))
            }
            Format::Json => format!("{{\"part\":\"{}\",\"rows\":[", part.as_str()),
        }
    }

    /// A row; `first` says whether none stands before it.
    pub fn row(self, part: Part, cells: &[Cell], first: bool) -> String {
        match self {
            Format::Csv => {
                let cells: Vec<String> = cells.iter().map(csv_cell).collect();
                format!("{}\r\n", cells.join(","))
            }
            Format::Json => {
                let mut text = String::from(if first { "\n{" } else { ",\n{" });
                let mut comma = "";
                for ((name, _), cell) in part.columns().iter().zip(cells) {
                    if let Some(value) = json_value(cell) {
                        let _ = write!(text, "{comma}\"{name}\":{value}");
                        comma = ",";
                    }
                }
                text.push('}');
                text
            }
        }
    }

    /// What stands behind the rows.
    pub fn foot(self) -> &'static str {
        match self {
            Format::Csv => "",
            Format::Json => "\n]}\n",
        }
    }

    /// The ending of a file's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "json",
        }
    }
}

fn csv_cell(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => quoted(&harmless(text)),
        Cell::Number(number) => number.to_string(),
        Cell::Flag(true) => "是".to_owned(),
        Cell::Flag(false) => "否".to_owned(),
    }
}

fn json_value(cell: &Cell) -> Option<serde_json::Value> {
    match cell {
        Cell::Empty => None,
        Cell::Text(text) => Some(text.as_str().into()),
        Cell::Number(number) => Some((*number).into()),
        Cell::Flag(flag) => Some((*flag).into()),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text that no spreadsheet takes for a formula: one that begins like one, also behind blanks, gets an apostrophe.
fn harmless(text: &str) -> String {
    let first = text.chars().find(|letter| *letter != ' ' && *letter != '\u{3000}');
    match first {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            format!("'{text}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_are_read_back_and_have_distinct_columns() {
        for part in Part::ALL {
            assert_eq!(part.as_str().parse(), Ok(part));
            let names: std::collections::BTreeSet<&str> =
                part.columns().iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), part.columns().len());
        }
        assert_eq!("money".parse::<Part>(), Err(UnknownPart("money".into())));
    }

    #[test]
    fn a_table_for_a_spreadsheet() {
        let head = Format::Csv.head(Part::Training);
        let headings =
            "\"志愿者编号\",\"培训名称\",\"培训日期\",\"培训时长（分钟）\",\"组织者\",\"培训地区代码\"";
        assert_eq!(head, format!("\u{feff}{headings}\r\n"));
        let cells = [Cell::from("=1+1"), "他说\"好\",\n行".into(), Cell::Empty, Cell::from(-5_i64)];
        assert_eq!(
            Format::Csv.row(Part::Training, &cells, false),
            "\"'=1+1\",\"他说\"\"好\"\",\n行\",,-5\r\n"
        );
        assert_eq!(Format::Csv.foot(), "");
        for formula in
            ["+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u{3000}@x", "＝1", "＋1", "－1", "＠x"]
        {
            assert!(csv_cell(&formula.into()).starts_with("\"'"), "{formula:?}");
        }
        for harmless in ["王小明", "05-00127-X", "2026-03-01", "", "a=b"] {
            assert_eq!(csv_cell(&harmless.into()), format!("\"{harmless}\""));
        }
        assert_eq!([csv_cell(&true.into()), csv_cell(&false.into())], ["是", "否"]);
    }

    #[test]
    fn the_same_as_json() {
        let rows = [vec![Cell::from("=1"), "a\"b".into(), Cell::Empty, 5.into()], vec!["x".into(); 4]];
        let mut text = Format::Json.head(Part::Training);
        for (n, row) in rows.iter().enumerate() {
            text.push_str(&Format::Json.row(Part::Training, row, n == 0));
        }
        text.push_str(Format::Json.foot());
        let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(
            read,
            serde_json::json!({"part": "training", "rows": [
                {"volunteerNumber": "=1", "name": "a\"b", "minutes": 5},
                {"volunteerNumber": "x", "name": "x", "on": "x", "minutes": "x"},
            ]})
        );
        let empty = format!("{}{}", Format::Json.head(Part::People), Format::Json.foot());
        assert!(serde_json::from_str::<serde_json::Value>(&empty).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_a_table_and_begins_no_formula(text in any::<String>()) {
            let row = Format::Csv.row(Part::Training, &[text.as_str().into(), Cell::Empty], true);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(row.as_bytes());
            let record = reader.records().next().expect("a row").expect("readable");
            let back = record.get(0).expect("a cell");
            prop_assert!(back == text || back.strip_prefix('\'') == Some(&text));
            prop_assert!(!back.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
        }
    }
}
