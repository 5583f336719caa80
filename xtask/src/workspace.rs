//! Where things are: the checkout and the folder that builds go to.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The checkout that this binary was built from, and its target folder.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds both from what cargo tells a running binary.
    pub(crate) fn discover() -> Result<Self> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().context("xtask's folder has no parent; run it as `cargo xtask` inside the checkout")?.to_owned();
        let program = std::env::current_exe().context("can not tell where xtask itself was built")?;
        let target = program.ancestors().nth(2).context("xtask was not built into a target folder; run it as `cargo xtask`")?.to_owned();
        Ok(Self { root, target })
    }

    /// Another checkout, and its target folder.
    #[expect(clippy::unused_self, reason = "only whoever has a workspace may name another")]
    pub(crate) const fn at(&self, root: PathBuf, target: PathBuf) -> Self {
        Self { root, target }
    }

    /// The top folder of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path inside the checkout.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The target folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A folder for xtask's own products under the target folder; made when missing.
    pub(crate) fn products(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("xtask").join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("can not make the folder {}", folder.display()))?;
        Ok(folder)
    }
}
