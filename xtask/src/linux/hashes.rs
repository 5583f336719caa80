//! SHA-256 by the instructions of an arm64 processor, as the loader has it, against sha2 on this host; and the loader without them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::board::Board;
use super::machine::{self, End, Run, Shown};
use super::probe::RUNS;
use super::supply::Supply;
use super::table::ORDINARY;
use super::{loader, row_of, supply};
use crate::firmware;
use crate::scenario::Row;
use crate::workspace::Workspace;

/// The names of the rows.
pub(super) const VECTORS: &str = "hash-vectors";
pub(super) const SOFTWARE: &str = "hash-in-software";

/// What the loader says without the instructions.
pub(super) const IN_SOFTWARE: &str = "twinslot: sha-256 by software (this processor has no SHA-256 instructions)";

/// Why a board has neither.
const HASHES_IN_SOFTWARE: &str = "this loader always hashes in software, which tests on a host judge";

/// The longest message that the program hashes, in bytes.
const LONGEST: usize = 320;

/// Some seconds are enough.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs the program in the loader's place and judges every line of it.
pub(super) fn row(workspace: &Workspace, board: Board, folder: &Path) -> Row {
    row_of(board, VECTORS, lacks_instructions(board), || run(workspace, board, folder).map(|shown| complaint(&shown)))
}

/// Starts a small image with a loader that finds no instructions.
pub(super) fn software_row(supply: &Supply) -> Row {
    row_of(supply.board(), SOFTWARE, lacks_instructions(supply.board()), || start_in_software(supply))
}

fn lacks_instructions(board: Board) -> Option<&'static str> {
    match board {
        Board::Aarch64 => None,
        Board::Riscv64 => Some(HASHES_IN_SOFTWARE),
    }
}

fn start_in_software(supply: &Supply) -> Result<Option<String>> {
    let (disk, program) = (supply.probe_disk()?, supply.folder().join("software.bin"));
    std::fs::write(&program, loader::without_instructions(&std::fs::read(supply.loader())?)?)?;
    let run =
        Run { board: supply.board(), loader: &program, disk: Some(&disk), hardware: ORDINARY, folder: supply.folder(), limit: LIMIT, cut_at: None };
    let shown = machine::run(&run)?;
    let missing = [IN_SOFTWARE, RUNS].into_iter().find(|expected| !shown.lines.iter().any(|line| line == expected));
    match missing {
        Some(line) => Ok(Some(format!("this line is missing: {line:?}\n{}", shown.lines.join("\n")))),
        None if shown.end != End::Off => bail!("the machine does not switch itself off: {:?}", shown.end),
        None => Ok(None),
    }
}

/// Without a disk: the loader that goes on behind the digests halts.
fn run(workspace: &Workspace, board: Board, folder: &Path) -> Result<Shown> {
    let program = folder.join("hash-vectors.bin");
    let base = supply::layout(workspace, board)?.loader_address().context("the layout gives the loader no address")?;
    std::fs::write(&program, loader::flat(&std::fs::read(firmware::hash_vectors(workspace, board)?)?, base)?)?;
    machine::run(&Run { board, loader: &program, disk: None, hardware: ORDINARY, folder, limit: LIMIT, cut_at: None })
}

/// What is not as sha2 has it: every line counts, in its order.
fn complaint(shown: &Shown) -> Option<String> {
    let printed: Vec<&str> = shown.lines.iter().filter_map(|line| line.strip_prefix("twinslot: hash")).collect();
    let expected = lines();
    let different = (0..expected.len().max(printed.len())).find(|at| expected.get(*at).map(String::as_str) != printed.get(*at).copied());
    match different {
        Some(at) => Some(format!("line {at} of the digests is {:?} and must be {:?}", printed.get(at), expected.get(at))),
        None if shown.end != End::Halt => Some(format!("the loader does not go on behind the digests: {:?}", shown.end)),
        None => None,
    }
}

/// All that must be printed, behind the words that every line begins with.
fn lines() -> Vec<String> {
    let message: Vec<u8> = (0..LONGEST).map(|at| (at * 7 + at / 256).to_le_bytes()[0]).collect();
    let of_lengths = (0..=LONGEST).map(|len| format!(" {len}{}", words(&message[..len])));
    of_lengths.chain([format!(" a million{}", words(&[b'a'; 1_000_000]))]).collect()
}

/// A digest as the program prints it: four numbers.
fn words(message: &[u8]) -> String {
    let digest = Sha256::digest(message);
    digest.as_chunks::<8>().0.iter().map(|word| format!(" {:#x}", u64::from_be_bytes(*word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: Vec<String>) -> Shown {
        let lines = lines.into_iter().map(|line| format!("twinslot: hash{line}"));
        Shown { lines: lines.chain(["twinslot: halt: no disk".to_owned()]).collect(), end: End::Halt, wall: Duration::ZERO }
    }

    /// Source: FIPS 180-2, appendix B.3.
    #[test]
    fn the_published_digest_is_the_one_that_is_expected() {
        let last = lines().pop();
        assert_eq!(last.as_deref(), Some(" a million 0xcdc76e5c9914fb92 0x81a1c7e284d73e67 0xf1809a48a497200e 0x46d39ccc7112cd0"));
    }

    #[test]
    fn digests_that_are_missing_twice_there_or_wrong_fail() {
        assert_eq!(complaint(&shown(lines())), None);
        for at in [0, 64, LONGEST + 1] {
            let (mut missing, mut twice, mut other) = (lines(), lines(), lines());
            missing.remove(at);
            twice.insert(at, lines()[at].clone());
            other[at] = other[at].replace("0x", "0x1");
            for wrong in [missing, twice, other] {
                assert!(complaint(&shown(wrong)).is_some(), "{at}");
            }
        }
        assert!(complaint(&Shown { end: End::TimedOut, ..shown(lines()) }).is_some());
    }
}
