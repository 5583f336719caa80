//! `hosttool inspect`: everything that a slot image, a bundle or a hand-off dump says, unverified.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use twinslot_bootloader::handoff::Handoff;

use crate::{
    bundle_file::{BundleFile, BundleSummary},
    describe::HeaderView,
    handoff_view::HandoffView,
    image_file::{ImageFile, Use},
    recognize::{Content, recognize},
    refusal::Refusal,
    report::{Failure, Outcome},
};

/// Arguments of `hosttool inspect`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A slot image, a bundle or a hand-off dump.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What a file says.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Inspection {
    /// A slot image.
    Slot {
        /// Its header.
        header: Box<HeaderView>,
    },
    /// A bundle.
    Bundle {
        /// Its header.
        header: Box<HeaderView>,
        /// How its chunks are stored.
        bundle: BundleSummary,
    },
    /// A hand-off dump.
    Handoff {
        /// What it says.
        handoff: Box<HandoffView>,
    },
}

/// Looks at a file.
///
/// # Errors
/// The file can not be read, or is none of what this command knows.
pub fn run(arguments: &Arguments) -> Outcome {
    super::done(inspect(&arguments.file).map_err(|failure| failure.about(&arguments.file))?)
}

/// What a file says.
///
/// # Errors
/// The file can not be read, or is none of what this command knows.
pub(crate) fn inspect(path: &Path) -> Result<Inspection, Failure> {
    match recognize(path)? {
        Content::Slot => {
            let image = ImageFile::open(path, Use::Reading)?;
            image.manifest()?;
            Ok(Inspection::Slot { header: Box::new(HeaderView::of(&image.framed()?)?) })
        }
        Content::Bundle => {
            let bundle = BundleFile::read(path)?;
            Ok(Inspection::Bundle { header: Box::new(HeaderView::of(&bundle.framed()?)?), bundle: bundle.summary.clone() })
        }
        Content::Handoff(bytes) => {
            let refuse =
                |error: twinslot_bootloader::handoff::HandoffError| Refusal::UnknownFile { path: path.to_owned(), reason: error.to_string() };
            Ok(Inspection::Handoff { handoff: Box::new(HandoffView::of(&Handoff::decode(&bytes).map_err(refuse)?)) })
        }
        Content::Other => {
            let reason =
                "neither a slot image nor a bundle nor a hand-off dump; for a journal or a flash image use explain or journal show with --layout";
            Err(Refusal::UnknownFile { path: path.to_owned(), reason: reason.to_owned() }.into())
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slot { header } => write!(f, "slot image, not verified\n{header}"),
            Self::Bundle { header, bundle } => {
                let BundleSummary { bytes, chunks, compressed_chunks, .. } = bundle;
                write!(f, "bundle, not verified: {bytes} bytes, {chunks} chunk(s), {compressed_chunks} compressed\n{header}")
            }
            Self::Handoff { handoff } => handoff.fmt(f),
        }
    }
}
