//! What a board's build script compiles in: linker memory map and Rust constants, from `layout.toml` and `trust.toml`.
//!
//! ```no_run
//! // build.rs of a board
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use twinslot_config::build::Board;
//! let board = Board::read("layout.toml", "../test-keys/trust.toml")?;
//! print!("{}", board.write_to_out_dir()?);
//! # Ok(()) }
//! ```
//!
//! writes `memory.x` and `board.rs` to `OUT_DIR`; `include!(concat!(env!("OUT_DIR"), "/board.rs"))` brings the constants in. The environment variable
//! `TWINSLOT_TRUST` names another trust file. Nothing but these two files and that variable decides what is generated.

mod constants;
mod memory;

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use crate::{Layout, LayoutError, Trust, TrustError};

pub use memory::{MemoryRegion, memory_x};

/// The environment variable that names the trust file to compile in.
pub const TRUST_VARIABLE: &str = "TWINSLOT_TRUST";

/// A board's layout and the trust that is compiled into its loader.
#[derive(Debug, Clone)]
pub struct Board {
    /// The board's map.
    pub layout: Layout,
    /// Whose images it runs.
    pub trust: Trust,
    sources: [PathBuf; 2],
}

/// The lines that tell cargo what a build depends on and where the linker finds `memory.x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instructions(Vec<String>);

impl Board {
    /// Reads both files. `TWINSLOT_TRUST` (relative to the workspace's folder, or absolute) replaces `default_trust`.
    ///
    /// # Errors
    /// One of the files can not be read or used.
    pub fn read(layout: impl AsRef<Path>, default_trust: impl AsRef<Path>) -> Result<Self, BuildError> {
        let trust = env::var_os(TRUST_VARIABLE).map_or_else(|| default_trust.as_ref().to_owned(), |named| in_workspace(Path::new(&named)));
        let layout = layout.as_ref().to_owned();
        Ok(Self { layout: Layout::read(&layout)?, trust: Trust::read(&trust)?, sources: [layout, trust] })
    }

    /// Writes `memory.x` for the loader and `board.rs` to cargo's `OUT_DIR`, and gives what the build script must print.
    ///
    /// # Errors
    /// The layout lacks what a loader needs, or a file can not be written.
    pub fn write_to_out_dir(&self) -> Result<Instructions, BuildError> {
        let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or(BuildError::NotABuildScript)?);
        write(&folder.join("memory.x"), &self.loader_memory_x()?)?;
        write(&folder.join("board.rs"), &self.constants())?;
        let mut lines = vec![format!("cargo::rerun-if-env-changed={TRUST_VARIABLE}"), format!("cargo::rustc-link-search={}", folder.display())];
        lines.extend(self.sources.iter().map(|source| format!("cargo::rerun-if-changed={}", source.display())));
        Ok(Instructions(lines))
    }

    /// The linker's memory map of the loader: its code as `FLASH`, its data and stack as `RAM`.
    ///
    /// # Errors
    /// The loader's code has no address, or no RAM region is for the loader.
    pub fn loader_memory_x(&self) -> Result<String, BuildError> {
        memory::loader_memory_x(&self.layout)
    }

    /// The Rust constants: layout, policy, layout digest and trust anchor.
    #[must_use]
    pub fn constants(&self) -> String {
        constants::constants(&self.layout, &self.trust)
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Build scripts run in their package's folder; a path that a person typed at the workspace's root is meant from there.
fn in_workspace(named: &Path) -> PathBuf {
    let root = env::current_dir().ok().and_then(|folder| folder.ancestors().find(|folder| folder.join("Cargo.lock").exists()).map(Path::to_owned));
    root.map_or_else(|| named.to_owned(), |root| root.join(named))
}

fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    std::fs::write(path, text).map_err(|source| BuildError::Write { path: path.to_owned(), source })
}

/// A board that can not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The layout can not be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The trust file can not be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No build script runs.
    #[error("OUT_DIR is not set: call this from a build script")]
    NotABuildScript,
    /// The loader's code has no address.
    #[error("layout: the loader has no address; give flash.base or loader.base")]
    LoaderAddress,
    /// There is no RAM for the loader.
    #[error("layout: no [[ram]] region has use = \"loader\"; the loader needs one for data and stack")]
    LoaderRam,
    /// A generated file could not be written.
    #[error("{}: can not be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
