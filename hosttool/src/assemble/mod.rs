//! A whole flash image from a layout and the files that go into its regions.

mod gpt;
mod images;
mod state;

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use twinslot_bootloader::{
    journal::{CommitError, Journal, State},
    slot::Slot,
    storage::Storage,
};
use twinslot_config::{Layout, Trust};

pub use gpt::Gpt;
pub use images::{Contents, Placed, place, place_loader, read_loader};
pub use state::initial_state;

use crate::{
    flash_file::{StorageJob, fill_erased, with_storage},
    report::Failure,
};

/// Bytes that are copied at a time.
const BLOCK: usize = 256 * 1024;

/// Which files go where. Every command that fills a flash takes these arguments.
#[derive(Debug, clap::Args)]
pub struct Sources {
    /// The board's layout.
    #[arg(long, value_name = "layout.toml")]
    pub layout: PathBuf,
    /// The loader's ELF.
    #[arg(long, value_name = "ELF")]
    pub loader: Option<PathBuf>,
    /// A slot image for a slot; may be given for both.
    #[arg(long = "slot", value_name = "a=X.slot", value_parser = parse_slot_image)]
    pub slots: Vec<(Slot, PathBuf)>,
    /// A slot image for the golden region.
    #[arg(long, value_name = "G.slot")]
    pub golden: Option<PathBuf>,
    /// A bundle for the staging region.
    #[arg(long, value_name = "Z.bundle")]
    pub staging: Option<PathBuf>,
    /// A slot whose image the journal calls confirmed; may be given for both. Without --confirmed and --trial the journal stays empty, and the first
    /// boot puts every authentic image on trial.
    #[arg(long, value_name = "SLOT", value_parser = crate::commands::parse_slot)]
    pub confirmed: Vec<Slot>,
    /// A slot whose image the journal puts on trial.
    #[arg(long, value_name = "SLOT", value_parser = crate::commands::parse_slot)]
    pub trial: Vec<Slot>,
    /// Verify every image as the board's loader would before anything is written. Without it, images need only fit.
    #[arg(long, value_name = "trust.toml")]
    pub trust: Option<PathBuf>,
    /// Refuse published test keys, in the trust file and in every image.
    #[arg(long, requires = "trust")]
    pub release: bool,
}

impl Sources {
    /// Every file that is read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let slots = self.slots.iter().map(|(_, path)| path);
        let others = [&self.loader, &self.golden, &self.staging, &self.trust].into_iter().flatten();
        [&self.layout].into_iter().chain(slots).chain(others).map(PathBuf::as_path)
    }
}

/// Everything that goes into a flash, read and checked.
#[derive(Debug)]
pub struct Assembly {
    /// The board's layout.
    pub layout: Layout,
    /// Whether the images were verified.
    pub verified: bool,
    /// What lies where.
    pub placed: Vec<Placed>,
    /// The boot state that the journal will hold.
    pub state: Option<State>,
}

impl Assembly {
    /// Reads and checks everything. Nothing is written.
    ///
    /// # Errors
    /// A file can not be read or used, does not fit its region, or is refused.
    pub fn prepare(sources: &Sources) -> Result<Self, Failure> {
        let layout = crate::commands::read_layout(&sources.layout)?;
        let trust: Option<Trust> = sources.trust.as_deref().map(crate::commands::read_trust).transpose()?;
        let placed = place(sources, &layout, trust.as_ref())?;
        let state = initial_state(sources, &layout, trust.as_ref(), &placed)?;
        Ok(Self { layout, verified: trust.is_some(), placed, state })
    }

    /// Fills an empty file: erased flash, the images, and the journal through its own writer.
    ///
    /// # Errors
    /// A file can not be read or written.
    pub fn write_to(&self, file: &File) -> Result<(), Failure> {
        fill_erased(file, 0, self.layout.flash_extent()).context("the flash image can not be written")?;
        for placed in &self.placed {
            placed.copy_to(file).with_context(|| format!("{} can not be copied into the flash image", placed.what))?;
        }
        if let Some(state) = self.state {
            let committed = with_storage(&self.layout, file, CommitState { layout: &self.layout, state })?;
            committed.map_err(|error| anyhow::anyhow!("the journal can not be written: {error}"))?;
        }
        Ok(())
    }
}

impl Placed {
    fn copy_to(&self, file: &File) -> io::Result<()> {
        match &self.contents {
            Contents::Bytes(bytes) => file.write_all_at(bytes, self.offset),
            Contents::File(source) => {
                let mut buffer = vec![0; BLOCK];
                let mut done = 0;
                while done < self.len {
                    let step = usize::try_from(self.len - done).unwrap_or(BLOCK).min(BLOCK);
                    let block = buffer.get_mut(..step).unwrap_or_default();
                    source.read_exact_at(block, done)?;
                    file.write_all_at(block, self.offset + done)?;
                    done += step as u64;
                }
                Ok(())
            }
        }
    }
}

struct CommitState<'a> {
    layout: &'a Layout,
    state: State,
}

impl StorageJob for CommitState<'_> {
    type Output = Result<(), CommitError>;

    fn run<S: Storage>(self, storage: &mut S) -> Self::Output {
        let mut journal = Journal::open(storage, &self.layout.policy);
        let sequence = journal.sequence();
        journal.commit(storage, &self.layout.policy, sequence, &self.state)
    }
}

fn parse_slot_image(text: &str) -> Result<(Slot, PathBuf), String> {
    let (slot, path) = text.split_once('=').ok_or("expected a=X.slot or b=X.slot")?;
    Ok((crate::commands::parse_slot(slot)?, path.into()))
}
