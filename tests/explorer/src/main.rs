//! Explores the lives of simulated hosts, or lives one script through. `cargo xtask explore` builds and calls it.

use std::fs;
use std::process::ExitCode;

use twinslot_explorer::product::{Extent, Report, run};
use twinslot_explorer::replay::replay;
use twinslot_explorer::rules::Broken;
use twinslot_explorer::script::Script;

const USAGE: &str =
    "usage: explore daily|full TABLE [JSON] | explore write daily|full TABLE | explore only daily|full ROW | explore replay FILE | explore glance";

/// Fewest transitions of a daily run.
const LEAST: u64 = 10_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match words[..] {
        ["replay", file] => replay_file(file),
        ["glance"] => check(Extent::Glance, None, None),
        ["only", extent, row] => extent_of(extent).and_then(|extent| part(extent, row)),
        ["write", extent, table] => extent_of(extent).and_then(|extent| write_table(extent, table)),
        [extent, table] => extent_of(extent).and_then(|extent| check(extent, Some(table), None)),
        [extent, table, json] => extent_of(extent).and_then(|extent| check(extent, Some(table), Some(json))),
        _ => Err(USAGE.to_owned()),
    };
    match ended {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("explore: {error}");
            ExitCode::FAILURE
        }
    }
}

fn extent_of(word: &str) -> Result<Extent, String> {
    match word {
        "daily" => Ok(Extent::Daily),
        "full" => Ok(Extent::Full),
        _ => Err(USAGE.to_owned()),
    }
}

fn explored(extent: Extent, only: &str) -> Report {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    run(extent, only, threads, |life| {
        if extent == Extent::Full {
            println!("explored {life}");
        }
    })
}

fn check(extent: Extent, table: Option<&str>, json: Option<&str>) -> Result<String, String> {
    let read = |table| fs::read_to_string(table).map_err(|error| format!("can not read the table {table}: {error}"));
    let kept = table.map(read).transpose()?.unwrap_or_default();
    let report = explored(extent, "");
    if let Some(json) = json {
        fs::write(json, report.json()).map_err(|error| format!("can not write {json}: {error}"))?;
    }
    if let Some(complaint) = report.complaint() {
        return Err(format!("{complaint}put a script into FILE and run `cargo xtask explore --replay FILE`"));
    }
    let shrunk = report.shrunk(&kept);
    if !shrunk.is_empty() {
        let advice = "where that is meant, write the table anew with `cargo xtask explore --write-table`";
        return Err(format!("the product has shrunk ({advice}):\n{}", shrunk.join("\n")));
    }
    let total = report.total();
    if extent != Extent::Glance && total.transitions < LEAST {
        return Err(format!("{} transitions were judged, and at least {LEAST} must be", total.transitions));
    }
    Ok(format!(
        "explore: ok, {} transitions judged ({} more cuts repeat others), {} states, {} rows, 0 violations, {:.1} s",
        total.transitions,
        total.repeats,
        total.states,
        report.rows.len(),
        report.seconds
    ))
}

/// Rows whose names contain a text, compared with nothing.
fn part(extent: Extent, only: &str) -> Result<String, String> {
    let report = explored(extent, only);
    match report.complaint() {
        Some(complaint) => Err(complaint),
        None => Ok(format!("{}explore: {} rows, {:.1} s", report.table(), report.rows.len(), report.seconds)),
    }
}

fn write_table(extent: Extent, table: &str) -> Result<String, String> {
    let report = explored(extent, "");
    if let Some(complaint) = report.complaint() {
        return Err(complaint);
    }
    let head = "# What the explorer covers; a run that covers less fails. Written by `cargo xtask explore --write-table`.\n";
    fs::write(table, format!("{head}{}", report.table())).map_err(|error| format!("can not write {table}: {error}"))?;
    Ok(format!("{table}: {} rows, {:.1} s", report.rows.len(), report.seconds))
}

fn replay_file(file: &str) -> Result<String, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("can not read {file}: {error}"))?;
    let line = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).ok_or_else(|| format!("{file} holds no script"))?;
    let script: Script = line.parse()?;
    let ended = replay(&script, |lived| println!("{:4}  {}", lived.number, lived.text));
    let told = |broken: Vec<Broken>| broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    ended.map(|()| "replay: no rule is broken".to_owned()).map_err(told)
}
