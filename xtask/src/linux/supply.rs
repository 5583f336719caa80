//! Makes what a scenario needs: the loader, packed and signed images, disks. Everything goes through the host tool's own commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use twinslot_config::Layout;

use super::debian::Packages;
use super::disk::{Slot, apply};
use super::initramfs::archive;
use super::table::{Image, Scenario, Signer};
use super::{Board, loader};
use crate::workspace::Workspace;
use crate::{firmware, process};

/// What every image of these scenarios says on its command line, before anything else.
fn command_line(board: Board) -> String {
    format!("console={} quiet panic=-1", board.console())
}

/// Everything that scenarios are made of.
pub(super) struct Supply {
    workspace: Workspace,
    board: Board,
    hosttool: PathBuf,
    folder: PathBuf,
    layout: Layout,
    loader: PathBuf,
    packages: Packages,
}

impl Supply {
    /// Builds the loader and fetches the kernel.
    pub(super) fn gather(workspace: &Workspace, board: Board, hosttool: &Path, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("can not make the folder {}", folder.display()))?;
        let layout = Layout::read(&layout_path(workspace, board)).with_context(|| format!("board {}", board.name()))?;
        let base = layout.loader_address().context("the layout gives the loader no address")?;
        let loader = folder.join("loader.bin");
        std::fs::write(&loader, loader::flat(&std::fs::read(firmware::linux_loader(workspace, board)?)?, base)?)?;
        let packages = Packages::gather(workspace, board)?;
        Ok(Self { workspace: workspace.clone(), board, hosttool: hosttool.to_owned(), folder: folder.to_owned(), layout, loader, packages })
    }

    pub(super) const fn board(&self) -> Board {
        self.board
    }

    pub(super) fn loader(&self) -> &Path {
        &self.loader
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a scenario's disk is.
    pub(super) fn disk_path(&self, scenario: &str) -> PathBuf {
        self.folder.join(format!("{scenario}.img"))
    }

    /// Assembles a scenario's disk and lets things happen to it. `None` for a machine without one.
    pub(super) fn disk(&self, scenario: &Scenario) -> Result<Option<PathBuf>> {
        let Some(disk) = &scenario.disk else { return Ok(None) };
        let path = self.disk_path(scenario.name);
        let mut command = Command::new(&self.hosttool);
        command.args(["assemble", "--gpt", "--layout"]).arg(layout_path(&self.workspace, self.board)).arg("-o").arg(&path);
        for (slot, image) in [(Slot::A, disk.a), (Slot::B, disk.b)] {
            if let Some(image) = image {
                command.arg("--slot").arg(format!("{}={}", slot.name(), self.image(&image)?.display()));
            }
        }
        for slot in disk.confirmed {
            command.args(["--confirmed", slot.name()]);
        }
        if let Some(slot) = disk.trial {
            command.args(["--trial", slot.name()]);
        }
        self.hosttool(&mut command)?;
        scenario.changes.iter().try_for_each(|change| apply(*change, &path, &self.layout))?;
        Ok(Some(path))
    }

    /// The packed and signed image. It is made once.
    fn image(&self, image: &Image) -> Result<PathBuf> {
        let name = format!("{}-{}-{}", image.version, image.userspace.name(), image.signer.name());
        let path = self.folder.join(format!("{name}.slot"));
        let (initrd, line) = (path.with_extension("initrd"), path.with_extension("line"));
        std::fs::write(&initrd, archive(&std::fs::read(self.packages.busybox())?, image.userspace))?;
        std::fs::write(&line, command_line(self.board))?;
        let mut pack = Command::new(&self.hosttool);
        pack.args(["pack", "--product", &self.layout.product, "--version", image.version, "--security-counter", "1", "-o"]).arg(&path);
        for (kind, file) in [("kernel", self.packages.kernel()?), ("initrd", initrd), ("command-line", line)] {
            pack.arg("--part").arg(format!("{kind}={}", file.display()));
        }
        self.hosttool(&mut pack)?;
        let key = self.workspace.path("qemu-boards/test-keys").join(image.signer.key_file());
        self.hosttool(Command::new(&self.hosttool).arg("sign").arg(&path).arg("--key").arg(key))?;
        Ok(path)
    }

    fn hosttool(&self, command: &mut Command) -> Result<()> {
        // The time of packing is part of a header; scenarios are the same every time.
        process::output_of(command.env("SOURCE_DATE_EPOCH", "1700000000")).map(|_| ())
    }
}

fn layout_path(workspace: &Workspace, board: Board) -> PathBuf {
    workspace.path(&format!("qemu-boards/{}/layout.toml", board.name()))
}

impl Signer {
    const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Stranger => "stranger",
        }
    }

    const fn key_file(self) -> &'static str {
        match self {
            Self::Owner => "key-1.key.pem",
            Self::Stranger => "key-3.key.pem",
        }
    }
}
