//! `cargo xtask explore`: lives the lives of simulated hosts with every power cut and fault in them, and shows that each rule can be broken.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::cargo::cargo;
use crate::process;
use crate::variant::Variant;
use crate::workspace::Workspace;

/// What must not shrink, below the checkout: the daily product and the full one.
const TABLES: [&str; 2] = ["tests/explorer/daily.txt", "tests/explorer/full.txt"];

/// Deliberately broken variants of the core, each with the rule that must notice it. The first ones are tried every day, all of them with `--full`.
const BROKEN: [(&str, &str); 23] = [
    ("torn-erase-trusted", "flash_rules"),
    ("trial-without-intent", "intent_before_jump"),
    ("newest-log-erased-first", "commit_is_atomic"),
    ("digest-not-compared", "never_unverified"),
    ("failed-commit-forgets-confirmed", "always_bootable"),
    ("boots-not-counted", "trial_is_bounded"),
    ("watchdog-not-armed", "trial_has_a_deadline"),
    ("reverts-in-silence", "reverts_and_says_why"),
    ("read-error-rejects", "slots_are_independent"),
    ("every-boot-writes", "confirmed_boot_is_write_free"),
    ("install-raises-floor", "floor_is_monotone"),
    ("revoked-signers-count", "revocation_never_orphans_itself"),
    ("only-confirmed-overwritten", "last_confirmed_is_untouchable"),
    ("lost-journal-confirms", "lost_state_is_cautious"),
    ("last-resort-without-doubts", "last_resort_is_ordered"),
    ("ties-go-to-a-always", "symmetric"),
    ("neighbour-matters", "bad_neighbour_is_inert"),
    ("last-resort-writes", "no_livelock"),
    ("torn-records-not-counted", "sequence_grows"),
    ("armed-unverified", "trial_is_whole"),
    ("confirm-ignores-failure", "success_is_true"),
    ("refusal-after-commit", "refusals_write_nothing"),
    ("wrong-reason", "as_the_model_says"),
];

/// How many of them are tried every day.
const DAILY: usize = 3;

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
    let tried = tried(arguments)?;
    let mut unnoticed = Vec::new();
    for (name, rule) in &tried {
        if let Err(error) = notices(workspace, name, rule) {
            println!("explore: tests/variants/{name}.toml: {error:#}");
            unnoticed.push(*name);
        }
    }
    ensure!(unnoticed.is_empty(), "broken variants that their rules do not notice: {}", unnoticed.join(", "));
    Ok(format!("explore: ok, and {} deliberately broken variants are noticed by the rule of each", tried.len()))
}

/// The broken variants to try: some every day, all of them in the full extent, or those that are named.
fn tried(arguments: &ExploreArguments) -> Result<Vec<(&'static str, &'static str)>> {
    match &arguments.variants {
        Some(names) if !names.is_empty() => {
            let named =
                |name: &String| BROKEN.into_iter().find(|(known, _)| known == name).with_context(|| format!("no broken variant is called {name}"));
            names.iter().map(named).collect()
        }
        None if !arguments.full => Ok(BROKEN[..DAILY].to_vec()),
        _ => Ok(BROKEN.to_vec()),
    }
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
