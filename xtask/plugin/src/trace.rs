//! The trace of a run: what each counted store left in memory, in the order of the stores.
//!
//! Eight bytes a store, little-endian: the address of the word that was stored to, then that word as it is right after the store. The word is read
//! from the file that the guest's memory is shared with, so that nothing is known of the store but what it did. Each entry is written at once: a run
//! that is killed leaves all of them.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::plan::Plan;

const WORD: u64 = 4;

/// The open files of a trace.
#[derive(Debug)]
pub(crate) struct Trace {
    entries: File,
    memory: File,
    low: u64,
}

impl Trace {
    /// Opens what the plan asks for; `None` when it asks for no trace.
    pub(crate) fn open(plan: &Plan) -> Result<Option<Self>, String> {
        let Some(path) = &plan.trace else { return Ok(None) };
        let memory = plan.memory.as_ref().ok_or("a trace needs the directive memory")?;
        let entries = File::create(path).map_err(|error| unusable(path, &error))?;
        let file = File::open(&memory.path).map_err(|error| unusable(&memory.path, &error))?;
        Ok(Some(Self { entries, memory: file, low: memory.low }))
    }

    /// A store to `address` is done. A trace with a gap would lie, so one that can not be written ends the run.
    pub(crate) fn write(&self, address: u64) {
        if let Err(error) = self.write_entry(address - address % WORD) {
            eprintln!("emulator-plugin: can not trace the store to {address:#x}: {error}");
            std::process::abort();
        }
    }

    fn write_entry(&self, address: u64) -> std::io::Result<()> {
        let mut entry = [0; 8];
        let (place, word) = entry.split_at_mut(4);
        place.copy_from_slice(&u32::try_from(address).map_err(std::io::Error::other)?.to_le_bytes());
        self.memory.read_exact_at(word, address.saturating_sub(self.low))?;
        (&self.entries).write_all(&entry)
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> String {
    format!("can not open {}: {error}", path.display())
}
