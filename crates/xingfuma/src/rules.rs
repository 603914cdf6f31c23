//! Rule files: read, checked, tried on a month that is over.

use std::fs;
use std::path::{Path, PathBuf};

use xingfuma_app::period;
use xingfuma_domain::area::AreaCode;
use xingfuma_domain::scoring::{
    Replay, RuleBook, RuleFault, RuleKind, Scheme, SchemeFault, Sheet, StarBook, StarFault, YearMonth,
    month_of,
};
use xingfuma_store::Store;
use xingfuma_store::ledger::replaying;

use crate::configuration::{Configuration, StartError};

/// A sheet with its file.
struct Read {
    path: PathBuf,
    sheet: Sheet,
    text: String,
}

/// Reads files, and every sheet (`*.csv`) of a directory, in the order of their names.
fn read(files: &[PathBuf]) -> Result<Vec<Read>, StartError> {
    let mut paths = Vec::new();
    for file in files {
        if !file.is_dir() {
            paths.push(file.clone());
            continue;
        }
        let entries = fs::read_dir(file).map_err(|error| StartError::file(file, &error))?;
        let mut sheets: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        sheets.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
        sheets.sort();
        paths.extend(sheets);
    }
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).map_err(|error| StartError::file(&path, &error))?;
            Ok(Read { sheet: Sheet::of(&text), path, text })
        })
        .collect()
}

/// One sheet of each sort at most: a fault names its sort and line, and so its file.
fn book(read: &[Read]) -> Result<RuleBook, StartError> {
    for sheet in [Sheet::BaseTasks, Sheet::BonusesAndDeductions] {
        let mut of: Vec<&Path> =
            read.iter().filter(|one| one.sheet == sheet).map(|one| one.path.as_path()).collect();
        if let (Some(second), Some(first)) = (of.pop(), of.pop()) {
            let text = format!("{} and {} are both sheets of {sheet}", first.display(), second.display());
            return Err(StartError::Other(text));
        }
    }
    let sheets: Vec<(Sheet, &str)> = read.iter().map(|one| (one.sheet, one.text.as_str())).collect();
    RuleBook::read(&sheets).map_err(|faults| {
        let line = |fault: &RuleFault| {
            let file = read.iter().find(|one| one.sheet == fault.sheet);
            let file = file.map(|one| one.path.display().to_string()).unwrap_or_default();
            format!("{file}:{}: {}: {}", fault.line, fault.field, fault.fault)
        };
        StartError::Other(faults.iter().map(line).collect::<Vec<_>>().join("\n"))
    })
}

/// The rules that a process scores by: the configured ones, or the sample's.
pub(crate) fn configured(configuration: &Configuration) -> Result<RuleBook, StartError> {
    match &configuration.score.rules {
        Some(directory) => {
            let mut sheets = read(std::slice::from_ref(directory))?;
            sheets.retain(|one| !StarBook::is_scale(&one.text));
            for wanted in [Sheet::BaseTasks, Sheet::BonusesAndDeductions] {
                if !sheets.iter().any(|one| one.sheet == wanted) {
                    let text = format!("{}: there is no sheet of {wanted}", directory.display());
                    return Err(StartError::Other(text));
                }
            }
            book(&sheets)
        }
        None => Ok(RuleBook::sample()),
    }
}

/// A scale of stars from its sheet.
fn scale(read: &Read) -> Result<StarBook, StartError> {
    StarBook::read(&read.text).map_err(|faults| {
        let line = |fault: &StarFault| {
            format!("{}:{}: {}: {}", read.path.display(), fault.line, fault.field, fault.fault)
        };
        StartError::Other(faults.iter().map(line).collect::<Vec<_>>().join("\n"))
    })
}

/// The scale of stars: the sheet of the configured directory, where it has one; else the sample's.
pub(crate) fn configured_stars(configuration: &Configuration) -> Result<StarBook, StartError> {
    let Some(directory) = &configuration.score.rules else { return Ok(StarBook::sample()) };
    let mut sheets = read(std::slice::from_ref(directory))?;
    sheets.retain(|one| StarBook::is_scale(&one.text));
    match sheets.as_slice() {
        [] => Ok(StarBook::sample()),
        [one] => scale(one),
        [first, second, ..] => Err(StartError::Other(format!(
            "{} and {} are both scales of stars",
            first.path.display(),
            second.path.display()
        ))),
    }
}

/// Whether a sheet is a scheme of its own: parts, items and levels.
fn is_scheme(read: &Read) -> bool {
    let heading = read.text.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty());
    heading.is_some_and(|heading| heading.trim_start_matches('\u{feff}').starts_with("row,"))
}

fn check_scheme(read: &Read) -> Result<(), StartError> {
    let scheme = Scheme::read(&read.text).map_err(|faults| {
        let line = |fault: &SchemeFault| {
            format!("{}:{}: {}: {}", read.path.display(), fault.line, fault.field, fault.fault)
        };
        StartError::Other(faults.iter().map(line).collect::<Vec<_>>().join("\n"))
    })?;
    println!(
        "{}: {} parts, {} items, {} levels: in order",
        read.path.display(),
        scheme.parts().len(),
        scheme.items().count(),
        scheme.levels().len()
    );
    Ok(())
}

/// Checks files; the error names every fault.
pub(crate) fn check(files: &[PathBuf]) -> Result<(), StartError> {
    let (scales, others): (Vec<Read>, Vec<Read>) =
        read(files)?.into_iter().partition(|one| StarBook::is_scale(&one.text));
    for one in &scales {
        println!("{}: {} scales of stars: in order", one.path.display(), scale(one)?.versions());
    }
    let (schemes, sheets): (Vec<Read>, Vec<Read>) = others.into_iter().partition(is_scheme);
    schemes.iter().try_for_each(check_scheme)?;
    if sheets.is_empty() {
        return Ok(());
    }
    let book = book(&sheets)?;
    let count = |kind| book.iter().filter(|rule| rule.kind == kind).count();
    println!(
        "{} base tasks, {} bonuses, {} deductions: in order",
        count(RuleKind::Base),
        count(RuleKind::Bonus),
        count(RuleKind::Deduction)
    );
    Ok(())
}

/// Replays a month and prints what would be another.
pub(crate) async fn preview(
    store: &Store,
    county: AreaCode,
    files: &[PathBuf],
    month: Option<YearMonth>,
) -> Result<(), StartError> {
    let book = book(&read(files)?)?;
    let month = match month {
        Some(month) => month,
        None => month_of(period::moment(store).await?).before(),
    };
    let (from, to) = (month.begins(), month.next().begins());
    let snapshot = store.snapshot().await?;
    let (mut replay, mut after) = (Replay::new(&book), None);
    loop {
        let awards = replaying::awards(&snapshot, county, from, to, after).await?;
        for (_, award) in &awards {
            replay.add(award);
        }
        after = awards.last().map(|(id, _)| *id);
        if (awards.len() as u64) < replaying::PIECE {
            break;
        }
    }
    println!("{month} under these rules, each in its newest version:");
    for (code, change) in replay.rules() {
        let difference = change.after.saturating_sub(change.before);
        println!(
            "{code}: {} awards, {} points, then {} ({difference:+})",
            change.awards, change.before, change.after
        );
    }
    let (more, less) = replay.people();
    println!("{more} people would have more, {less} less");
    Ok(())
}
