//! Tests that other projects' failures asked for (`docs/past-failures.md`), and what the known limits of ours amount to (`docs/threat-model.md`).

mod jumps;
mod limits;
mod overwrites;
mod resets;
mod versions;
