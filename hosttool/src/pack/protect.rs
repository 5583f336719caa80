//! `--verity`: a root file system gets its hash tree, and the command line what dm-verity must know of both.

use std::{
    fs::File,
    io::{Cursor, Read, Seek as _},
    path::Path,
};

use anyhow::{Context as _, Error, anyhow, ensure};
use twinslot_bootloader::{
    crypto::{Builtin, Crypto as _, Digest, Sha256 as _},
    image::{
        command_line::{self, MAX_LEN},
        manifest::{Kind, Version},
    },
    verity::{ARGUMENT, BLOCK_SIZE, Salt, Verity, VerityError},
};

use super::PartSpec;
use crate::{
    refusal::Refusal,
    report::Failure,
    verity::{HashError, hash},
};

/// A root file system with its hash tree, as the image must hold it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Protected {
    /// What stands on the command line.
    pub(crate) verity: Verity,
    /// Its place among the parts.
    index: usize,
    /// SHA-256 over data and tree.
    whole: Digest,
}

impl Protected {
    /// Whether what was packed is what the tree was made of.
    ///
    /// # Errors
    /// The file was written to in between.
    pub(crate) fn check(&self, parts: &[PartSpec], packed: &[super::StreamedPart]) -> Result<(), Error> {
        let is_same = packed.get(self.index).is_some_and(|part| part.sha256 == self.whole);
        ensure!(is_same, "{}: was changed while it was packed: pack it again when nobody writes it", name(parts, self.index));
        Ok(())
    }
}

/// The hash on which the blocks of a root file system hang, and which every one of them needs.
///
/// # Errors
/// A root file system without one.
pub(crate) fn root_of(parts: &[PartSpec]) -> Result<Option<Digest>, Error> {
    let Some(root) = parts.iter().find(|part| part.kind == Kind::RootFs) else { return Ok(None) };
    let missing = "needs --verity, which makes its hash tree, or root-hash=HEX, the dm-verity root hash of a tree that it has";
    root.root_hash.map(Some).with_context(|| format!("--part rootfs={} {missing}", root.file.display()))
}

/// Makes the hash tree beside `output` and changes parts and inputs accordingly.
///
/// # Errors
/// Parts are missing or unfit, or a file can not be read or written.
pub(crate) fn protect(parts: &mut [PartSpec], inputs: &mut [Box<dyn Read>], salt: Salt, output: &Path) -> Result<Protected, Failure> {
    let root = position(parts, Kind::RootFs).context("--verity needs a root file system: add --part rootfs=FILE, or leave --verity out")?;
    let line = position(parts, Kind::CommandLine)
        .context("--verity puts the root hash on the command line: add --part command-line=FILE, which may be empty")?;
    if parts[root].root_hash.is_some() {
        return Err(anyhow!("--verity makes the root hash: leave root-hash= out, or --verity").into());
    }
    let text = unprotected_line(&parts[line].file)?;
    let (data, tree, verity, whole) = hashed(&parts[root].file, salt, output)?;
    parts[root].root_hash = Some(verity.root_hash);
    inputs[root] = Box::new(data.chain(tree));
    inputs[line] = Box::new(Cursor::new(with_argument(text, &verity)));
    Ok(Protected { verity, index: root, whole })
}

/// The salt of an image: another one for each product and version, the same one each time that it is packed.
pub(crate) fn salt(product: &str, version: Version) -> Salt {
    let mut hash = Builtin.sha256();
    hash.update(format!("twinslot dm-verity salt\0{product}\0{version}").as_bytes());
    hash.finish()
}

fn position(parts: &[PartSpec], kind: Kind) -> Option<usize> {
    parts.iter().position(|part| part.kind == kind)
}

fn name(parts: &[PartSpec], index: usize) -> String {
    parts.get(index).map(|part| part.file.display().to_string()).unwrap_or_default()
}

/// The command line as it is written, if it says nothing of dm-verity yet. One that is too long is left to the check of all lines.
fn unprotected_line(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    let file = File::open(path).with_context(|| unread(path))?;
    file.take(MAX_LEN as u64 + 1).read_to_end(&mut line).with_context(|| unread(path))?;
    command_line::check(&line, None)?;
    if Verity::on_line(&line) != Err(VerityError::Missing) {
        return Err(refuse(path, format!("has {ARGUMENT} already: leave it out, --verity adds it")));
    }
    Ok(line)
}

fn with_argument(mut line: Vec<u8>, verity: &Verity) -> Vec<u8> {
    let space = if line.is_empty() { "" } else { " " };
    line.extend(format!("{space}{verity}").bytes());
    line
}

fn hashed(path: &Path, salt: Salt, output: &Path) -> Result<(File, File, Verity, Digest), Failure> {
    let mut data = File::open(path).with_context(|| unread(path))?;
    let data_blocks = data_blocks(path, &data)?;
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritten = || format!("the hash tree of {} can not be written in {}", path.display(), folder.display());
    let mut tree = tempfile::tempfile_in(folder).with_context(unwritten)?;
    let hashed = hash(&mut data, data_blocks, &salt, &mut tree).map_err(|error| match error {
        HashError::Data(source) => Error::new(source).context(unread(path)),
        HashError::Tree(source) => Error::new(source).context(unwritten()),
    })?;
    data.rewind().with_context(|| unread(path))?;
    Ok((data, tree, Verity { data_blocks, salt, root_hash: hashed.root_hash }, hashed.whole))
}

/// A file system is whole blocks.
fn data_blocks(path: &Path, data: &File) -> Result<u64, Failure> {
    let metadata = data.metadata().with_context(|| unread(path))?;
    if !metadata.is_file() {
        return Err(anyhow!("{}: is not a regular file: --verity reads a root file system twice", path.display()).into());
    }
    match metadata.len() {
        0 => Err(refuse(path, "is empty: pack the image of a file system".to_owned())),
        len if len.is_multiple_of(BLOCK_SIZE) => Ok(len / BLOCK_SIZE),
        len => {
            let padded = len.next_multiple_of(BLOCK_SIZE);
            Err(refuse(path, format!("has {len} bytes, which are not whole blocks of {BLOCK_SIZE}: `truncate -s {padded}` pads it with zeros")))
        }
    }
}

fn refuse(path: &Path, reason: String) -> Failure {
    Refusal::Verity { path: path.to_owned(), reason }.into()
}

fn unread(path: &Path) -> String {
    format!("{}: can not be read", path.display())
}
