//! A root file system and what an initramfs needs to reach it through dm-verity.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::agent::agent;
use super::board::Board;
use super::initramfs::Content;
use super::modules::modules;
use crate::process;
use crate::workspace::Workspace;

/// The disk, the device mapper with its two targets, and the file system with the checksum that it asks for.
const MODULES: [&str; 5] = ["virtio_mmio", "virtio_blk", "dm-verity", "crc32c_generic", "ext4"];

/// What runs in the root file system.
const INIT: &str = "#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
root=$($b grep ' / ' /proc/mounts | $b tail -n 1)
$b echo \"root: mounted $root\"
$b echo \"root: device $($b cat /sys/block/dm-1/dm/name) read-only $($b cat /sys/block/dm-1/ro)\"
$b echo \"root: part on $($b ls /sys/block/dm-0/slaves)\"
$b echo 'root: done'
$b stty onlcr
$b poweroff -f
";

/// Everything fixed about the file system, so that it is the same every time.
const IDENTITY: &str = "5e7a9c10-3c5e-4b7e-9a55-7f1e0d2c4b6a";

/// Bytes of it, the hash tree not included.
pub(super) const SIZE: u64 = 4 * 1024 * 1024;

/// Makes the image of an ext4 with busybox in it, below `folder`.
pub(super) fn file_system(folder: &Path, busybox: &Path) -> Result<PathBuf> {
    let tree = tempfile::tempdir_in(folder)?;
    for name in ["bin", "dev", "proc", "sbin", "sys"] {
        std::fs::create_dir(tree.path().join(name))?;
    }
    std::fs::copy(busybox, tree.path().join("bin/busybox")).context("can not copy busybox")?;
    let init = tree.path().join("sbin/init");
    std::fs::write(&init, INIT)?;
    std::fs::set_permissions(&init, std::fs::Permissions::from_mode(0o755))?;
    let image = folder.join("root.ext4");
    let _ = std::fs::remove_file(&image);
    let mut command = Command::new(process::installed("mke2fs").context("mke2fs is missing; run `cargo xtask setup`")?);
    command.args(["-q", "-t", "ext4", "-b", "4096", "-O", "^has_journal", "-U", IDENTITY]);
    command.args(["-E", &format!("root_owner=0:0,hash_seed={IDENTITY}"), "-d"]).arg(tree.path()).arg(&image).arg(format!("{}k", SIZE / 1024));
    process::output_of(command.env("E2FSPROGS_FAKE_TIME", "1700000000"))?;
    Ok(image)
}

/// What the initramfs has beside busybox and init: modules, the agent, and the files that it reads.
pub(super) fn initramfs_content(workspace: &Workspace, board: Board, module_folder: &Path, layout: &Path) -> Result<Vec<Content>> {
    let mut contents = module_content(module_folder, &MODULES)?;
    contents.extend(agent_content(workspace, board, layout)?);
    Ok(contents)
}

/// Modules by their names, in the order in which they load.
pub(super) fn module_content(module_folder: &Path, names: &[&str]) -> Result<Vec<Content>> {
    let numbered = modules(module_folder, names)?.into_iter().enumerate();
    Ok(numbered.map(|(index, module)| Content::file(&format!("modules/{index:02}-{}.ko", module.name), module.bytes)).collect())
}

/// The agent of a checkout, and the files that it reads.
pub(super) fn agent_content(workspace: &Workspace, board: Board, layout: &Path) -> Result<[Content; 3]> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("can not read {}", path.display()));
    Ok([
        Content::program("bin/twinslot-agent", read(&agent(workspace, board)?)?),
        Content::file("etc/twinslot/layout.toml", read(layout)?),
        Content::file("etc/twinslot/trust.toml", read(&workspace.path("qemu-boards/test-keys/trust.toml"))?),
    ])
}
