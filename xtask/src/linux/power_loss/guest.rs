//! Linux does it: Debian's kernel, the agent as its one static program, and every disk behind a log of its writes.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use twinslot_bootloader::handoff::{HANDOFF_SIZE, Handoff};

use super::scene::{Scene, Stage, Verb};
use crate::linux::initramfs::{Content, archive_of};
use crate::linux::root::{agent_content, module_content};
use crate::qemu::{Emulator, Seen, watch, watch_console, with_path_then};
use crate::workspace::Workspace;

/// What the run is bounded by. It takes some seconds.
const LIMIT: Duration = Duration::from_secs(600);

const MODULES: [&str; 2] = ["virtio_mmio", "virtio_blk"];

/// Each disk has its scene's name for a serial number. A disk without a cache would have nothing to lose, so that is told too.
const INIT: &str = "#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod $module || $b echo \"init: $module can not be loaded\"; done
for disk in /sys/block/vd*; do
    scene=$($b cat $disk/serial)
    . /etc/twinslot/$scene.sh
    [ -z \"$request\" ] || $b echo $request > $disk/queue/max_sectors_kb
    $b echo \"init: $scene: $($b cat $disk/queue/write_cache), requests of $($b cat $disk/queue/max_sectors_kb) KiB\"
    host=\"--layout /etc/twinslot/layout.toml --trust /etc/twinslot/trust.toml --storage /dev/${disk##*/}\"
    if /bin/twinslot-agent $verb $host --handoff /etc/twinslot/$scene.handoff $bundle; then
        $b echo \"init: $scene: done\"
    fi
done
$b echo 'init: end'
while true; do $b sleep 1000; done
";

const END: &str = "init: end";

/// A scene that was played: the disk before it, after it, and the log between.
pub(super) struct Played {
    pub(super) before: PathBuf,
    pub(super) after: PathBuf,
    pub(super) log: PathBuf,
}

impl Played {
    /// Where a scene leaves them.
    pub(super) fn of(stage: &Stage, scene: &Scene) -> Result<Self> {
        let folder = stage.folder(scene)?;
        let [before, after, log] = ["before.img", "after.img", "writes.log"].map(|name| folder.join(name));
        Ok(Self { before, after, log })
    }
}

/// Plays all scenes in one run of Linux, with the agent of a checkout. The power is cut when the last one is done.
pub(super) fn play(stage: &Stage, workspace: &Workspace, scenes: &[Scene]) -> Result<()> {
    let mut contents = module_content(&stage.supply.packages()?.modules(), &MODULES)?;
    contents.extend(agent_content(workspace, stage.supply.board(), &stage.supply.layout_path())?);
    contents.push(Content::file("etc/twinslot/new.bundle", std::fs::read(&stage.bundle)?));
    let mut disks = Vec::new();
    for scene in scenes {
        let played = Played::of(stage, scene)?;
        let handoff = stage.begin(scene, &played.before)?;
        contents.extend(of_scene(scene, &handoff));
        std::fs::copy(&played.before, &played.after).with_context(|| format!("can not copy {}", played.before.display()))?;
        File::create(&played.log).with_context(|| format!("can not make {}", played.log.display()))?;
        disks.push((scene.name, played));
    }
    let busybox = std::fs::read(stage.supply.packages()?.busybox())?;
    let initrd = stage.supply.folder().join("driver.initrd");
    std::fs::write(&initrd, archive_of(&busybox, INIT, &contents))?;
    let lines = run(&mut command(stage, &initrd, &disks)?)?;
    for scene in scenes {
        let cached = lines.iter().any(|line| line.starts_with(&format!("init: {}: write back, ", scene.name)));
        if !cached || !lines.contains(&format!("init: {}: done", scene.name)) {
            bail!("scene {} was not played on a disk with a cache:\n{}", scene.name, lines.join("\n"));
        }
    }
    Ok(())
}

/// What init reads for a scene.
fn of_scene(scene: &Scene, handoff: &Handoff) -> [Content; 2] {
    let mut record = [0; HANDOFF_SIZE];
    handoff.encode(&mut record);
    let request = scene.request.map_or_else(String::new, |kib| kib.to_string());
    let words = match scene.verb {
        Verb::Install => format!("verb=install bundle=/etc/twinslot/new.bundle request={request}\n"),
        Verb::Confirm => format!("verb=confirm bundle= request={request}\n"),
    };
    let name = format!("etc/twinslot/{}", scene.name);
    [Content::file(&format!("{name}.sh"), words.into_bytes()), Content::file(&format!("{name}.handoff"), record.to_vec())]
}

fn command(stage: &Stage, initrd: &Path, disks: &[(&str, Played)]) -> Result<Command> {
    let board = stage.supply.board();
    let mut command = Command::new(board.emulator());
    command.args(["-M", "virt", "-cpu", "cortex-a53", "-accel", "tcg", "-m", "512"]);
    command.args(["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio"]);
    command.arg("-kernel").arg(stage.supply.packages()?.kernel()?).arg("-initrd").arg(initrd);
    command.args(["-append", &format!("console={} quiet panic=-1", board.console())]);
    // Every request reaches the disk as the kernel made it.
    for (name, Played { after, log, .. }) in disks {
        let node = |options: &str, path: &Path| -> OsString { with_path_then(options, path, "") };
        command.arg("-blockdev").arg(node(&format!("driver=file,node-name=file-{name},filename="), after));
        command.arg("-blockdev").arg(node(&format!("driver=file,node-name=log-{name},filename="), log));
        let logged = format!("driver=blklogwrites,node-name={name},file=file-{name},log=log-{name},log-sector-size=512,log-super-update-interval=1");
        command.args(["-blockdev", &logged, "-device", &format!("virtio-blk-device,drive={name},serial={name},request-merging=off")]);
    }
    let errors = stage.supply.folder().join("driver.err");
    command.stderr(File::create(&errors).with_context(|| format!("can not make {}", errors.display()))?);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// The console, up to the line after which nothing more happens.
fn run(command: &mut Command) -> Result<Vec<String>> {
    let mut emulator = Emulator::start(command)?;
    let (sender, observed) = channel();
    watch_console(emulator.console()?, sender);
    let mut lines = Vec::new();
    match watch(&observed, LIMIT, &mut lines, |line| (line == END).then_some(())) {
        Seen::Line(()) => Ok(lines),
        Seen::Gone => bail!("qemu ended by itself:\n{}", lines.join("\n")),
        Seen::TimedOut => bail!("Linux did not come to its end within {} s:\n{}", LIMIT.as_secs(), lines.join("\n")),
    }
}
