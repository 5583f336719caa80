//! An initramfs: busybox and an init that tells what the loader handed over.
//!
//! Source of the archive's format: Linux, `Documentation/driver-api/early-userspace/buffer-format.rst` ("newc").

/// What init does once it has told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Userspace {
    /// It switches the machine off.
    PowersOff,
    /// It does nothing, for ever.
    Hangs,
    /// It ends, which no kernel survives.
    Exits,
    /// It loads the watchdog's driver, opens the watchdog at once, and does nothing more.
    OpensWatchdog,
    /// It loads the watchdog's driver and does not open the watchdog.
    LoadsWatchdog,
    /// It goes on in a root file system behind dm-verity, and gives the image up when that is broken.
    SwitchesRoot,
    /// It maps that root file system while nothing can be printed, and tells what is mapped.
    MapsUnprinted,
    /// There is no Linux at all: the kernel is the probe (`forge`).
    None,
}

/// The device tree that Linux gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tree {
    /// The machine's.
    Machine,
    /// A part of the image: the machine's tree with another model.
    Signed,
    /// The same with a second node that Linux may take for `/chosen`.
    Ambiguous,
}

impl Tree {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Signed => "signed",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// The driver's module, by its place in the archive.
pub(super) const WATCHDOG_MODULE: &str = "watchdog.ko.xz";

/// Loads it late, when nothing but opening the watchdog is left to do: from then on it does not run until it is opened.
macro_rules! load_watchdog {
    () => {
        "$b mount -t devtmpfs dev /dev\n$b xz -dc /watchdog.ko.xz > /watchdog.ko\n$b insmod /watchdog.ko\n"
    };
}

impl Userspace {
    const fn ending(self) -> &'static str {
        match self {
            Self::PowersOff => "$b echo 'init: done'\n$b stty onlcr\n$b poweroff -f\n",
            Self::Hangs => "$b echo 'init: hangs'\nwhile true; do $b sleep 1000; done\n",
            Self::Exits => "$b echo 'init: exits'\nexit 1\n",
            Self::OpensWatchdog => {
                concat!(
                    load_watchdog!(),
                    "exec 3> /dev/watchdog0\n$b echo 'init: watchdog driver is loaded and opened'\nwhile true; do $b sleep 1000; done\n"
                )
            }
            Self::LoadsWatchdog => concat!(
                load_watchdog!(),
                "$b ls /dev/watchdog0 && $b echo 'init: watchdog driver is loaded and not opened'\n",
                "$b sleep 300\n$b echo 'init: nothing has reset the machine for 300 s'\n$b stty onlcr\n$b poweroff -f\n"
            ),
            Self::SwitchesRoot => SWITCHING_ROOT,
            Self::MapsUnprinted => MAPPING_UNPRINTED,
            Self::None => "",
        }
    }

    /// Whether it needs the watchdog's driver.
    pub(super) const fn has_watchdog_driver(self) -> bool {
        matches!(self, Self::OpensWatchdog | Self::LoadsWatchdog)
    }

    /// Whether it has the agent and a root file system to map.
    pub(super) const fn has_agent(self) -> bool {
        matches!(self, Self::SwitchesRoot | Self::MapsUnprinted)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PowersOff => "powers-off",
            Self::Hangs => "hangs",
            Self::Exits => "exits",
            Self::OpensWatchdog => "opens-watchdog",
            Self::LoadsWatchdog => "loads-watchdog",
            Self::SwitchesRoot => "switches-root",
            Self::MapsUnprinted => "maps-unprinted",
            Self::None => "none",
        }
    }
}

/// Texts as they are, everything else in hexadecimal.
///
/// `stty` stands in front of each way down: it waits until the console has sent everything, which `reboot -f` and `poweroff -f` do not. Lines were lost
/// now and then.
const TELLING: &str = "#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b echo \"init: cmdline $($b cat /proc/cmdline)\"
$b echo \"init: model $($b tr -d '\\0' < /proc/device-tree/model)\"
for p in /proc/device-tree/chosen/twinslot,*; do
    case ${p##*,} in
        slot|phase|why|verdict-a|verdict-b|verdict-?-reason|last-revert-slot|last-revert-reason|reset-cause) value=$($b tr -d '\\0' < $p) ;;
        *) value=$($b od -An -v -tx1 $p | $b tr -d ' \\n') ;;
    esac
    $b echo \"init: ${p##*/}=$value\"
done
for p in /proc/device-tree/chosen/*; do
    case ${p##*/} in
        twinslot,*) ;;
        *) $b echo \"init: chosen ${p##*/}\" ;;
    esac
done
";

/// Reads every block before it goes on, so that a broken one is known while the image can still be given up. A trial is reverted, a confirmed system
/// condemned; when the verifier refuses that, there is nothing better than this system, and it stays.
const SWITCHING_ROOT: &str = "agent=/bin/twinslot-agent
host='--layout /etc/twinslot/layout.toml --storage /dev/vda'
give_up() {
    $b echo \"init: root file system is broken: $1\"
    case $($b tr -d '\\0' < /proc/device-tree/chosen/twinslot,phase) in
        trial) verdict=revert ;;
        *) verdict=condemn ;;
    esac
    if $agent $verdict $host --trust /etc/twinslot/trust.toml; then
        $b echo \"init: gave up: $verdict\"
        $b stty onlcr
        $b reboot -f
    fi
    $b echo \"init: stays, no $verdict\"
    $agent status $host
    $b stty onlcr
    $b poweroff -f
}
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod $module || $b echo \"init: $module can not be loaded\"; done
root=$($agent map-root $host) || give_up 'it can not be mapped'
$b echo \"init: mapped $root\"
$b cat $root > /dev/null || give_up 'it can not be read'
$b mount -t ext4 -o ro $root /new || give_up 'it can not be mounted'
$b mount -o move /dev /new/dev
$b umount /proc
$b umount /sys
exec $b switch_root /new /sbin/init
";

/// `/dev/full` is a disk without room.
const MAPPING_UNPRINTED: &str = "$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod $module || $b echo \"init: $module can not be loaded\"; done
/bin/twinslot-agent map-root --layout /etc/twinslot/layout.toml --storage /dev/vda > /dev/full
$b echo \"init: map-root ends with $?\"
$b echo \"init: mapped $($b cat /sys/block/dm-1/dm/name)\"
$b stty onlcr
$b poweroff -f
";

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// A file in the archive.
pub(super) struct Content {
    path: String,
    mode: u32,
    bytes: Vec<u8>,
}

impl Content {
    pub(super) fn file(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), mode: FILE, bytes }
    }

    pub(super) fn program(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), mode: PROGRAM, bytes }
    }
}

/// The archive: busybox, init, and what that needs.
pub(super) fn archive(busybox: &[u8], userspace: Userspace, contents: &[Content]) -> Vec<u8> {
    archive_of(busybox, &format!("{TELLING}{}", userspace.ending()), contents)
}

/// The same with this init.
pub(super) fn archive_of(busybox: &[u8], init: &str, contents: &[Content]) -> Vec<u8> {
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "etc", "etc/twinslot", "modules", "new", "proc", "sys"] {
        archive.add(directory, DIRECTORY, &[]);
    }
    archive.add("bin/busybox", PROGRAM, busybox);
    archive.add("init", PROGRAM, init.as_bytes());
    for content in contents {
        archive.add(&content.path, content.mode, &content.bytes);
    }
    archive.finish()
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // Magic, then: inode, mode, owner, group, links, time, size, device (4), size of the name, checksum.
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(content);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}
