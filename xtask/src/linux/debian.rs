//! Debian's kernel and busybox for another architecture, from a private apt root: nothing is installed, and nothing outside the target folder changes.
//!
//! Guarantee: apt has verified the archive's signature, and each package has the digest that is pinned here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::board::Board;
use crate::process;
use crate::workspace::Workspace;

const SUITE: &str = "trixie";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A package and exactly which one.
struct Pinned {
    name: &'static str,
    version: &'static str,
    sha256: &'static str,
}

/// What the archive has of the release. Renew both lines of a package when it has gone on.
const ARM64: [Pinned; 2] = [
    Pinned {
        name: "linux-image-6.12.117+deb13-arm64:arm64",
        version: "6.12.117-1",
        sha256: "73805585385c78e048e63fdfba66da36bab724c2cdebd96a3055a8a4f1ae287a",
    },
    Pinned { name: "busybox-static:arm64", version: "1:1.37.0-6+b9", sha256: "c833be48abfa16bc19c4966ec93e289ff1ce5d2f1476cad3a57bd105378cd15c" },
];

/// The same for riscv64, and what the agent is linked with there.
const RISCV64: [Pinned; 4] = [
    Pinned {
        name: "linux-image-6.12.117+deb13-riscv64:riscv64",
        version: "6.12.117-1",
        sha256: "f5d9424b6f6a4518197202effc7e8eeaa90f8d73466c2dba2470f6ea7fb4f55c",
    },
    Pinned { name: "busybox-static:riscv64", version: "1:1.37.0-6+b9", sha256: "4add476d2b185c5b487c285b38d790f0881a7e4a8e2ddde835f917e770eb8633" },
    Pinned { name: "libc6-dev:riscv64", version: "2.41-12+deb13u5", sha256: "2dc323eca5898a6792e6e41779f50d317f0e919da1856c5d9b306142b53fe3e7" },
    Pinned { name: "libgcc-14-dev:riscv64", version: "14.2.0-19", sha256: "d7811e6b1984251d786b2ca938ae7f21fdf9d0d8364f0bd85b1d87bf17e82db5" },
];

const fn pinned_for(board: Board) -> &'static [Pinned] {
    match board {
        Board::Aarch64 => &ARM64,
        Board::Riscv64 => &RISCV64,
    }
}

/// How often the archive's index is asked for. While a mirror renews it, its parts do not fit each other.
const ATTEMPTS: u32 = 4;

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(15);

/// The unpacked packages.
#[derive(Debug, Clone)]
pub(super) struct Packages {
    root: PathBuf,
}

impl Packages {
    /// From the cache, or fetched once.
    pub(super) fn gather(workspace: &Workspace, board: Board) -> Result<Self> {
        let folder = workspace.products("debian")?;
        let root = folder.join(format!("{}-{}", board.architecture(), fingerprint(pinned_for(board))));
        if !root.is_dir() {
            println!("debian: fetching a kernel and busybox for {} (about 100 MB)", board.architecture());
            fetch(board, &folder, &root)?;
        }
        Ok(Self { root })
    }

    /// The folder that all of them are unpacked in.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The kernel's `Image`.
    pub(super) fn kernel(&self) -> Result<PathBuf> {
        let entries = std::fs::read_dir(self.root.join("boot")).context("the kernel's package has no folder boot")?;
        let mut names = entries.filter_map(|entry| Some(entry.ok()?.path()));
        names.find(|path| path.file_name().is_some_and(is_kernel)).context("the package has no kernel")
    }

    /// The module of the watchdog's driver, compressed.
    pub(super) fn watchdog(&self) -> Result<PathBuf> {
        let modules = self.root.join("usr/lib/modules");
        let versions = std::fs::read_dir(&modules).with_context(|| format!("can not read {}", modules.display()))?;
        let mut paths = versions.filter_map(|entry| Some(entry.ok()?.path().join("kernel/drivers/watchdog/i6300esb.ko.xz")));
        paths.find(|path| path.is_file()).context("the kernel's package has no driver i6300esb")
    }

    /// The folder of the kernel's modules.
    pub(super) fn modules(&self) -> PathBuf {
        self.root.join("usr/lib/modules")
    }

    /// A busybox that needs no library.
    pub(super) fn busybox(&self) -> PathBuf {
        self.root.join("usr/bin/busybox")
    }
}

