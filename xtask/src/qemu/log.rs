//! The loader's own log: defmt frames on the second UART, decoded with the strings that stand in the loader's ELF.

use std::path::Path;

use anyhow::{Context as _, Result};
use defmt_decoder::{DecodeError, Table};

/// The log's messages, one each. A loader that was built without logging has none; damaged frames are shown as such.
pub(crate) fn decode(loader: &Path, log: &Path) -> Result<Vec<String>> {
    let elf = std::fs::read(loader).with_context(|| format!("can not read {}", loader.display()))?;
    let bytes = std::fs::read(log).with_context(|| format!("can not read the log {}", log.display()))?;
    match Table::parse(&elf).with_context(|| format!("the log strings of {} can not be read", loader.display()))? {
        Some(table) => Ok(messages(&table, &bytes)),
        None => Ok(Vec::new()),
    }
}

/// Every frame consumes bytes, so this ends.
fn messages(table: &Table, bytes: &[u8]) -> Vec<String> {
    let mut decoder = table.new_stream_decoder();
    decoder.received(bytes);
    let mut messages = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => messages.push(frame.display(false).to_string()),
            Err(DecodeError::UnexpectedEof) => return messages,
            Err(DecodeError::Malformed) if table.encoding().can_recover() => messages.push("(a damaged frame)".to_owned()),
            Err(DecodeError::Malformed) => {
                messages.push("(a damaged frame, and all that follow)".to_owned());
                return messages;
            }
        }
    }
}
