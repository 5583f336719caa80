//! The emulated boards: what cargo, QEMU and the scenarios need to know of each.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use twinslot_config::Layout;

use crate::workspace::Workspace;

/// One of the emulated microcontroller boards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Board {
    /// MPS2 with a Cortex-M4; it has a golden image.
    An386,
    /// MPS2 with a Cortex-M33; without golden image it halts in recovery.
    An505,
}

impl Board {
    pub(crate) const ALL: [Self; 2] = [Self::An386, Self::An505];

    /// The name of the loader's package, of its folder and of QEMU's machine.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::An386 => "mps2-an386",
            Self::An505 => "mps2-an505",
        }
    }

    /// The board of that name, or an error that lists the names.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let names: Vec<&str> = Self::ALL.iter().map(|board| board.name()).collect();
        let found = Self::ALL.into_iter().find(|board| board.name() == name);
        found.with_context(|| format!("there is no board {name}; the boards are {}", names.join(", ")))
    }

    /// The target that its firmware is built for.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::An386 => "thumbv7em-none-eabihf",
            Self::An505 => "thumbv8m.main-none-eabihf",
        }
    }

    pub(crate) fn layout_path(self, workspace: &Workspace) -> PathBuf {
        workspace.path(&format!("qemu-boards/{}/layout.toml", self.name()))
    }

    /// Its layout, through the one parser.
    pub(crate) fn layout(self, workspace: &Workspace) -> Result<Layout> {
        let path = self.layout_path(workspace);
        Layout::read(&path).with_context(|| format!("board {}", self.name()))
    }
}

/// The bytes of the file that the emulator takes for the board's flash.
pub(crate) const FLASH_FILE_SIZE: u64 = 16 * 1024 * 1024;
