//! Makes what a scenario needs: the loader, packed and signed images, disks. Everything goes through the host tool's own commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result};
use twinslot_config::Layout;

use super::debian::Packages;
use super::disk::{self, Slot, apply};
use super::forge;
use super::initramfs::{Content, Tree, Userspace, WATCHDOG_MODULE, archive};
use super::machine;
use super::table::{Between, Image, Scenario, Signer, scenarios};
use super::{Board, loader, root};
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
    /// Fetched when the first image with Linux is made.
    packages: OnceLock<Packages>,
    /// Images that were made already.
    made: Mutex<BTreeSet<PathBuf>>,
}

impl Supply {
    /// Builds the loader.
    pub(super) fn gather(workspace: &Workspace, board: Board, hosttool: &Path, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("can not make the folder {}", folder.display()))?;
        let layout = layout(workspace, board)?;
        let base = layout.loader_address().context("the layout gives the loader no address")?;
        let loader = folder.join("loader.bin");
        std::fs::write(&loader, loader::flat(&std::fs::read(firmware::linux_loader(workspace, board)?)?, base)?)?;
        Ok(Self {
            workspace: workspace.clone(),
            board,
            hosttool: hosttool.to_owned(),
            folder: folder.to_owned(),
            layout,
            loader,
            packages: OnceLock::new(),
            made: Mutex::default(),
        })
    }

    /// Debian's packages for the board.
    pub(super) fn packages(&self) -> Result<&Packages> {
        if self.packages.get().is_none() {
            let _ = self.packages.set(Packages::gather(&self.workspace, self.board)?);
        }
        self.packages.get().context("the packages were not fetched")
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

    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What a boot of the image in slot A has to read at least: a header, its parts that are checked at boot, and the journal.
    pub(super) fn bytes_to_read(&self, disk: &Path) -> Result<u64> {
        Ok(disk::least_to_read(disk, Slot::A.start(&self.layout))? + self.layout.journal.size)
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
        scenario.changes.iter().try_for_each(|change| apply(*change, &path, &self.layout, &self.key(Signer::Owner)))?;
        Ok(Some(path))
    }

    /// Lets happen what happens to a disk between two power-ons.
    pub(super) fn between(&self, between: Between, disk: &Path) -> Result<()> {
        let Between::Confirm(slot) = between else { return Ok(()) };
        let mut command = Command::new(&self.hosttool);
        command.args(["journal", "confirm", "--slot", slot.name(), "--layout"]).arg(layout_path(&self.workspace, self.board));
        self.hosttool(command.arg("--trust").arg(self.workspace.path("qemu-boards/test-keys/trust.toml")).arg(disk))
    }

    /// The packed and signed image. It is made once.
    fn image(&self, image: &Image) -> Result<PathBuf> {
        let name = [image.version, image.userspace.name(), image.signer.name(), image.tree.name()].join("-");
        let path = self.folder.join(format!("{name}.slot"));
        if !self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone()) {
            return Ok(path);
        }
        let mut pack = Command::new(&self.hosttool);
        pack.args(["pack", "--product", &self.layout.product, "--version", image.version, "--security-counter", "1", "-o"]).arg(&path);
        if image.userspace.has_agent() {
            pack.arg("--verity");
        }
        for (kind, file) in self.parts(image, &path)? {
            pack.arg("--part").arg(format!("{kind}={}", file.display()));
        }
        self.hosttool(&mut pack)?;
        self.hosttool(Command::new(&self.hosttool).arg("sign").arg(&path).arg("--key").arg(self.key(image.signer)))?;
        Ok(path)
    }

    /// The files of an image's parts, beside the image.
    fn parts(&self, image: &Image, path: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
        let (initrd, line) = (path.with_extension("initrd"), path.with_extension("line"));
        // Without times, so that lines of the kernel about broken blocks begin with what they say.
        let more = if image.userspace.has_agent() { " printk.time=0" } else { "" };
        std::fs::write(&line, command_line(self.board) + more)?;
        let mut parts = if image.userspace == Userspace::None {
            let kernel = path.with_extension("kernel");
            std::fs::write(&kernel, forge::probe(self.board))?;
            std::fs::write(&initrd, forge::initrd())?;
            vec![("kernel", kernel)]
        } else {
            let contents = self.contents(image.userspace)?;
            std::fs::write(&initrd, archive(&std::fs::read(self.packages()?.busybox())?, image.userspace, &contents))?;
            vec![("kernel", self.packages()?.kernel()?)]
        };
        parts.extend([("initrd", initrd), ("command-line", line)]);
        match image.tree {
            Tree::Machine => {}
            Tree::Signed => parts.push(("device-tree", self.signed_tree()?)),
            Tree::Ambiguous => parts.push(("device-tree", self.ambiguous_tree()?)),
        }
        if image.userspace.has_agent() {
            parts.push(("rootfs", root::file_system(&self.folder, &self.packages()?.busybox())?));
        }
        Ok(parts)
    }

    /// What an initramfs has beside busybox and init.
    fn contents(&self, userspace: Userspace) -> Result<Vec<Content>> {
        if userspace.has_watchdog_driver() {
            return Ok(vec![Content::file(WATCHDOG_MODULE, std::fs::read(self.packages()?.watchdog()?)?)]);
        }
        if userspace.has_agent() {
            return root::initramfs_content(&self.workspace, self.board, &self.packages()?.modules(), &layout_path(&self.workspace, self.board));
        }
        Ok(Vec::new())
    }

    /// The machine's own tree with another model, in as few bytes as it needs, and with what would have Linux do without its memory.
    pub(super) fn signed_tree(&self) -> Result<PathBuf> {
        let (machine, small) = (self.folder.join("machine.dtb"), self.folder.join("signed.dtb"));
        process::output_of(&mut machine::dump_tree(self.board, &self.loader, &machine))?;
        process::output_of(Command::new("dtc").args(["-q", "-I", "dtb", "-O", "dtb", "-o"]).arg(&small).arg(&machine))?;
        process::output_of(Command::new("fdtput").args(["-t", "s"]).arg(&small).args(["/", "model", "a signed device tree"]))?;
        let page = ["0", "0", "0", "1000"];
        process::output_of(Command::new("fdtput").args(["-t", "x"]).arg(&small).args(["/chosen", "linux,usable-memory-range"]).args(page))?;
        Ok(small)
    }

    /// The same with a second node that Linux may take for `/chosen`.
    fn ambiguous_tree(&self) -> Result<PathBuf> {
        let tree = self.folder.join("ambiguous.dtb");
        std::fs::copy(self.signed_tree()?, &tree).with_context(|| format!("can not write {}", tree.display()))?;
        process::output_of(Command::new("fdtput").arg("-c").arg(&tree).arg("/chosen@0"))?;
        Ok(tree)
    }

    /// A disk with an image without Linux in both slots, both confirmed.
    pub(super) fn probe_disk(&self) -> Result<PathBuf> {
        let scenario = scenarios().into_iter().find(|scenario| scenario.name == "named-disk-among-others").context("the scenario of a good disk")?;
        self.disk(&scenario)?.context("the scenario has a disk")
    }

    /// Packs an image of these parts and signs it with a key that the loader trusts.
    pub(super) fn pack(&self, version: &str, parts: &[(&str, Vec<u8>)]) -> Result<PathBuf> {
        let path = self.folder.join(format!("{version}.slot"));
        let mut pack = Command::new(&self.hosttool);
        pack.args(["pack", "--product", &self.layout.product, "--version", version, "--security-counter", "1", "-o"]).arg(&path);
        for (kind, content) in parts {
            let file = path.with_extension(kind);
            std::fs::write(&file, content)?;
            pack.arg("--part").arg(format!("{kind}={}", file.display()));
        }
        self.hosttool(&mut pack)?;
        self.hosttool(Command::new(&self.hosttool).arg("sign").arg(&path).arg("--key").arg(self.owners_key()))?;
        Ok(path)
    }

    /// The bundle of an image.
    pub(super) fn bundle(&self, image: &Path) -> Result<PathBuf> {
        let path = image.with_extension("bundle");
        self.hosttool(Command::new(&self.hosttool).arg("bundle").arg(image).arg("-o").arg(&path))?;
        Ok(path)
    }

    /// A disk with these images and this boot state (options of `hosttool assemble`).
    pub(super) fn assemble(&self, path: &Path, [a, b]: [&Path; 2], state: &[&str]) -> Result<()> {
        let mut command = Command::new(&self.hosttool);
        command.args(["assemble", "--gpt", "--layout"]).arg(self.layout_path()).args(state).arg("-o").arg(path);
        self.hosttool(command.arg("--slot").arg(format!("a={}", a.display())).arg("--slot").arg(format!("b={}", b.display())))
    }

    /// What the host tool says that the next boot of a disk will do, as JSON.
    pub(super) fn explain(&self, disk: &Path) -> Result<Vec<u8>> {
        let mut command = Command::new(&self.hosttool);
        command.args(["--json", "explain"]).arg(disk).arg("--layout").arg(self.layout_path());
        process::output_of(command.arg("--trust").arg(self.workspace.path("qemu-boards/test-keys/trust.toml")))
    }

    /// The board's layout file.
    pub(super) fn layout_path(&self) -> PathBuf {
        layout_path(&self.workspace, self.board)
    }

    /// The file of a key that the loader trusts.
    pub(super) fn owners_key(&self) -> PathBuf {
        self.key(Signer::Owner)
    }

    fn key(&self, signer: Signer) -> PathBuf {
        self.workspace.path("qemu-boards/test-keys").join(signer.key_file())
    }

    fn hosttool(&self, command: &mut Command) -> Result<()> {
        // The time of packing is part of a header; scenarios are the same every time.
        process::output_of(command.env("SOURCE_DATE_EPOCH", "1700000000")).map(|_| ())
    }
}

/// The board's layout.
pub(super) fn layout(workspace: &Workspace, board: Board) -> Result<Layout> {
    Layout::read(&layout_path(workspace, board)).with_context(|| format!("board {}", board.name()))
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
