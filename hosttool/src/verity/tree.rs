//! The levels of a hash tree, each with the block that is being filled.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use twinslot_bootloader::{
    crypto::Digest,
    verity::{BLOCK_SIZE, Salt, hash_blocks, levels},
};

use super::{BLOCK, Block, digest};

/// A tree in the making.
pub(super) struct Tree<'a> {
    salt: &'a Salt,
    file: &'a File,
    /// The level over the data first.
    levels: Vec<Level>,
    /// The digest of the newest block that no level lies above.
    top: Digest,
}

/// A level of which some blocks are written and one is being filled.
struct Level {
    /// Where the next block goes in the file.
    next: u64,
    filling: Block,
    /// Bytes of it that hold digests.
    filled: usize,
}

impl<'a> Tree<'a> {
    /// An empty tree. The levels lie in the file from the top one down to the one over the data.
    pub(super) fn new(data_blocks: u64, salt: &'a Salt, file: &'a File) -> Self {
        let mut end = hash_blocks(data_blocks);
        let place = |blocks| {
            end -= blocks;
            Level { next: end * BLOCK_SIZE, filling: [0; BLOCK], filled: 0 }
        };
        Self { salt, file, levels: levels(data_blocks).map(place).collect(), top: [0; 32] }
    }

    /// Adds the next block of data.
    pub(super) fn add(&mut self, block: &Block) -> io::Result<()> {
        let mut digest = digest(self.salt, block);
        for index in 0..self.levels.len() {
            let level = &mut self.levels[index];
            if !level.is_full_with(&digest) {
                return Ok(());
            }
            digest = level.write(self.salt, self.file)?;
        }
        self.top = digest;
        Ok(())
    }

    /// Writes the blocks that are not full, padded with zeros, and gives the root hash.
    pub(super) fn finish(mut self) -> io::Result<Digest> {
        let mut pending = None;
        for level in &mut self.levels {
            let full = pending.is_some_and(|digest| level.is_full_with(&digest));
            pending = if full || level.filled > 0 { Some(level.write(self.salt, self.file)?) } else { None };
        }
        Ok(pending.unwrap_or(self.top))
    }
}

impl Level {
    /// Adds a digest; whether the block is full then.
    fn is_full_with(&mut self, digest: &Digest) -> bool {
        let end = self.filled + digest.len();
        self.filling[self.filled..end].copy_from_slice(digest);
        self.filled = end;
        end == BLOCK
    }

    /// Writes the block and begins another one; gives the digest of what was written.
    fn write(&mut self, salt: &Salt, file: &File) -> io::Result<Digest> {
        file.write_all_at(&self.filling, self.next)?;
        self.next += BLOCK_SIZE;
        self.filled = 0;
        let written = std::mem::replace(&mut self.filling, [0; BLOCK]);
        Ok(digest(salt, &written))
    }
}
