//! The counting plugin: builds it, writes its plans, reads its reports. The other half is `xtask/plugin/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cargo::{build, cargo};
use crate::setup::{EmulatorVersion, emulator_version};
use crate::workspace::Workspace;

/// QEMU's plugin interface has version 2 from this release on.
const SECOND_INTERFACE: EmulatorVersion = EmulatorVersion { major: 9, minor: 0 };

/// Builds the plugin for the installed QEMU.
pub(crate) fn library(workspace: &Workspace) -> Result<PathBuf> {
    let interface = if emulator_version()? >= SECOND_INTERFACE { "2" } else { "1" };
    let mut command = cargo(workspace);
    command.args(["build", "--quiet", "--release"]).env("EMULATOR_PLUGIN_INTERFACE", interface);
    build(command, "emulator-plugin", ".so")
}

/// What one run counts, and where it is cut.
#[derive(Debug, Default, Clone)]
pub(crate) struct Plan {
    /// Where the booted image may lie: counting ends when it starts.
    pub(crate) jumps: Vec<Range<u64>>,
    /// Addresses whose stores are counted.
    pub(crate) stores: Option<Range<u64>>,
    /// The counts when code in these ranges first runs; the report is there once all are reached.
    pub(crate) marks: Vec<(&'static str, Range<u64>)>,
    /// Code that is counted under a name as well.
    pub(crate) buckets: Vec<(&'static str, Range<u64>)>,
    /// Calls out of that code: name, address of the call, and where it comes back to.
    pub(crate) calls: Vec<(&'static str, u64, u64)>,
    pub(crate) cut_at_instruction: Option<u64>,
    pub(crate) cut_at_store: Option<u64>,
    /// What each counted store leaves in memory is written to a file.
    pub(crate) trace: Option<Traced>,
}

/// Where a trace goes, and where it takes words from.
#[derive(Debug, Clone)]
pub(crate) struct Traced {
    pub(crate) entries: PathBuf,
    /// The file that is the memory at `low`.
    pub(crate) memory: PathBuf,
    pub(crate) low: u64,
}

impl Plan {
    /// Writes the plan, and says where the report will be.
    pub(crate) fn write(&self, path: &Path) -> Result<PathBuf> {
        let report = path.with_extension("report");
        std::fs::write(path, self.text(&report)).with_context(|| format!("can not write {}", path.display()))?;
        Ok(report)
    }

    fn text(&self, report: &Path) -> String {
        let mut text = format!("report {}\n", report.display());
        let ranges = self.jumps.iter().map(|range| ("jump", range)).chain(self.stores.iter().map(|range| ("stores", range)));
        for (word, Range { start, end }) in ranges {
            let _ = writeln!(text, "{word} {start:x} {end:x}");
        }
        let named = self.marks.iter().map(|named| ("mark", named)).chain(self.buckets.iter().map(|named| ("bucket", named)));
        for (word, (name, Range { start, end })) in named {
            let _ = writeln!(text, "{word} {name} {start:x} {end:x}");
        }
        for (name, from, back) in &self.calls {
            let _ = writeln!(text, "call {name} {from:x} {back:x}");
        }
        for (word, number) in [("cut-at-instruction", self.cut_at_instruction), ("cut-at-store", self.cut_at_store)] {
            if let Some(number) = number {
                let _ = writeln!(text, "{word} {number:x}");
            }
        }
        if let Some(Traced { entries, memory, low }) = &self.trace {
            let _ = writeln!(text, "trace {}\nmemory {low:x} {}", entries.display(), memory.display());
        }
        text
    }
}

/// The counts of a run.
#[derive(Debug, Clone)]
pub(crate) struct Report(BTreeMap<String, u64>);

impl Report {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("the counting plugin left no report at {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the report is not `name count` lines: {text:?}"))
    }

    fn parse(text: &str) -> Option<Self> {
        let count = |line: &str| line.split_once(' ').and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)));
        text.lines().map(count).collect::<Option<BTreeMap<_, _>>>().map(Self)
    }

    pub(crate) fn count(&self, name: &str) -> Result<u64> {
        self.0.get(name).copied().with_context(|| format!("the counting plugin reports no {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_one_directive_a_line() {
        let plan = Plan {
            jumps: vec![0x100..0x200, 0x300..0x400],
            marks: vec![("end", 1..2)],
            buckets: vec![("hash", 0x10..0x20)],
            cut_at_store: Some(255),
            ..Plan::default()
        };
        assert_eq!(plan.text(Path::new("r")), "report r\njump 100 200\njump 300 400\nmark end 1 2\nbucket hash 10 20\ncut-at-store ff\n");
    }

    #[test]
    fn a_report_is_read_or_refused() {
        let report = Report::parse("instructions 12\nstores 0\n").expect("a report");
        assert_eq!(report.count("instructions").ok(), Some(12));
        assert!(report.count("hash").is_err());
        assert!(Report::parse("instructions many").is_none());
    }
}
