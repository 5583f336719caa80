//! Runs the program of the vectors on a board and judges every line of it.
//!
//! A pass says: each group printed that it agrees, with the number of vectors that is written here; the vectors whose expectation is wrong on purpose
//! were noticed; the last line came; and the assembly that ran is, byte for byte, that of the board's loader.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::report::{Outcome, Row};
use super::{AnchorFile, Calibration, Fixture};
use crate::board::FLASH_FILE_SIZE;
use crate::elf::Firmware;
use crate::qemu::{Ended, Launch, Machine, Transcript};

/// The name of the row.
pub(crate) const NAME: &str = "signature-vectors";

/// All that the program prints.
const LINES: [&str; 14] = [
    "vectors: wycheproof 139 agree",
    "vectors: edge-cases 12 agree",
    "vectors: mutated 500 agree",
    "vectors: s-plus-order 17 agree",
    "vectors: small-order 192 agree",
    "vectors: not-canonical 76 agree",
    "vectors: base-point-sums 100 agree",
    "vectors: mixed-order 32 agree",
    "vectors: wrong-on-purpose 0 DISAGREES",
    "vectors: wrong-on-purpose 1 DISAGREES",
    "vectors: sha256-published 5 agree",
    "vectors: sha256-lengths 137 agree",
    "vectors: sha256-wrong-on-purpose 0 DISAGREES",
    "vectors: done",
];

/// salty's assembly for processors with UMAAL.
const ASSEMBLY: [&str; 2] = ["fe25519_mul_asm", "fe25519_square_asm"];

/// Runs the vectors on the fixture's board.
pub(crate) fn run(fixture: &mut Fixture, calibration: Calibration) -> Row {
    let started = Instant::now();
    let (outcome, detail) = match complaints(fixture, calibration) {
        Ok(complaints) if complaints.is_empty() => (Outcome::Pass, String::new()),
        Ok(complaints) => (Outcome::Fail, complaints.join("\n")),
        Err(error) => (Outcome::Fail, format!("{error:#}")),
    };
    Row { board: fixture.board().name(), scenario: NAME, outcome, detail, seconds: started.elapsed().as_secs_f64() }
}

fn complaints(fixture: &mut Fixture, calibration: Calibration) -> Result<Vec<String>> {
    let (program, loader) = (fixture.vectors()?, fixture.loader(AnchorFile::Default)?);
    ensure_same_assembly(&Firmware::read(&program)?, &Firmware::read(&loader)?)?;
    let transcript = power_on(fixture, &program, calibration)?;
    let mut complaints = judge(transcript.ended, &transcript.lines);
    if !transcript.resets.is_empty() {
        complaints.push("the board was reset".to_owned());
    }
    if !complaints.is_empty() {
        complaints.push(transcript.describe());
    }
    Ok(complaints)
}

fn ensure_same_assembly(program: &Firmware, loader: &Firmware) -> Result<()> {
    for name in ASSEMBLY {
        ensure!(
            program.function(name)? == loader.function(name)?,
            "{name} of the vectors is not {name} of the loader: what runs is not what verifies"
        );
    }
    Ok(())
}

/// The program touches no flash; the machine has one all the same.
fn power_on(fixture: &Fixture, program: &Path, calibration: Calibration) -> Result<Transcript> {
    let flash = fixture.folder().join(format!("{NAME}.img"));
    std::fs::write(&flash, vec![0xff; usize::try_from(FLASH_FILE_SIZE)?]).with_context(|| format!("can not write {}", flash.display()))?;
    let folder = tempfile::tempdir_in(fixture.folder()).context("can not make a folder for the run")?;
    let launch = Launch { board: fixture.board(), loader: program, flash: &flash, folder: folder.path(), plugin: None, fill: None };
    Ok(Machine::start(&launch)?.watch(calibration.limits_of_vectors()))
}

/// Everything that is not as expected: every line counts, in its order, and none besides.
fn judge(ended: Ended, lines: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    if ended != Ended::AtRest {
        complaints.push(format!("the program did not come to its last line: {ended:?}"));
    }
    let missing = LINES.iter().filter(|line| !lines.iter().any(|printed| printed == *line));
    complaints.extend(missing.map(|line| format!("this line is missing: {line:?}")));
    let unexpected = lines.iter().filter(|line| !LINES.contains(&line.as_str()));
    complaints.extend(unexpected.map(|line| format!("this line must not be printed: {line:?}")));
    if complaints.is_empty() && lines != LINES {
        complaints.push("the lines are not in their order, or one came twice".to_owned());
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<String> {
        LINES.map(str::to_owned).to_vec()
    }

    #[test]
    fn what_the_program_prints_when_all_is_well_passes() {
        assert!(judge(Ended::AtRest, &lines()).is_empty());
    }

    #[test]
    fn each_line_that_is_missing_twice_there_or_another_fails() {
        for index in 0..LINES.len() {
            let (mut missing, mut twice, mut other) = (lines(), lines(), lines());
            missing.remove(index);
            twice.insert(index, LINES[index].to_owned());
            other[index].push('1');
            for wrong in [missing, twice, other] {
                assert!(!judge(Ended::AtRest, &wrong).is_empty(), "{wrong:?}");
            }
        }
    }

    #[test]
    fn a_vector_that_is_judged_wrong_fails() {
        let mut wrong = lines();
        wrong[0] = "vectors: wycheproof 7 DISAGREES".to_owned();
        assert_eq!(judge(Ended::AtRest, &wrong).len(), 2);
    }

    #[test]
    fn a_wrong_expectation_that_is_not_noticed_fails() {
        let mut wrong = lines();
        wrong.retain(|line| !line.contains("DISAGREES"));
        wrong.insert(8, "vectors: wrong-on-purpose 2 agree".to_owned());
        assert!(!judge(Ended::AtRest, &wrong).is_empty());
    }

    #[test]
    fn a_run_that_does_not_end_by_itself_fails() {
        for ended in [Ended::Gone, Ended::TimedOut, Ended::TooManyBoots] {
            assert!(!judge(ended, &lines()).is_empty(), "{ended:?}");
        }
    }
}
