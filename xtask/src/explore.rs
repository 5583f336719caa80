//! `cargo xtask explore`: lives the lives of simulated hosts with every power cut and fault in them, and shows that each rule can be broken.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::cargo::cargo;
use crate::process;
use crate::variant::{self, Variant};
use crate::workspace::Workspace;

/// What must not shrink, below the checkout: the daily product and the full one.
const TABLES: [&str; 2] = ["tests/explorer/daily.txt", "tests/explorer/full.txt"];

/// How many of the deliberately broken variants are tried every day; which ones, the number of commits says.
const DAILY: usize = 5;

/// What is asked for.
#[derive(Debug, Default, Args)]
pub(crate) struct ExploreArguments {
    /// Explore everything: two cuts on every flash, three on small ones, a cut beside a fault, and all broken variants
    #[arg(long)]
    full: bool,
    /// Live the script in FILE through, and tell every step
    #[arg(long, value_name = "FILE", conflicts_with_all = ["full", "json", "write_table", "only", "variants"])]
    replay: Option<PathBuf>,
    /// Write cases, states, violations and seconds to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the table that a later run must reach
    #[arg(long, conflicts_with = "json")]
    write_table: bool,
    /// Explore only the rows of the product whose names contain TEXT, and compare them with nothing
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["json", "write_table", "variants"])]
    only: Option<String>,
    /// Only show that every rule can be broken, or only by the broken variants of these names
    #[arg(long, value_name = "NAME", num_args = 0.., conflicts_with_all = ["json", "write_table"])]
    variants: Option<Vec<String>>,
}

/// Explores, and shows that the exploration notices what it shall.
pub(crate) fn explore(workspace: &Workspace, arguments: &ExploreArguments) -> Result<String> {
    if let Some(script) = &arguments.replay {
        process::run(explorer(workspace).arg("replay").arg(absolute(script)?))?;
        return Ok("explore: replayed".to_owned());
    }
    let (extent, table) = if arguments.full { ("full", TABLES[1]) } else { ("daily", TABLES[0]) };
    if let Some(text) = &arguments.only {
        process::run(explorer(workspace).args(["only", extent, text]))?;
        return Ok(format!("explore: every rule holds in the rows with {text:?}"));
    }
    if arguments.write_table {
        process::run(explorer(workspace).args(["write", extent, table]))?;
        return Ok(format!("explore: {table} is written"));
    }
    if arguments.variants.is_none() {
        let mut command = explorer(workspace);
        command.args([extent, table]);
        if let Some(json) = &arguments.json {
            command.arg(absolute(json)?);
        }
        process::run(&mut command)?;
    }
    let tried = tried(workspace, arguments)?;
    let mut unnoticed = Vec::new();
    for (name, rule) in &tried {
        if let Err(error) = notices(workspace, name, rule) {
            println!("explore: tests/variants/{name}.toml: {error:#}");
            unnoticed.push(name.as_str());
        }
    }
    ensure!(unnoticed.is_empty(), "broken variants that their rules do not notice: {}", unnoticed.join(", "));
    Ok(format!("explore: ok, and {} deliberately broken variants are noticed by the rule of each", tried.len()))
}

/// The broken variants to try, each with the rule that must notice it: some every day, all of them in the full extent, or those that are named.
fn tried(workspace: &Workspace, arguments: &ExploreArguments) -> Result<Vec<(String, String)>> {
    let all = variant::of_rules(workspace)?;
    match &arguments.variants {
        Some(names) if !names.is_empty() => {
            let named = |name: &String| all.iter().find(|(known, _)| known == name).cloned();
            names.iter().map(|name| named(name).with_context(|| format!("no variant with a rule is called {name}"))).collect()
        }
        None if !arguments.full => Ok(of_today(&all, commits(workspace)?)),
        _ => Ok(all),
    }
}

/// Some of all: each commit tries the ones after those of the commit before.
fn of_today<T: Clone>(all: &[T], commits: usize) -> Vec<T> {
    all.iter().cycle().skip(commits * DAILY % all.len().max(1)).take(DAILY.min(all.len())).cloned().collect()
}

/// How many commits lead to this one.
fn commits(workspace: &Workspace) -> Result<usize> {
    let text = process::output_of(Command::new("git").current_dir(workspace.root()).args(["rev-list", "--count", "HEAD"]))?;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    text.parse().with_context(|| format!("git counts {text:?} commits"))
}

/// Explores a broken variant at a glance: the rule must be among those that it breaks.
fn notices(workspace: &Workspace, name: &str, rule: &str) -> Result<()> {
    let variant = Variant::make(workspace, name)?;
    let output = process::finish(explorer(&variant.workspace).arg("glance"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(text.contains("rules are broken"), "{}: it is not noticed:\n{text}", variant.about);
    let broken = text.lines().any(|line| line.trim_start().starts_with(&format!("{rule}: ")));
    if !broken {
        let seen: Vec<&str> = text.lines().filter(|line| line.starts_with("    ")).take(5).collect();
        bail!("{}: rule {rule} does not notice it; what does:\n{}", variant.about, seen.join("\n"));
    }
    println!("explore: {name} is noticed by {rule}");
    Ok(())
}

fn explorer(workspace: &Workspace) -> Command {
    let mut command = cargo(workspace);
    command.args(["run", "--quiet", "--profile", "explore", "--package", "twinslot-explorer", "--"]);
    command
}

/// The explorer runs in the checkout, whatever the folder that the command was given in.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_its_day() {
        let all: Vec<usize> = (0..23).collect();
        let days = all.len().div_ceil(DAILY);
        let mut tried: Vec<usize> = (100..100 + days).flat_map(|commits| of_today(&all, commits)).collect();
        tried.sort_unstable();
        tried.dedup();
        assert_eq!(tried, all);
        assert_eq!(of_today(&[1, 2], 7).len(), 2);
    }
}
