//! `cargo xtask setup`: checks that everything the other commands need is here, and installs what is missing.
//!
//! A run that finds everything starts two short programs and changes nothing. As root the Debian packages are installed through apt; otherwise
//! the one command to run is part of the error.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::linux::OPENSBI;
use crate::process;
use crate::workspace::Workspace;

/// The targets that firmware is built for.
const FIRMWARE_TARGETS: [&str; 4] = ["aarch64-unknown-none", "riscv64gc-unknown-none-elf", "thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"];

/// The targets that the agent is built for.
const AGENT_TARGETS: [&str; 2] = ["aarch64-unknown-linux-musl", "riscv64gc-unknown-linux-gnu"];

/// Programs and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 12] = [
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-system-aarch64", "qemu-system-arm"),
    ("dtc", "device-tree-compiler"),
    ("sfdisk", "fdisk"),
    ("mke2fs", "e2fsprogs"),
    ("veritysetup", "cryptsetup-bin"),
    ("xz", "xz-utils"),
    ("clang", "clang"),
    ("openssl", "openssl"),
    ("git", "git"),
    ("time", "time"),
    ("python3", "python3"),
];

/// The emulator of RISC-V, and its package: releases with QEMU 10 have one of its own, those with QEMU 7.2 keep it with rare machines.
const RISCV_EMULATOR: &str = "qemu-system-riscv64";
const RISCV_PACKAGES: [&str; 2] = ["qemu-system-riscv", "qemu-system-misc"];

/// The oldest emulator whose boards behave as the scenarios need.
const OLDEST_EMULATOR: EmulatorVersion = EmulatorVersion { major: 7, minor: 2 };

/// A version of QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EmulatorVersion {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// Checks, installs what is missing, and returns what was done in words.
pub(crate) fn setup(workspace: &Workspace) -> Result<String> {
    let toolchain = Toolchain::pinned(workspace)?;
    let missing = toolchain.missing()?;
    let packages = missing_packages();
    missing.install(&toolchain)?;
    if !packages.is_empty() {
        install_packages(&packages)?;
    }
    let version = emulator_version()?;
    if version < OLDEST_EMULATOR {
        bail!(
            "qemu-system-arm is version {}.{}; at least {}.{} is needed: install it from a newer release or its backports",
            version.major,
            version.minor,
            OLDEST_EMULATOR.major,
            OLDEST_EMULATOR.minor
        );
    }
    Ok(summary(&toolchain, version, &missing, &packages))
}

fn summary(toolchain: &Toolchain, version: EmulatorVersion, missing: &Missing, packages: &[&str]) -> String {
    let installed: Vec<&str> = missing.names().chain(packages.iter().copied()).collect();
    let installed = if installed.is_empty() { "nothing was missing".to_owned() } else { format!("installed {}", installed.join(", ")) };
    format!("setup: ok (rust {}, qemu {}.{}; {installed})", toolchain.channel, version.major, version.minor)
}

/// The version of the installed emulator.
pub(crate) fn emulator_version() -> Result<EmulatorVersion> {
    let output = process::output_of(Command::new("qemu-system-arm").arg("--version"))?;
    let text = String::from_utf8_lossy(&output);
    parse_emulator_version(&text).with_context(|| format!("qemu-system-arm --version does not name a version: {text:?}"))
}

fn parse_emulator_version(text: &str) -> Option<EmulatorVersion> {
    let (_, rest) = text.split_once("version ")?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit());
    Some(EmulatorVersion { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
}

#[derive(Deserialize)]
struct ToolchainFile {
    toolchain: Toolchain,
}

#[derive(Deserialize)]
struct Toolchain {
    channel: String,
    #[serde(default)]
    components: Vec<String>,
}

impl Toolchain {
    fn pinned(workspace: &Workspace) -> Result<Self> {
        let path = workspace.path("rust-toolchain.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("can not read {}", path.display()))?;
        let file: ToolchainFile = toml::from_str(&text).with_context(|| format!("{} does not pin a toolchain", path.display()))?;
        Ok(file.toolchain)
    }

    /// What the pinned toolchain lacks, by a look at its folder.
    fn missing(&self) -> Result<Missing> {
        let sysroot = self.sysroot()?;
        let library = |target: &&str| !sysroot.join("lib/rustlib").join(target).join("lib").is_dir();
        // A component brings the cargo command of its name: clippy -> cargo-clippy, rustfmt -> cargo-fmt.
        let program = |component: &&String| !sysroot.join("bin").join(format!("cargo-{}", component.trim_start_matches("rust"))).is_file();
        let targets = FIRMWARE_TARGETS.into_iter().chain(AGENT_TARGETS).filter(library).collect();
        Ok(Missing { targets, components: self.components.iter().filter(program).cloned().collect() })
    }

    fn sysroot(&self) -> Result<PathBuf> {
        let output = process::output_of(Command::new("rustc").arg(format!("+{}", self.channel)).args(["--print", "sysroot"]));
        let output = output.with_context(|| format!("rustup does not provide the pinned toolchain {}: install rustup", self.channel))?;
        Ok(PathBuf::from(String::from_utf8_lossy(&output).trim()))
    }
}

/// What a toolchain lacks.
struct Missing {
    targets: Vec<&'static str>,
    components: Vec<String>,
}

impl Missing {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().copied().chain(self.components.iter().map(String::as_str))
    }

    fn install(&self, toolchain: &Toolchain) -> Result<()> {
        for (kind, names) in [("target", self.targets.iter().map(|name| (*name).to_owned()).collect()), ("component", self.components.clone())] {
            if !names.is_empty() {
                println!("setup: adding {} to rust {}", names.join(", "), toolchain.channel);
                process::run(Command::new("rustup").args([kind, "add", "--toolchain", &toolchain.channel]).args(names))?;
            }
        }
        Ok(())
    }
}

fn missing_packages() -> Vec<&'static str> {
    let programs = PROGRAMS.iter().filter(|(program, _)| !process::is_installed(program)).map(|(_, package)| *package);
    let riscv = (!process::is_installed(RISCV_EMULATOR)).then(riscv_package);
    let firmware = (!Path::new(OPENSBI).is_file()).then_some("opensbi");
    programs.chain(riscv).chain(firmware).collect()
}

/// The first of the emulator's packages that this release has.
fn riscv_package() -> &'static str {
    let [own, shared] = RISCV_PACKAGES;
    let is_known = process::output_of(Command::new("apt-cache").args(["show", "--no-all-versions", own])).is_ok();
    if is_known { own } else { shared }
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !is_root() {
        bail!("missing: {list}; run: sudo apt-get update && sudo apt-get install --yes --no-install-recommends {list}");
    }
    println!("setup: installing {list}");
    if apt_install(packages).is_err() {
        process::run(Command::new("apt-get").args(["update", "--quiet"]))?;
        apt_install(packages)?;
    }
    Ok(())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    process::output_of(&mut command).map(|_| ())
}

/// The owner of this process, by the owner of its own entry in /proc.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_with_and_without_a_distribution_suffix() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022 Fabrice Bellard";
        assert_eq!(parse_emulator_version(debian), Some(EmulatorVersion { major: 7, minor: 2 }));
        assert_eq!(parse_emulator_version("QEMU emulator version 10.0.2"), Some(EmulatorVersion { major: 10, minor: 0 }));
        assert_eq!(parse_emulator_version("no such thing"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(EmulatorVersion { major: 10, minor: 0 } > OLDEST_EMULATOR);
        assert!(EmulatorVersion { major: 7, minor: 1 } < OLDEST_EMULATOR);
    }
}
