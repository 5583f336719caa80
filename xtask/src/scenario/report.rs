//! What came of the scenarios: rows for programs, lines for people.

use serde::Serialize;

/// How one scenario ended on one board.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) board: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) outcome: Outcome,
    /// Why it does not apply, or everything that a failing judge saw.
    pub(crate) detail: String,
    pub(crate) seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Pass,
    Fail,
    NotApplicable,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::NotApplicable => "n/a",
        }
    }
}

impl Row {
    pub(crate) fn has_failed(&self) -> bool {
        self.outcome == Outcome::Fail
    }

    /// One line, and the details of a failure below it.
    pub(crate) fn describe(&self) -> String {
        let line = format!("{:<4} {:<11} {:<36} {:>6.1} s", self.outcome.word(), self.board, self.scenario, self.seconds);
        match self.outcome {
            Outcome::Pass if self.detail.is_empty() => line,
            Outcome::Fail => format!("{line}\n{}", indent(&self.detail)),
            Outcome::Pass | Outcome::NotApplicable => format!("{line}  ({})", self.detail),
        }
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("     {line}")).collect::<Vec<_>>().join("\n")
}

/// The closing line.
pub(crate) fn summary(rows: &[Row]) -> String {
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    format!(
        "scenarios: {} passed, {} failed, {} not applicable ({seconds:.0} s)",
        count(Outcome::Pass),
        count(Outcome::Fail),
        count(Outcome::NotApplicable)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_promised_keys_and_words() {
        let row = Row { board: "mps2-an386", scenario: "first-boot", outcome: Outcome::NotApplicable, detail: "why".into(), seconds: 0.5 };
        let json = serde_json::to_string(&row).expect("a row");
        assert_eq!(json, r#"{"board":"mps2-an386","scenario":"first-boot","outcome":"not-applicable","detail":"why","seconds":0.5}"#);
    }
}
