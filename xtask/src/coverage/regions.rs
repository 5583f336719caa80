//! Reads what llvm-cov exports, and adds up what several programs reached.
//!
//! Format: LLVM, `llvm/tools/llvm-cov/CoverageExporterJson.cpp`. A region is `[line, column, end line, end column, count, file, expanded file, kind]`, a
//! branch `[line, column, end line, end column, count, count of the false side, file, expanded file, kind]`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::test_module;

/// The kind of a region that is code, not a gap, an expansion or something skipped.
const CODE: u64 = 0;

/// Where a region or branch stands; the file is counted from the sources' folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) end_line: usize,
    pub(super) end_column: usize,
}

/// How often regions were reached, and both sides of branches.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    pub(super) regions: BTreeMap<Place, u64>,
    pub(super) branches: BTreeMap<Place, [u64; 2]>,
}

#[derive(Deserialize)]
struct Export {
    data: Vec<Data>,
}

#[derive(Deserialize)]
struct Data {
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    filenames: Vec<String>,
    regions: Vec<[u64; 8]>,
    #[serde(default)]
    branches: Vec<[u64; 9]>,
}

impl Coverage {
    /// Adds what one program reached of the files in `sources`; what stands in a module of tests is not counted.
    pub(super) fn add(&mut self, exported: &[u8], sources: &Path) -> Result<()> {
        let export: Export = serde_json::from_slice(exported).context("llvm-cov exported something else than its format 2 or 3")?;
        let mut ends = TestModules::default();
        for function in export.data.into_iter().flat_map(|data| data.functions) {
            for region in &function.regions {
                let [place @ .., count, file, _, kind] = region;
                if let Some(place) = self::place(place, *file, &function.filenames, sources, &mut ends)?.filter(|_| *kind == CODE) {
                    let reached = self.regions.entry(place).or_default();
                    *reached = (*reached).max(*count);
                }
            }
            for branch in &function.branches {
                let [place @ .., yes, no, file, _, _] = branch;
                if let Some(place) = self::place(place, *file, &function.filenames, sources, &mut ends)? {
                    let sides = self.branches.entry(place).or_default();
                    *sides = [sides[0].max(*yes), sides[1].max(*no)];
                }
            }
        }
        Ok(())
    }
}

fn place(place: &[u64; 4], file: u64, names: &[String], sources: &Path, ends: &mut TestModules) -> Result<Option<Place>> {
    let name = names.get(usize::try_from(file)?).context("a region names a file that its function does not have")?;
    let Ok(relative) = Path::new(name).strip_prefix(sources) else { return Ok(None) };
    let [line, column, end_line, end_column] = place.map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    if line >= ends.line_of(Path::new(name))? {
        return Ok(None);
    }
    Ok(Some(Place { file: relative.to_string_lossy().into_owned(), line, column, end_line, end_column }))
}

/// The line at which the tests of each file begin; they stand last.
#[derive(Default)]
struct TestModules(BTreeMap<String, usize>);

impl TestModules {
    fn line_of(&mut self, path: &Path) -> Result<usize> {
        let name = path.to_string_lossy().into_owned();
        if let Some(line) = self.0.get(&name) {
            return Ok(*line);
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("can not read {name}"))?;
        let line = test_module::first_line(&text).unwrap_or(usize::MAX);
        self.0.insert(name, line);
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(file: &Path, first: u64, second: u64) -> Vec<u8> {
        let file = file.to_string_lossy();
        let region = |line: u64, count: u64, kind: u64| serde_json::json!([line, 5, line, 9, count, 0, 0, kind]);
        let function = |count: u64| {
            serde_json::json!({
                "filenames": [file],
                "regions": [region(1, count, 0), region(2, 0, 0), region(3, 0, 3), region(5, 0, 0)],
                "branches": [[1, 5, 1, 9, count, 0, 0, 0, 4]],
            })
        };
        let outside = serde_json::json!({ "filenames": ["/elsewhere/lib.rs"], "regions": [[1, 1, 1, 2, 0, 0, 0, 0]] });
        serde_json::to_vec(&serde_json::json!({ "data": [{ "functions": [function(first), function(second), outside] }] })).expect("json")
    }

    #[test]
    fn a_region_is_reached_when_any_instantiation_in_any_program_reached_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.rs");
        std::fs::write(&file, "a\nb\nc\n#[cfg(test)]\nmod tests {\n}\n").expect("a file");
        let mut covered = Coverage::default();
        covered.add(&exported(&file, 0, 0), folder.path()).expect("the format");
        assert_eq!(covered.regions.values().copied().collect::<Vec<_>>(), [0, 0], "neither gaps nor tests nor other folders count");
        covered.add(&exported(&file, 0, 7), folder.path()).expect("the format");
        assert_eq!(covered.regions.values().copied().collect::<Vec<_>>(), [7, 0]);
        assert_eq!(covered.branches.values().copied().collect::<Vec<_>>(), [[7, 0]]);
        covered.add(&exported(&file, 0, 0), folder.path()).expect("the format");
        assert_eq!(covered.regions.values().copied().collect::<Vec<_>>(), [7, 0], "what one program reached stays reached");
    }

    #[test]
    fn something_that_llvm_cov_does_not_write_is_refused() {
        assert!(Coverage::default().add(b"{}", Path::new("/")).is_err());
    }
}
