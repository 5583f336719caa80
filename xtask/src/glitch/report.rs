//! What the campaign found, for people and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;
use thumb_interpreter::Fault;

use super::campaign::{Finding, Kind, Outcome, Results};
use super::code::Owner;
use super::hosts::Case;
use super::oracle::Compared;

/// The figures of a campaign.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    /// Faults tried.
    attempts: u64,
    /// Gated faults that started an image.
    bypasses: u64,
    /// Faults that started an image and are reported only.
    bypasses_not_gated: u64,
    /// Faults whose end is not known: they ran into an instruction that the interpreter does not know, or ended otherwise than one that went through
    /// the same state.
    unknown: u64,
    /// Bypasses of the builds that lack a second line, each of which must have some.
    bypasses_of_weakened: u64,
    /// States that the interpreter and QEMU agreed on.
    states_compared: u64,
    /// Runs with a fault that the interpreter and QEMU agreed on.
    faults_compared: u64,
    seconds: f64,
}

impl Summary {
    pub(super) fn of(results: &[Results], compared: Compared, bypasses_of_weakened: u64, time: Duration) -> Self {
        Self {
            attempts: count(results, |_, _, _, _| true),
            bypasses: bypasses(results, is_gated),
            bypasses_not_gated: bypasses(results, |case, kind, owner| !is_gated(case, kind, owner)),
            unknown: count(results, |_, _, _, outcome| outcome.is_unknown()),
            bypasses_of_weakened,
            states_compared: compared.states,
            faults_compared: compared.faults,
            seconds: time.as_secs_f64(),
        }
    }

    /// The figures in words; an error when something was found.
    pub(super) fn judge(&self) -> Result<String> {
        let Self { attempts, bypasses, bypasses_not_gated, unknown, states_compared, faults_compared, seconds, .. } = self;
        let words = format!(
            "{attempts} faults in {seconds:.0} s: {bypasses} bypasses, {bypasses_not_gated} reported only, {unknown} of unknown end; \
             QEMU agrees on {states_compared} states and {faults_compared} faults"
        );
        if *bypasses > 0 || *unknown > 0 {
            bail!("{words}");
        }
        Ok(format!("glitch: ok ({words})"))
    }
}

/// Whether a bypass by this fault fails the campaign: not by an instruction of a crypto crate that is never executed, and not of the journal's floor.
pub(super) fn is_gated(case: Case, kind: Kind, owner: Owner) -> bool {
    case.is_gated() && !(kind == Kind::Every && owner == Owner::CryptoCrate)
}

/// How many of the faults that `wanted` takes started an image.
pub(super) fn bypasses(results: &[Results], wanted: impl Fn(Case, Kind, Owner) -> bool) -> u64 {
    count(results, |case, kind, owner, outcome| outcome.is_bypass() && wanted(case, kind, owner))
}

fn count(results: &[Results], wanted: impl Fn(Case, Kind, Owner, Outcome) -> bool) -> u64 {
    let counts = results.iter().flat_map(|results| results.counts.iter().map(|counted| (results.case, counted)));
    counts.filter(|(case, ((kind, owner, outcome), _))| wanted(*case, *kind, *owner, *outcome)).map(|(_, (_, count))| count).sum()
}

/// A table of one host: a line for each kind of fault and owner of the code.
pub(super) fn table(results: &Results) -> String {
    let mut text = format!("{}: {} instructions at {} addresses without a fault\n", results.case, results.instructions, results.addresses);
    let mut rows: Vec<(Kind, Owner)> = results.counts.keys().map(|(kind, owner, _)| (*kind, *owner)).collect();
    rows.dedup();
    for (kind, owner) in rows {
        let ended = |outcome| results.counts.get(&(kind, owner, outcome)).copied().unwrap_or(0);
        let attempts: u64 = Outcome::ALL.into_iter().map(ended).sum();
        let ends: Vec<String> =
            Outcome::ALL.into_iter().filter(|outcome| ended(*outcome) > 0).map(|outcome| format!("{} {}", ended(outcome), outcome.name())).collect();
        let _ = writeln!(text, "  {:<11}{:<13}{attempts:>9}: {}", kind.name(), owner.name(), ends.join(", "));
    }
    for finding in &results.findings {
        let _ = writeln!(text, "  {}", describe(results, finding));
    }
    text
}

/// A finding in one line, with what to give to `--replay`.
fn describe(results: &Results, finding: &Finding) -> String {
    let gated = if is_gated(results.case, finding.trial.kind, finding.trial.owner) { "" } else { " (reported only)" };
    format!(
        "{}{gated} {:#06x} {} [{}, execution {} of the run] --replay {}",
        finding.outcome.name(),
        finding.trial.address,
        finding.place,
        finding.trial.owner.name(),
        finding.number,
        replay_line(results, finding.trial.fault),
    )
}

fn replay_line(results: &Results, fault: Fault) -> String {
    match fault {
        Fault::One(number) => format!("{}:one:{number}", results.case),
        Fault::Pair(number) => format!("{}:pair:{number}", results.case),
        Fault::Every(address) => format!("{}:every:{address:#x}", results.case),
    }
}
