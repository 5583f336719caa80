//! `cargo xtask demo`: from an empty checkout to a bad update that is caught, on both boards, told step by step.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::board::Board;
use crate::emulate::hosttool;
use crate::firmware::Logging;
use crate::qemu::{Transcript, decode_log};
use crate::scenario::{AnchorFile, Calibration, Chapter, Fixture, Judged, Start, chapters};
use crate::setup::setup;
use crate::workspace::Workspace;

/// Everything of a chapter that is worth a line: what the loader decides, and what the application makes of it.
const TOLD: [&str; 9] = [
    "twinslot: ",
    "app: start",
    "app: handoff slot=",
    "app: handoff why=",
    "app: handoff last_revert=",
    "app: install",
    "app: confirmed",
    "app: hanging",
    "app: idle",
];

/// Runs the demonstration; the last line is `demo: ok`.
pub(crate) fn demo(workspace: &Workspace) -> Result<String> {
    let clock = Clock(Instant::now());
    println!("{}", setup(workspace)?);
    clock.tell("building the host tool");
    let hosttool = hosttool(workspace)?;
    for board in Board::ALL {
        let folder = workspace.products("demo")?.join(board.name());
        clock.tell(&format!("{}: building loader and application, packing and signing images", board.name()));
        let mut fixture = Fixture::new(workspace, board, &hosttool, &folder, Logging::On)?;
        show(&mut fixture, &clock)?;
    }
    clock.tell("finished");
    Ok("demo: ok".to_owned())
}

/// Tells how long it has been going on.
struct Clock(Instant);

impl Clock {
    fn tell(&self, what: &str) {
        println!("demo: [{:>3} s] {what}", self.0.elapsed().as_secs());
    }
}

fn show(fixture: &mut Fixture, clock: &Clock) -> Result<()> {
    let loader = fixture.loader(AnchorFile::Default)?;
    let flash = fixture.folder().join("flash.img");
    let (start, chapters) = chapters();
    let calibration = Calibration::measure(fixture)?;
    fixture.flash(&start, &flash)?;
    for Chapter { title, staged, step } in &chapters {
        clock.tell(&format!("{}: {title}", fixture.board().name()));
        for change in &step.changes {
            fixture.apply(*change, &flash)?;
        }
        let staged = staged.map(|image| Ok::<_, anyhow::Error>(std::fs::read(fixture.image(&image)?)?)).transpose()?;
        let start = Start { fixture, loader: &loader, flash: &flash, staged: staged.as_deref(), step, calibration };
        let Judged { transcript, complaint } = start.run_steady()?;
        tell(&loader, &transcript)?;
        if let Some(complaint) = complaint {
            bail!("{}: {title}: {complaint}", fixture.board().name());
        }
    }
    clock.tell(&format!("{}: what the journal says now (hosttool journal show)", fixture.board().name()));
    print!("{}", indented(&fixture.journal_in_words(&flash)?));
    Ok(())
}

/// The console's lines that are worth telling, then what the loader logged about giving an image up.
fn tell(loader: &Path, transcript: &Transcript) -> Result<()> {
    let lines = transcript.lines.iter().filter(|line| TOLD.iter().any(|told| line.starts_with(told)));
    let log = decode_log(loader, &transcript.log)?;
    ensure!(!log.is_empty(), "the loader logged nothing: its second UART is silent, or its log can not be decoded");
    let reverts = log.iter().filter(|message| message.contains("Reverted")).map(|message| format!("loader's log: {message}"));
    for line in lines.cloned().chain(reverts) {
        print!("{}", indented(&line));
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("        {line}\n")).collect()
}
