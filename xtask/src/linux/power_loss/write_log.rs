//! The log of every write and flush that a disk took, as the emulator's `blklogwrites` leaves it.
//!
//! Guarantee: what is not understood is refused: no entry is left out. Sources: Linux, `Documentation/admin-guide/device-mapper/log-writes.rst` and
//! `drivers/md/dm-log-writes.c`; QEMU, `block/blklogwrites.c`, which logs a request once the disk has done it.

use anyhow::{Context as _, Result, bail, ensure};

/// Bytes of a sector: of the log's and of a disk's.
pub(super) const SECTOR: usize = 512;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;

/// Bits of an entry's flags. A write has none of them here: virtio has no write that is durable by itself, and the agent discards nothing.
const FLUSH: u64 = 1;

/// Something that the disk did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// It took these sectors, from this one on. They may be in its cache only.
    Write { sector: u64, content: Vec<[u8; SECTOR]> },
    /// What it had taken is durable.
    Flush,
}

/// Reads a log, from its first entry to its last.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>> {
    let (sectors, rest) = bytes.as_chunks::<SECTOR>();
    ensure!(rest.is_empty(), "the log is not made of whole sectors");
    let (front, mut sectors) = sectors.split_first().context("the log is empty: nothing was written or flushed")?;
    let [magic, version, count, size] = [0, 8, 16, 24].map(|at| field(front, at));
    ensure!(magic == MAGIC && version == VERSION, "this is no log of writes of version {VERSION}");
    ensure!(size & 0xffff_ffff == SECTOR as u64, "the log has sectors of {} bytes", size & 0xffff_ffff);
    let mut entries = Vec::new();
    for number in 0..count {
        let (head, behind) = sectors.split_first().with_context(|| format!("the log ends in front of entry {number} of {count}"))?;
        let [sector, len, flags] = [0, 8, 16].map(|at| field(head, at));
        let len = usize::try_from(len)?;
        ensure!(len <= behind.len(), "the log ends in entry {number} of {count}");
        let (content, behind) = behind.split_at(len);
        entries.push(match (flags, len) {
            (0, 1..) => Entry::Write { sector, content: content.to_vec() },
            (FLUSH, 0) => Entry::Flush,
            _ => bail!("entry {number} of the log has flags {flags:#x} and {len} sectors, which no disk of these runs does"),
        });
        sectors = behind;
    }
    ensure!(sectors.iter().flatten().all(|byte| *byte == 0), "the log goes on behind its last entry");
    Ok(entries)
}

fn field(sector: &[u8; SECTOR], at: usize) -> u64 {
    sector[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(words: &[u64]) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(SECTOR, 0);
        bytes
    }

    /// A write of two sectors at sector 7, and a flush.
    fn log(entries: u64) -> Vec<u8> {
        let front = sector(&[MAGIC, VERSION, entries, 512]);
        [front, sector(&[7, 2, 0, 0]), vec![1; SECTOR], vec![2; SECTOR], sector(&[0, 0, FLUSH, 0])].concat()
    }

    #[test]
    fn writes_and_flushes_come_in_their_order() {
        let write = Entry::Write { sector: 7, content: vec![[1; SECTOR], [2; SECTOR]] };
        assert_eq!(parse(&log(2)).expect("a log"), [write, Entry::Flush]);
    }

    #[test]
    fn an_entry_more_or_less_than_the_log_says_is_refused() {
        assert!(parse(&log(3)).is_err());
        assert!(parse(&log(1)).is_err());
        assert!(parse(&log(2)[..4 * SECTOR]).is_err());
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn another_file_and_an_unknown_entry_are_refused() {
        let mut other = log(2);
        other[0] ^= 1;
        assert!(parse(&other).is_err());
        let mut discard = log(2);
        discard[SECTOR + 16] = 4;
        assert!(parse(&discard).is_err());
    }
}
