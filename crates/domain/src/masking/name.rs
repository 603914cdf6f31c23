//! Names of people: the surname, and the name with the given name hidden.

/// Surnames of two characters that are in use today.
const COMPOUND_SURNAMES: [&str; 32] = [
    "欧阳", "上官", "司马", "司徒", "诸葛", "夏侯", "皇甫", "尉迟", "公孙", "慕容", "令狐", "长孙", "宇文",
    "东方", "南宫", "西门", "端木", "独孤", "轩辕", "澹台", "公冶", "宗政", "濮阳", "淳于", "单于", "太史",
    "申屠", "闻人", "赫连", "呼延", "钟离", "百里",
];

/// A given name never shows more than so many asterisks: its length tells little and its bearer much.
const MAX_NAME_STARS: usize = 2;

/// The surname of a Chinese name: two characters for a compound surname if a given name follows, else the first one.
/// Empty for an empty name.
pub fn surname(name: &str) -> &str {
    let name = name.trim();
    let end_of = |count: usize| name.char_indices().nth(count).map_or(name.len(), |(offset, _)| offset);
    let is_compound =
        COMPOUND_SURNAMES.iter().any(|compound| name.len() > compound.len() && name.starts_with(compound));
    &name[..end_of(if is_compound { 2 } else { 1 })]
}

/// The name with all but the surname hidden: 王小明 → 王**, 王明 → 王*, 欧阳小明 → 欧阳**. Empty for an empty name.
pub fn mask_name(name: &str) -> String {
    let name = name.trim();
    let surname = surname(name);
    if surname.is_empty() {
        return String::new();
    }
    let given = name[surname.len()..].chars().count();
    format!("{surname}{}", "*".repeat(given.clamp(1, MAX_NAME_STARS)))
}
