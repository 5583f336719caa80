//! `hosttool pack` and `hosttool sign` against `openssl dgst -sha256` and `cp` with `sync`: the least that hashing and writing a file takes.
//!
//! Both sides run in turn, in one folder, five times; medians are compared. Memory is the high-water mark that the kernel kept (GNU time).

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::budget::Measure;
use crate::cargo::{build, cargo};
use crate::process;
use crate::workspace::Workspace;

const ROUNDS: usize = 5;
const MEBIBYTE: usize = 1024 * 1024;

/// How much is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A quarter of the file: what CI has time for.
    Short,
    /// 1 GiB.
    Full,
}

impl Extent {
    const fn mebibytes(self) -> usize {
        match self {
            Self::Short => 256,
            Self::Full => 1024,
        }
    }
}

/// What one round took.
struct Round {
    packing_seconds: f64,
    plain_seconds: f64,
    mebibytes_of_memory: f64,
}

pub(super) fn measures(workspace: &Workspace, extent: Extent) -> Result<Vec<Measure>> {
    let mut command = cargo(workspace);
    command.args(["build", "--quiet", "--release"]);
    let folder = tempfile::tempdir_in(workspace.products("bench")?)?;
    let contest = Contest {
        hosttool: build(command, "hosttool", "")?,
        key: workspace.path("qemu-boards/test-keys/key-1.key.pem"),
        folder: folder.path().to_owned(),
    };
    write_input(&contest.input(), extent)?;
    let rounds = (0..ROUNDS).map(|_| contest.round()).collect::<Result<Vec<_>>>()?;
    let (packing, plain) = (median(&rounds, |round| round.packing_seconds), median(&rounds, |round| round.plain_seconds));
    let memory = rounds.iter().map(|round| round.mebibytes_of_memory).fold(0.0, f64::max);
    let size = extent.mebibytes();
    let ratio_detail = format!("{packing:.2} s for {size} MiB, openssl and cp {plain:.2} s, medians of {ROUNDS}{}", hint(extent));
    let measure = |name: &str, value, unit, detail| Measure { name: name.to_owned(), board: None, value, unit, detail };
    Ok(vec![
        measure("pack-and-sign-ratio", packing / plain, "times", ratio_detail),
        measure("pack-and-sign-memory", memory, "MiB", format!("peak resident memory, {size} MiB packed")),
    ])
}

const fn hint(extent: Extent) -> &'static str {
    match extent {
        Extent::Short => "; 1 GiB with --full",
        Extent::Full => "",
    }
}

struct Contest {
    hosttool: PathBuf,
    key: PathBuf,
    folder: PathBuf,
}

impl Contest {
    fn input(&self) -> PathBuf {
        self.folder.join("input")
    }

    fn round(&self) -> Result<Round> {
        let started = Instant::now();
        process::output_of(Command::new("openssl").args(["dgst", "-sha256"]).arg(self.input()))?;
        let copy = self.folder.join("copy");
        process::output_of(Command::new("cp").arg(self.input()).arg(&copy))?;
        process::output_of(Command::new("sync").arg(&copy))?;
        let plain_seconds = started.elapsed().as_secs_f64();
        std::fs::remove_file(&copy)?;

        let image = self.folder.join("image.slot");
        let started = Instant::now();
        let pack_memory = self.run(&["pack", "--product", "bench", "--version", "1.0.0+1", "--security-counter", "1"], |command| {
            command.arg("--part").arg(format!("firmware={},place=inplace", self.input().display())).arg("-o").arg(&image);
        })?;
        let sign_memory = self.run(&["sign"], |command| {
            command.arg(&image).arg("--key").arg(&self.key);
        })?;
        let packing_seconds = started.elapsed().as_secs_f64();
        std::fs::remove_file(&image)?;
        Ok(Round { packing_seconds, plain_seconds, mebibytes_of_memory: pack_memory.max(sign_memory) })
    }

    /// Runs the host tool under GNU time and returns its peak of resident memory in MiB.
    fn run(&self, arguments: &[&str], add: impl FnOnce(&mut Command)) -> Result<f64> {
        let memory = self.folder.join("memory");
        let mut command = Command::new("time");
        command.args(["--format=%M", "--output"]).arg(&memory).arg(&self.hosttool).args(arguments);
        add(&mut command);
        process::output_of(&mut command)?;
        let kibibytes: f64 = std::fs::read_to_string(&memory)?.trim().parse().context("GNU time wrote no number")?;
        Ok(kibibytes / 1024.0)
    }
}

/// Bytes that do not compress, the same every time.
fn write_input(path: &Path, extent: Extent) -> Result<()> {
    let mut file = BufWriter::new(File::create(path).with_context(|| format!("can not write {}", path.display()))?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..extent.mebibytes() * MEBIBYTE / size_of::<u64>() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    file.into_inner().context("can not write the input")?.sync_all()?;
    Ok(())
}

fn median(rounds: &[Round], of: impl Fn(&Round) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_outliers() {
        let round = |seconds| Round { packing_seconds: seconds, plain_seconds: 1.0, mebibytes_of_memory: 0.0 };
        let rounds = [5.0, 1.0, 100.0, 2.0, 3.0].map(round);
        assert!((median(&rounds, |round| round.packing_seconds) - 3.0).abs() < f64::EPSILON);
    }
}
