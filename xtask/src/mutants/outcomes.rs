//! Reads what a run of cargo-mutants left: its outcomes, and of each mutant that was noticed the test that failed first.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::check::ENDLESS;

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    /// It does not compile.
    Unviable,
    /// This test failed.
    Killed(String),
    /// All tests passed that were run.
    Survived,
}

#[derive(Deserialize)]
struct Report {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: serde_json::Value,
    summary: String,
    log_path: String,
}

/// The name and fate of each mutant that was run; none when the folder has no outcomes.
pub(super) fn read(folder: &Path) -> Result<Vec<(String, Fate)>> {
    let file = folder.join("outcomes.json");
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&file).with_context(|| format!("can not read {}", file.display()))?;
    let report: Report = serde_json::from_str(&text).with_context(|| format!("{} is not what cargo-mutants writes", file.display()))?;
    let mutants = report.outcomes.iter().filter_map(|outcome| Some((outcome.scenario.pointer("/Mutant/name")?.as_str()?, outcome)));
    mutants.map(|(name, outcome)| Ok((name.to_owned(), fate(folder, outcome)?))).collect()
}

fn fate(folder: &Path, outcome: &Outcome) -> Result<Fate> {
    Ok(match outcome.summary.as_str() {
        "Unviable" => Fate::Unviable,
        "MissedMutant" => Fate::Survived,
        "Timeout" => Fate::Killed(ENDLESS.to_owned()),
        "CaughtMutant" => {
            let path = folder.join(&outcome.log_path);
            let log = std::fs::read_to_string(&path).with_context(|| format!("can not read {}", path.display()))?;
            Fate::Killed(first_failure(&log).with_context(|| format!("{} names no test that failed", path.display()))?)
        }
        other => bail!("cargo-mutants has an outcome that this program does not know: {other}"),
    })
}

/// The first test that nextest says failed: `FAIL [   0.604s] (27/44) PACKAGE::PROGRAM TEST`, or a signal's name in place of `FAIL`.
fn first_failure(log: &str) -> Option<String> {
    let failed = |line: &&str| ["FAIL", "SIG", "ABORT", "TIMEOUT", "TERMINATED"].iter().any(|word| line.trim_start().starts_with(word));
    let line = log.lines().filter(failed).find(|line| line.contains('['))?;
    let (_, rest) = line.split_once("] ")?;
    let rest = rest.trim();
    let name = if rest.starts_with('(') { rest.split_once(") ")?.1 } else { rest };
    let is_timeout = ["TIMEOUT", "TERMINATED"].iter().any(|word| line.trim_start().starts_with(word));
    Some(if is_timeout { ENDLESS.to_owned() } else { name.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_test_that_failed_is_found() {
        let log = "        PASS [   0.006s] (26/44) twinslot-tests::journal one\n        FAIL [   0.604s] (27/44) twinslot-tests::journal two\n  \
                   Cancelling\n        FAIL [   0.604s] (28/44) twinslot-tests::journal three\n";
        assert_eq!(first_failure(log).as_deref(), Some("twinslot-tests::journal two"));
        let crashed = "     SIGABRT [   0.010s] ( 3/44) twinslot-bootloader storage::tests::a_window_reaches\n";
        assert_eq!(first_failure(crashed).as_deref(), Some("twinslot-bootloader storage::tests::a_window_reaches"));
        let endless = "     TIMEOUT [  60.010s] ( 3/44) twinslot-tests::rules life::no_livelock\n";
        assert_eq!(first_failure(endless).as_deref(), Some(ENDLESS));
        assert_eq!(first_failure("error: test run failed\n"), None);
    }

    #[test]
    fn outcomes_are_read_with_their_logs() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcome =
            |name: &str, summary: &str| serde_json::json!({ "scenario": { "Mutant": { "name": name } }, "summary": summary, "log_path": "x.log" });
        let baseline = serde_json::json!({ "scenario": "Baseline", "summary": "Success", "log_path": "baseline.log" });
        let all = [baseline, outcome("a", "CaughtMutant"), outcome("b", "MissedMutant"), outcome("c", "Unviable"), outcome("d", "Timeout")];
        std::fs::write(folder.path().join("outcomes.json"), serde_json::json!({ "outcomes": all }).to_string()).expect("a file");
        std::fs::write(folder.path().join("x.log"), "    FAIL [   0.1s] (1/2) t::x y::z\n").expect("a file");
        let killed = |test: &str| Fate::Killed(test.to_owned());
        let expected = [("a", killed("t::x y::z")), ("b", Fate::Survived), ("c", Fate::Unviable), ("d", killed(ENDLESS))];
        assert_eq!(read(folder.path()).expect("outcomes"), expected.map(|(name, fate)| (name.to_owned(), fate)));
        std::fs::write(folder.path().join("x.log"), "nothing").expect("a file");
        assert!(read(folder.path()).is_err(), "a kill without a test is none");
        assert_eq!(read(&folder.path().join("none")).expect("no outcomes"), []);
    }
}