/// A kernel's file is named after its compression by some architectures, and in spite of it by others.
fn is_kernel(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("vmlinuz-") || name.starts_with("vmlinux-")
}

/// Eight digits over all that is pinned.
fn fingerprint(packages: &[Pinned]) -> String {
    let pins: Vec<String> = packages.iter().map(|pinned| format!("{}={} {}", pinned.name, pinned.version, pinned.sha256)).collect();
    Sha256::digest(pins.join("\n")).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn fetch(board: Board, folder: &Path, root: &Path) -> Result<()> {
    ensure!(Path::new(KEYRING).is_file(), "{KEYRING} is missing: install the package debian-archive-keyring");
    let apt = Apt::in_folder(&folder.join(format!("apt-{}", board.architecture())), board.architecture())?;
    apt.update()?;
    let unfinished = tempfile::tempdir_in(folder)?;
    for pinned in pinned_for(board) {
        let package = apt.download(pinned, unfinished.path())?;
        process::output_of(Command::new("dpkg-deb").arg("--extract").arg(package).arg(unfinished.path().join("root")))?;
    }
    std::fs::rename(unfinished.path().join("root"), root).with_context(|| format!("can not write {}", root.display()))
}

/// An apt that knows its own folder only.
struct Apt {
    configuration: PathBuf,
}

impl Apt {
    fn in_folder(folder: &Path, architecture: &str) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial", "state", "etc/apt.conf.d", "etc/preferences.d"] {
            std::fs::create_dir_all(folder.join(name)).with_context(|| format!("can not make folders in {}", folder.display()))?;
        }
        let here = folder.to_str().context("the target folder's path is not UTF-8")?;
        std::fs::write(folder.join("state/status"), "")?;
        std::fs::write(folder.join("sources.list"), format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n"))?;
        let configuration = folder.join("apt.conf");
        std::fs::write(&configuration, settings(here, architecture))?;
        Ok(Self { configuration })
    }

    /// Fetches the archive's index, within a bounded number of attempts.
    fn update(&self) -> Result<()> {
        for attempt in 1..ATTEMPTS {
            match self.update_once() {
                Ok(()) => return Ok(()),
                Err(error) => println!("debian: attempt {attempt} of {ATTEMPTS} to fetch the index of {SUITE}: {error:#}"),
            }
            std::thread::sleep(PAUSE);
        }
        self.update_once().with_context(|| format!("the index of {SUITE} can not be fetched, after {ATTEMPTS} attempts: try again later"))
    }

    /// Without the option apt takes what it could not fetch for a warning.
    fn update_once(&self) -> Result<()> {
        let mut apt = Command::new("apt-get");
        apt.arg("--config-file").arg(&self.configuration).args(["--quiet", "--error-on=any", "update"]);
        process::output_of(&mut apt).map(|_| ())
    }

    /// Fetches one package into a folder of its own, and holds it to its digest.
    fn download(&self, pinned: &Pinned, folder: &Path) -> Result<PathBuf> {
        let Pinned { name, version, sha256 } = pinned;
        let folder = tempfile::tempdir_in(folder)?.keep();
        let wanted = format!("{name}={version}");
        let mut apt = Command::new("apt-get");
        apt.current_dir(&folder).arg("--config-file").arg(&self.configuration).args(["--quiet", "download", &wanted]);
        process::output_of(&mut apt)
            .with_context(|| format!("{SUITE} no longer has {wanted}: renew version and digest in xtask/src/linux/debian.rs"))?;
        let package = std::fs::read_dir(&folder)?.next().context("apt-get download left no file")??.path();
        let digest: String = Sha256::digest(std::fs::read(&package)?).iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(
            digest == *sha256,
            "{wanted} has the digest {digest}, pinned is {sha256}: renew it in xtask/src/linux/debian.rs if the archive is right"
        );
        Ok(package)
    }
}

fn settings(here: &str, architecture: &str) -> String {
    format!(
        "Dir \"{here}\";\nDir::State \"{here}/state\";\nDir::State::Lists \"{here}/lists\";\nDir::State::status \"{here}/state/status\";\n\
         Dir::Cache \"{here}/cache\";\nDir::Etc \"{here}/etc\";\nDir::Etc::SourceList \"{here}/sources.list\";\nDir::Etc::SourceParts \"-\";\n\
         APT::Architecture \"{architecture}\";\nAPT::Architectures {{\"{architecture}\";}};\nAPT::Sandbox::User \"\";\nAcquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
    )
}
