//! Debian's kernel and busybox for another architecture, from a private apt root: nothing is installed, and nothing outside the target folder changes.
//!
//! Guarantee: apt has verified the archive's signature, and each package has the digest that is pinned here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

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
const PACKAGES: [Pinned; 2] = [
    Pinned {
        name: "linux-image-6.12.117+deb13-arm64:arm64",
        version: "6.12.117-1",
        sha256: "73805585385c78e048e63fdfba66da36bab724c2cdebd96a3055a8a4f1ae287a",
    },
    Pinned { name: "busybox-static:arm64", version: "1:1.37.0-6+b9", sha256: "c833be48abfa16bc19c4966ec93e289ff1ce5d2f1476cad3a57bd105378cd15c" },
];

/// The unpacked packages.
#[derive(Debug, Clone)]
pub(super) struct Packages {
    root: PathBuf,
}

impl Packages {
    /// From the cache, or fetched once.
    pub(super) fn gather(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.products("debian")?;
        let root = folder.join(format!("arm64-{}", fingerprint()));
        if !root.is_dir() {
            println!("debian: fetching a kernel and busybox for arm64 (about 95 MB)");
            fetch(&folder, &root)?;
        }
        Ok(Self { root })
    }

    /// The kernel's `Image`.
    pub(super) fn kernel(&self) -> Result<PathBuf> {
        let entries = std::fs::read_dir(self.root.join("boot")).context("the kernel's package has no folder boot")?;
        let mut names = entries.filter_map(|entry| Some(entry.ok()?.path()));
        names.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))).context("the package has no kernel")
    }

    /// A busybox that needs no library.
    pub(super) fn busybox(&self) -> PathBuf {
        self.root.join("usr/bin/busybox")
    }
}

/// Eight digits over all that is pinned.
fn fingerprint() -> String {
    let pins: Vec<String> = PACKAGES.iter().map(|pinned| format!("{}={} {}", pinned.name, pinned.version, pinned.sha256)).collect();
    Sha256::digest(pins.join("\n")).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn fetch(folder: &Path, root: &Path) -> Result<()> {
    ensure!(Path::new(KEYRING).is_file(), "{KEYRING} is missing: install the package debian-archive-keyring");
    let apt = Apt::in_folder(&folder.join("apt"))?;
    apt.run("update", &[])?;
    let unfinished = tempfile::tempdir_in(folder)?;
    for pinned in &PACKAGES {
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
    fn in_folder(folder: &Path) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial", "state", "etc/preferences.d"] {
            std::fs::create_dir_all(folder.join(name)).with_context(|| format!("can not make folders in {}", folder.display()))?;
        }
        let here = folder.to_str().context("the target folder's path is not UTF-8")?;
        std::fs::write(folder.join("state/status"), "")?;
        std::fs::write(folder.join("sources.list"), format!("deb [signed-by={KEYRING}] http://deb.debian.org/debian {SUITE} main\n"))?;
        let configuration = folder.join("apt.conf");
        std::fs::write(&configuration, settings(here))?;
        Ok(Self { configuration })
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Result<()> {
        let mut apt = Command::new("apt-get");
        apt.arg("--config-file").arg(&self.configuration).arg("--quiet").arg(command).args(arguments);
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

fn settings(here: &str) -> String {
    format!(
        "Dir \"{here}\";\nDir::State \"{here}/state\";\nDir::State::Lists \"{here}/lists\";\nDir::State::status \"{here}/state/status\";\n\
         Dir::Cache \"{here}/cache\";\nDir::Etc \"{here}/etc\";\nDir::Etc::SourceList \"{here}/sources.list\";\nDir::Etc::SourceParts \"-\";\n\
         APT::Architecture \"arm64\";\nAPT::Architectures {{\"arm64\";}};\nAPT::Sandbox::User \"\";\nAcquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
    )
}
