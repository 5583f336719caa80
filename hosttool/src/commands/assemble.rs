//! `hosttool assemble`: a whole flash image.

use std::{fmt, path::PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    assemble::{Assembly, Gpt, Placed, Sources, place_loader, read_loader},
    hex,
    output::{Access, NewFile, ensure_apart},
    report::Outcome,
};

/// Arguments of `hosttool assemble`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// Write a GPT around the regions, for Linux: one partition a region, under its name. No loader reads it.
    #[arg(long)]
    gpt: bool,
    /// Where the flash image goes.
    #[arg(short, long, value_name = "flash.img")]
    output: PathBuf,
}

/// A flash image that was assembled.
#[derive(Debug, Serialize)]
pub struct Assembled {
    path: PathBuf,
    board: String,
    bytes: u64,
    layout_digest: String,
    verified: bool,
    journal: bool,
    gpt: bool,
    placed: Vec<Placed>,
}

/// Assembles a flash image.
///
/// # Errors
/// A file can not be read or written, does not fit its region, or is refused.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut assembly = Assembly::prepare(&arguments.sources)?;
    if let Some(loader) = &arguments.sources.loader {
        let segments = read_loader(loader, &assembly.layout)?;
        assembly.placed.extend(place_loader(loader, segments, &assembly.layout)?);
    }
    let gpt = arguments.gpt.then(|| Gpt::of(&assembly.layout)).transpose()?;
    ensure_apart(&arguments.output, arguments.sources.files())?;
    let new = NewFile::create(&arguments.output, Access::Everybody)?;
    assembly.write_to(new.file())?;
    if let Some(gpt) = &gpt {
        gpt.write_to(new.file()).with_context(|| format!("{}: the GPT can not be written", arguments.output.display()))?;
    }
    new.finish()?;
    let Assembly { layout, verified, placed, state } = assembly;
    super::done(Assembled {
        path: arguments.output.clone(),
        bytes: layout.flash_extent(),
        layout_digest: hex::encode(&layout.digest()),
        board: layout.board,
        verified,
        journal: state.is_some(),
        gpt: gpt.is_some(),
        placed,
    })
}

impl fmt::Display for Assembled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} bytes for {}, layout {}", self.path.display(), self.bytes, self.board, self.layout_digest)?;
        for Placed { what, region, offset, len, .. } in &self.placed {
            writeln!(f, "  {offset:#010x} {region:<8} {len} bytes, {what}")?;
        }
        writeln!(f, "  journal  {}", if self.journal { "written" } else { "empty: the first boot puts every authentic image on trial" })?;
        if self.gpt {
            writeln!(f, "  GPT      a partition for each region")?;
        }
        if self.placed.iter().any(|placed| placed.region == "staging") {
            writeln!(f, "staging bundle NOT verified: the installer on the board does that")?;
        }
        writeln!(f, "images {}", if self.verified { "verified" } else { "NOT verified: give --trust" })
    }
}
