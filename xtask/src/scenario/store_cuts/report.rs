//! What came of the scenes: rows for programs, lines for people.

use serde::Serialize;

/// How one scene ended on one board.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) board: &'static str,
    pub(crate) scene: &'static str,
    /// The loader that ran, when it is one that is broken on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
    /// Stores of the run that nothing disturbed.
    pub(crate) stores: usize,
    /// Cuts that the board came back from as it must.
    pub(crate) cuts: usize,
    /// How many of them were made by killing the emulator, too.
    pub(crate) real_cuts: usize,
    pub(crate) second_cuts: usize,
    pub(crate) boots: usize,
    pub(crate) complaint: Option<String>,
    pub(crate) seconds: f64,
}

impl Row {
    pub(super) const fn new(board: &'static str, scene: &'static str) -> Self {
        let (stores, cuts, real_cuts, second_cuts, boots) = (0, 0, 0, 0, 0);
        Self { board, scene, variant: None, stores, cuts, real_cuts, second_cuts, boots, complaint: None, seconds: 0.0 }
    }

    /// Whether the row is what it must be: no complaint about our loader, one about a broken one.
    pub(crate) const fn has_failed(&self) -> bool {
        self.complaint.is_some() != self.variant.is_some()
    }

    /// One line, and a failure's complaint below it.
    pub(crate) fn describe(&self) -> String {
        let Self { board, scene, stores, cuts, real_cuts, second_cuts, boots, seconds, .. } = self;
        let word = if self.has_failed() { "FAIL" } else { "pass" };
        let counts = format!("{cuts} cuts in {stores} stores ({real_cuts} by killing qemu), {second_cuts} second cuts, {boots} boots");
        let came_of_it = match (&self.variant, &self.complaint) {
            (None, None) => counts,
            (None, Some(complaint)) => complaint.lines().fold(counts, |text, line| format!("{text}\n     {line}")),
            (Some(variant), Some(complaint)) => format!("variant {variant} is caught: {}", complaint.lines().next().unwrap_or_default()),
            (Some(variant), None) => format!("variant {variant} is NOT caught; {counts}"),
        };
        format!("{word} {board:<11} {scene:<22} {seconds:>6.1} s  {came_of_it}")
    }
}

/// The closing line.
pub(crate) fn summary(rows: &[Row]) -> String {
    let sum = |count: fn(&Row) -> usize| rows.iter().map(count).sum::<usize>();
    let failed = rows.iter().filter(|row| row.has_failed()).count();
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    format!(
        "cuts: {} cuts, {} by killing qemu, {} second cuts, {} boots, {failed} of {} rows failed ({seconds:.0} s)",
        sum(|row| row.cuts),
        sum(|row| row.real_cuts),
        sum(|row| row.second_cuts),
        sum(|row| row.boots),
        rows.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_fails_our_loader_and_its_absence_a_broken_one() {
        let row = Row::new("mps2-an386", "intent");
        let complained = Row { complaint: Some("why".to_owned()), ..row.clone() };
        let broken = Row { variant: Some("broken".to_owned()), ..row.clone() };
        assert!(!row.has_failed() && complained.has_failed() && broken.has_failed());
        assert!(!Row { variant: Some("broken".to_owned()), ..complained.clone() }.has_failed());
        assert!(complained.describe().contains("why") && broken.describe().contains("NOT caught"));
    }
}
