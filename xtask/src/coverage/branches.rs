//! What is told of branches.

use std::collections::BTreeMap;

use serde::Serialize;

use super::regions::Coverage;

/// The branches of one file. Each has two sides.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    file: String,
    branches: usize,
    missed_sides: usize,
}

/// A row for each file that has branches.
pub(super) fn rows(covered: &Coverage) -> Vec<Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for (place, sides) in &covered.branches {
        let row = rows.entry(&place.file).or_insert_with(|| Row { file: place.file.clone(), branches: 0, missed_sides: 0 });
        row.branches += 1;
        row.missed_sides += sides.iter().filter(|count| **count == 0).count();
    }
    rows.into_values().collect()
}

/// The rows for people, a line each.
pub(super) fn table(rows: &[Row]) -> String {
    let lines = rows.iter().map(|row| format!("told  {:<24} {:>4} branches, {:>3} sides missed", row.file, row.branches, row.missed_sides));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::regions::Place;

    #[test]
    fn both_sides_of_a_branch_count() {
        let mut covered = Coverage::default();
        for (line, sides) in [(1, [3, 0]), (2, [0, 0]), (3, [1, 1])] {
            covered.branches.insert(Place { file: "x.rs".to_owned(), line, column: 1, end_line: line, end_column: 2 }, sides);
        }
        assert_eq!(rows(&covered), [Row { file: "x.rs".to_owned(), branches: 3, missed_sides: 3 }]);
    }
}
