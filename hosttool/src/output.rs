//! Files that appear whole or not at all: written beside their place, made durable, then renamed.

use std::{
    fs::{File, Permissions},
    io::Write,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use tempfile::NamedTempFile;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever the user's umask allows.
    Everybody,
    /// The owner only.
    Owner,
}

/// A file that is not there yet.
#[derive(Debug)]
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Starts a file that will be at `path`.
    ///
    /// # Errors
    /// The folder can not be written, or something that is no regular file is at the path: a device must not become a file.
    pub fn create(path: &Path, access: Access) -> Result<Self> {
        let is_replaceable = path.metadata().map_or(true, |there| there.is_file());
        ensure!(is_replaceable, "{}: is not a regular file and is not replaced: choose another output", path.display());
        let mode = match access {
            Access::Everybody => 0o666,
            Access::Owner => 0o600,
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".hosttool-").permissions(Permissions::from_mode(mode));
        let folder = folder_of(path);
        let refused = |error: std::io::Error| anyhow!("{}: can not be created in {}: {}", path.display(), folder.display(), error.kind());
        let file = builder.tempfile_in(folder).map_err(refused)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Makes the content durable and puts the file in its place, instead of what was there.
    ///
    /// # Errors
    /// The medium is full or failed. What was at the path before is still there.
    pub fn finish(self) -> Result<()> {
        let Self { file, path } = self;
        file.as_file().sync_all().with_context(|| unwritten(&path))?;
        file.persist(&path).map_err(|error| error.error).with_context(|| unwritten(&path))?;
        sync_folder(&path)
    }

    /// As [`NewFile::finish`], but never replaces anything.
    ///
    /// # Errors
    /// Something is at the path already, or the medium is full or failed.
    pub fn finish_new(self) -> Result<()> {
        let Self { file, path } = self;
        file.as_file().sync_all().with_context(|| unwritten(&path))?;
        file.persist_noclobber(&path).map_err(|error| error.error).with_context(|| unwritten(&path))?;
        sync_folder(&path)
    }
}

/// Refuses an output that is one of the inputs: it would be replaced by what was made of it.
///
/// # Errors
/// Names the file.
pub fn ensure_apart<'a>(output: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    let identity = |path: &Path| path.metadata().map(|there| (there.dev(), there.ino())).ok();
    let Some(there) = identity(output) else {
        return Ok(());
    };
    for input in inputs {
        ensure!(identity(input) != Some(there), "{}: is an input and is not replaced: choose another output", output.display());
    }
    Ok(())
}

/// Writes a small file whole or not at all.
///
/// # Errors
/// The folder can not be written, or the medium is full or failed.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = NewFile::create(path, Access::Everybody)?;
    new.file().write_all(bytes).with_context(|| unwritten(path))?;
    new.finish()
}

/// Writes a small file whole or not at all, and never over another one.
///
/// # Errors
/// Something is at the path already, the folder can not be written, or the medium is full or failed.
pub fn write_new(path: &Path, bytes: &[u8], access: Access) -> Result<()> {
    let new = NewFile::create(path, access)?;
    new.file().write_all(bytes).with_context(|| unwritten(path))?;
    new.finish_new()
}

fn unwritten(path: &Path) -> String {
    format!("{}: can not be written", path.display())
}

/// The rename itself must survive a power cut.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = folder_of(path);
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("{}: can not be made durable", folder.display()))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
