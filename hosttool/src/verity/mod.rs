//! The dm-verity hash tree of a root file system, made while the file system streams by: memory is a block for each level.
//!
//! Source of the tree's format: Linux, `Documentation/admin-guide/device-mapper/verity.rst`, hash format 1.

mod tree;

use std::{
    fs::File,
    io::{self, Read, Seek as _},
};

use twinslot_bootloader::{
    crypto::{Builtin, Crypto as _, Digest, Sha256 as _},
    verity::{BLOCK_SIZE, Salt},
};

use tree::Tree;

/// [`BLOCK_SIZE`] for arrays.
const BLOCK: usize = BLOCK_SIZE as usize;

/// A block of data or of hashes.
type Block = [u8; BLOCK];

/// What was made of a root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed {
    /// The digest that every block hangs on.
    pub root_hash: Digest,
    /// SHA-256 over the data, as it was while the tree was made, and the tree.
    pub whole: Digest,
}

/// Makes the hash tree of `data_blocks` blocks of `data`, and writes it to the empty file `tree`, as it must lie behind the data. The file is at its
/// beginning then, ready to be read.
///
/// # Errors
/// The data can not be read or ends early, or the tree can not be written.
pub fn hash(data: &mut impl Read, data_blocks: u64, salt: &Salt, tree: &mut File) -> Result<Hashed, HashError> {
    let mut whole = Builtin.sha256();
    let mut builder = Tree::new(data_blocks, salt, tree);
    let mut block: Block = [0; BLOCK];
    for _ in 0..data_blocks {
        data.read_exact(&mut block).map_err(HashError::Data)?;
        whole.update(&block);
        builder.add(&block).map_err(HashError::Tree)?;
    }
    let root_hash = builder.finish().map_err(HashError::Tree)?;
    while fill(tree, &mut block).map_err(HashError::Tree)? {
        whole.update(&block);
    }
    tree.rewind().map_err(HashError::Tree)?;
    Ok(Hashed { root_hash, whole: whole.finish() })
}

/// Reads a block; `false` at the end of the file.
fn fill(file: &mut File, block: &mut Block) -> io::Result<bool> {
    match file.read_exact(block) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// Which file failed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The data.
    #[error("the data can not be read: {0}")]
    Data(io::Error),
    /// The tree.
    #[error("the hash tree can not be written: {0}")]
    Tree(io::Error),
}

/// The digest of a block.
fn digest(salt: &Salt, block: &Block) -> Digest {
    let mut hash = Builtin.sha256();
    hash.update(salt);
    hash.update(block);
    hash.finish()
}
