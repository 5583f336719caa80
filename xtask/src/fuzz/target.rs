//! How a run of one fuzz target ended, and what it says about it.

use std::path::PathBuf;

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) target: String,
    ending: Ending,
    pub(super) stats: Stats,
    /// What the target said when it panicked.
    complaint: String,
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Every input kept the properties.
    Held,
    /// This one did not.
    Found(PathBuf),
}

/// libFuzzer's own figures.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stats {
    pub(super) runs: u64,
    per_second: u64,
    /// Edges of the control flow that were taken.
    coverage: u64,
    /// Inputs that took new ones.
    added: u64,
}

impl Run {
    pub(super) fn new(target: &str, ending: Ending, log: &str) -> Self {
        Self { target: target.to_owned(), ending, stats: Stats::parse(log), complaint: complaint(log) }
    }

    pub(super) const fn is_finding(&self) -> bool {
        matches!(self.ending, Ending::Found(_))
    }

    /// A line of the table.
    pub(super) fn describe(&self) -> String {
        let Stats { runs, per_second, coverage, added } = self.stats;
        let word = if self.is_finding() { "  FOUND" } else { "" };
        format!("{:<10}{runs:>10} runs{per_second:>8} a second  coverage {coverage:>5}  {added:>5} new inputs{word}", self.target)
    }

    /// What was found, where it is, and how to see it again; `None` when nothing was.
    pub(super) fn finding(&self) -> Option<String> {
        let Ending::Found(input) = &self.ending else { return None };
        let (target, input) = (&self.target, input.display());
        Some(format!(
            "fuzz target {target}: {}\n  input:  {input}\n  replay: cargo xtask fuzz {target} --replay {input}\n  once it is mended the input becomes a \
             seed with a telling name in fuzz/corpus/{target}, and a test in tests/tests/regressions.rs",
            self.complaint
        ))
    }
}

impl Stats {
    fn parse(log: &str) -> Self {
        let number = |text: &str| text.split_whitespace().next().and_then(|word| word.parse().ok());
        let after = |word: &str| log.lines().rev().find_map(|line| number(line.split_once(word)?.1)).unwrap_or(0);
        Self {
            runs: after("stat::number_of_executed_units:"),
            per_second: after("stat::average_exec_per_sec:"),
            coverage: after(" cov:"),
            added: after("stat::new_units_added:"),
        }
    }
}

/// The panic's place and message, or libFuzzer's own reason.
fn complaint(log: &str) -> String {
    let mut lines = log.lines().skip_while(|line| !line.contains(" panicked at "));
    let panic: Vec<&str> = lines.by_ref().take(3).take_while(|line| !line.starts_with("note:") && !line.starts_with("==")).collect();
    if panic.is_empty() {
        return log.lines().find(|line| line.contains("ERROR: libFuzzer")).unwrap_or("it ended").to_owned();
    }
    panic.join("\n    ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "INFO: Seed: 1\n#2\tINITED cov: 300 ft: 400 corp: 1/1b\n#77\tNEW    cov: 471 ft: 1031 corp: 248/191Kb\n\
        thread '<unnamed>' (8899) panicked at /x/tests/src/fuzzing.rs:1:2:\na property\n  left: 1\nnote: run with\n\
        ==8899== ERROR: libFuzzer: deadly signal\nstat::number_of_executed_units: 123349\nstat::average_exec_per_sec:     13705\n\
        stat::new_units_added:          542\n";

    #[test]
    fn figures_are_the_last_ones_of_the_log() {
        assert_eq!(Stats::parse(LOG), Stats { runs: 123_349, per_second: 13_705, coverage: 471, added: 542 });
    }

    #[test]
    fn a_finding_names_the_panic_the_input_and_the_command_that_replays_it() {
        let run = Run::new("header", Ending::Found("/t/crash-1".into()), LOG);
        let finding = run.finding().expect("a finding");
        assert!(finding.contains("fuzzing.rs:1:2") && finding.contains("a property"), "{finding}");
        assert!(finding.contains("cargo xtask fuzz header --replay /t/crash-1"), "{finding}");
        assert!(!finding.contains("note:"), "{finding}");
        assert!(run.describe().ends_with("FOUND"));
    }

    #[test]
    fn a_run_that_held_has_no_finding() {
        assert_eq!(Run::new("header", Ending::Held, LOG).finding(), None);
    }

    #[test]
    fn without_a_panic_the_reason_is_the_fuzzers_own() {
        let log = "==1== ERROR: libFuzzer: timeout after 20 seconds\n";
        assert_eq!(complaint(log), "==1== ERROR: libFuzzer: timeout after 20 seconds");
    }
}
