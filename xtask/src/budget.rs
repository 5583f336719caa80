//! The committed budgets and the comparison of measured values with them.
//!
//! `xtask/budgets.toml` has one table a command; a key is a measure, its value the most that is allowed. A measure without a budget is a
//! failure, so that nothing is measured in vain, and so is a budget that nothing measured.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::workspace::Workspace;

const FILE: &str = "xtask/budgets.toml";

/// A measured value.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measure {
    /// Key in the budget file.
    pub(crate) name: String,
    /// The board, for measures that are taken on each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) board: Option<&'static str>,
    pub(crate) value: f64,
    /// What the value counts.
    pub(crate) unit: &'static str,
    /// How it came about, for people.
    pub(crate) detail: String,
}

/// A measure beside its budget.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) measure: Measure,
    pub(crate) budget: f64,
    pub(crate) within: Within,
}

/// Whether a measure keeps its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Within {
    Yes,
    No,
}

/// Budgets of one command by the name of the measure.
pub(crate) type Budgets = BTreeMap<String, f64>;

/// Reads the budgets of `command`.
pub(crate) fn read(workspace: &Workspace, command: &str) -> Result<Budgets> {
    let text = std::fs::read_to_string(workspace.path(FILE)).with_context(|| format!("can not read {FILE}"))?;
    parse(&text, command)
}

fn parse(text: &str, command: &str) -> Result<Budgets> {
    let mut tables: BTreeMap<String, Budgets> = toml::from_str(text).with_context(|| format!("{FILE} is not a table of numbers for each command"))?;
    tables.remove(command).with_context(|| format!("{FILE} has no table [{command}]"))
}

/// Puts each measure beside its budget.
pub(crate) fn compare(budgets: &Budgets, measures: Vec<Measure>) -> Result<Vec<Row>> {
    if let Some(name) = budgets.keys().find(|name| !measures.iter().any(|measure| measure.name == **name)) {
        bail!("{FILE} has a budget for {name}, which nothing measured");
    }
    measures.into_iter().map(|measure| row(budgets, measure)).collect()
}

fn row(budgets: &Budgets, measure: Measure) -> Result<Row> {
    let budget = *budgets.get(&measure.name).with_context(|| format!("{FILE} has no budget for {}", measure.name))?;
    // Not `>`: a value that is no number keeps no budget.
    let within = if measure.value <= budget { Within::Yes } else { Within::No };
    Ok(Row { measure, budget, within })
}

/// Writes the rows as JSON where that is asked for, and judges them.
pub(crate) fn report(command: &str, rows: &[Row], json: Option<&Path>) -> Result<String> {
    if let Some(path) = json {
        write_rows(path, rows)?;
    }
    judge(command, rows)
}

/// Writes rows as a JSON array, one row a line.
pub(crate) fn write_rows(path: &Path, rows: &[impl Serialize]) -> Result<()> {
    let lines = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    std::fs::write(path, format!("[\n{}\n]\n", lines.join(",\n"))).with_context(|| format!("can not write {}", path.display()))
}

/// The rows as a table for people, or the same as an error when a budget is exceeded.
fn judge(command: &str, rows: &[Row]) -> Result<String> {
    let table = rows.iter().map(describe).collect::<Vec<_>>().join("\n");
    match rows.iter().filter(|row| row.within == Within::No).count() {
        0 => Ok(format!("{table}\n{command}: ok ({} measures)", rows.len())),
        exceeded => bail!("{exceeded} of {} budgets exceeded\n{table}", rows.len()),
    }
}

fn describe(row: &Row) -> String {
    let Measure { name, board, value, unit, detail } = &row.measure;
    let mark = if row.within == Within::Yes { "ok  " } else { "OVER" };
    format!("{mark} {:<11} {name:<34} {} of {} {unit} ({detail})", board.unwrap_or("host"), number(*value), number(row.budget))
}

/// Whole numbers in groups of three digits, others with three decimals.
fn number(value: f64) -> String {
    if value.fract() != 0.0 {
        return format!("{value:.3}");
    }
    let digits = format!("{value:.0}");
    let grouped = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>();
    grouped.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(name: &str, value: f64) -> Measure {
        Measure { name: name.to_owned(), board: None, value, unit: "bytes", detail: String::new() }
    }

    fn budgets(text: &str) -> Budgets {
        parse(text, "size").expect("budgets")
    }

    #[test]
    fn a_value_equal_to_its_budget_is_within_and_one_above_is_not() {
        let rows = compare(&budgets("[size]\na = 20480\nb = 1.2"), vec![measure("a", 20480.0), measure("b", 1.21)]).expect("rows");
        assert_eq!(rows.iter().map(|row| row.within).collect::<Vec<_>>(), [Within::Yes, Within::No]);
        assert!(judge("size", &rows).is_err_and(|error| error.to_string().contains("OVER")));
    }

    #[test]
    fn a_value_that_is_no_number_is_not_within() {
        let rows = compare(&budgets("[size]\na = 1"), vec![measure("a", f64::NAN)]).expect("rows");
        assert_eq!(rows[0].within, Within::No);
    }

    #[test]
    fn a_measure_without_budget_and_a_budget_without_measure_are_refused() {
        assert!(compare(&budgets("[size]\na = 1"), vec![measure("a", 0.0), measure("b", 0.0)]).is_err());
        assert!(compare(&budgets("[size]\na = 1\nb = 1"), vec![measure("a", 0.0)]).is_err());
    }

    #[test]
    fn a_missing_table_is_named() {
        assert!(parse("[bench]\nx = 1", "size").is_err_and(|error| error.to_string().contains("[size]")));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(20_000_000.0), "20,000,000");
        assert_eq!(number(999.0), "999");
        assert_eq!(number(1.2), "1.200");
    }

    #[test]
    fn the_committed_budgets_are_readable() {
        let text = include_str!("../budgets.toml");
        assert!(parse(text, "size").is_ok());
        assert!(parse(text, "bench").is_ok());
    }
}
