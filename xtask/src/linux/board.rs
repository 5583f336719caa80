//! The boards that boot Linux, and what differs between them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// A board that boots Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Board {
    Aarch64,
    Riscv64,
}

/// The firmware in machine mode that starts the riscv64 loader, from Debian's package opensbi.
pub(crate) const OPENSBI: &str = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";

/// How a line begins that a board without a watchdog never shows.
const ARMED: &str = "twinslot: watchdog armed";

impl Board {
    pub(crate) const ALL: [Self; 2] = [Self::Aarch64, Self::Riscv64];

    /// The board of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|board| board.name() == name)
    }

    /// The name of the loader's package, of its folder and of the board.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "virt-aarch64",
            Self::Riscv64 => "virt-riscv64",
        }
    }

    /// The target that its loader is built for.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-none",
            Self::Riscv64 => "riscv64gc-unknown-none-elf",
        }
    }

    /// The target that the agent is built for, one static program.
    pub(super) const fn agent_target(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-linux-musl",
            Self::Riscv64 => "riscv64gc-unknown-linux-gnu",
        }
    }

    /// Debian's name of the architecture.
    pub(super) const fn architecture(self) -> &'static str {
        match self {
            Self::Aarch64 => "arm64",
            Self::Riscv64 => "riscv64",
        }
    }

    /// Linux's name of the console.
    pub(super) const fn console(self) -> &'static str {
        match self {
            Self::Aarch64 => "ttyAMA0",
            Self::Riscv64 => "ttyS0",
        }
    }

    /// Whether the emulator stays when the machine switches itself off. QEMU 7.2 ends at once with the device that OpenSBI asks for it.
    pub(super) const fn stays_after_power_off(self) -> bool {
        matches!(self, Self::Aarch64)
    }

    /// Why nothing resets this machine when it hangs; `None` where a watchdog does.
    pub(super) const fn lacks_watchdog(self) -> Option<&'static str> {
        match self {
            Self::Aarch64 => None,
            Self::Riscv64 => Some("Debian's riscv64 kernels have no watchdog driver, so the board has none and says TrialsMayHang"),
        }
    }

    /// The one that kernels for this board are not for.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Aarch64 => Self::Riscv64,
            Self::Riscv64 => Self::Aarch64,
        }
    }

    /// Where RAM begins. Sources: QEMU, `hw/arm/virt.c` and `hw/riscv/virt.c`.
    pub(super) const fn ram(self) -> u64 {
        match self {
            Self::Aarch64 => 0x4000_0000,
            Self::Riscv64 => 0x8000_0000,
        }
    }

    /// MiB of RAM with which the emulator can not load OpenSBI and the loader; with one more it can.
    pub(super) const fn least_memory(self) -> u32 {
        match self {
            Self::Aarch64 => 0,
            Self::Riscv64 => 4,
        }
    }

    /// Where the device tree of a machine with 512 MiB lies: at the beginning of RAM, or in the last 2 MiB. Sources: QEMU, `hw/arm/virt.c` and
    /// `hw/riscv/boot.c`.
    pub(super) const fn machine_tree(self) -> u64 {
        match self {
            Self::Aarch64 => self.ram(),
            Self::Riscv64 => 0x9fe0_0000,
        }
    }

    /// A line of the table as this board must show it; `None` when it never does.
    pub(super) fn shows(self, line: &str) -> Option<String> {
        if self.lacks_watchdog().is_some() && line.starts_with(ARMED) {
            return None;
        }
        // RAM for images ends before the one tree, and goes around the other.
        let (hash, over_tree) = match self {
            Self::Aarch64 => ("instructions", "code=41 RangeOutsideRam"),
            Self::Riscv64 => ("software", "code=40 RangeConflict"),
        };
        let words = [("{board}", self.name()), ("{console}", self.console()), ("{hash}", hash), ("{over-tree}", over_tree)];
        Some(words.iter().fold(line.to_owned(), |line, (place, word)| line.replace(place, word)))
    }

    pub(super) const fn emulator(self) -> &'static str {
        match self {
            Self::Aarch64 => "qemu-system-aarch64",
            Self::Riscv64 => "qemu-system-riscv64",
        }
    }

    /// Guest time per instruction is 2^2 ns: watchdogs follow the instructions, not the load of this machine.
    ///
    /// Idle time passes at once where that is safe. On riscv64 it is not: the interrupt controller's timer stands at the end of time while the machine
    /// is reset, and with `sleep=off` QEMU 7.2 went no further behind a reset in about every second run of `trial-panics`.
    pub(super) const fn clock(self) -> &'static str {
        match self {
            Self::Aarch64 => "shift=2,sleep=off",
            Self::Riscv64 => "shift=2,sleep=on",
        }
    }

    /// The machine, its processor, and what starts at reset.
    pub(super) fn describe(self, command: &mut Command, loader: &Path) {
        let (processor, start): (&[&str], [&OsStr; 2]) = match self {
            Self::Aarch64 => (&["-cpu", "cortex-a53", "-device", "i6300esb"], ["-bios".as_ref(), loader.as_ref()]),
            Self::Riscv64 => (&["-cpu", "rv64", "-bios", OPENSBI], ["-kernel".as_ref(), loader.as_ref()]),
        };
        command.args(["-M", "virt"]).args(processor).args(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_names_the_board_its_console_and_how_it_hashes() {
        let line = "{board} console={console} sha-256 by {hash}, {over-tree}";
        let aarch64 = "virt-aarch64 console=ttyAMA0 sha-256 by instructions, code=41 RangeOutsideRam";
        assert_eq!(Board::Aarch64.shows(line).as_deref(), Some(aarch64));
        assert_eq!(Board::Riscv64.shows(line).as_deref(), Some("virt-riscv64 console=ttyS0 sha-256 by software, code=40 RangeConflict"));
    }

    #[test]
    fn only_a_board_with_a_watchdog_arms_one() {
        assert_eq!(Board::Aarch64.shows("twinslot: watchdog armed").as_deref(), Some("twinslot: watchdog armed"));
        assert_eq!(Board::Riscv64.shows("twinslot: watchdog armed"), None);
        assert_eq!(Board::Riscv64.shows("twinslot: boot slot=b").as_deref(), Some("twinslot: boot slot=b"));
    }
}
