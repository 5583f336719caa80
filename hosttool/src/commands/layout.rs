//! `hosttool layout check`: whether loader, writers and tools can use a layout file.

use std::{fmt, path::PathBuf};

use serde::Serialize;
use twinslot_config::Layout;

use crate::{hex, report::Outcome};

/// Arguments of `hosttool layout`.
#[derive(Debug, clap::Subcommand)]
pub enum Arguments {
    /// Check every rule of a layout file, and print its map and digest.
    Check {
        /// The layout file.
        #[arg(value_name = "layout.toml")]
        layout: PathBuf,
    },
}

/// A layout that holds every rule.
#[derive(Debug, Serialize)]
pub struct Checked {
    board: String,
    product: String,
    hardware: u8,
    layout_digest: String,
    flash_bytes: u64,
    record_stride: u64,
    records_per_log: u64,
    regions: Vec<RegionView>,
    ram: Vec<RegionView>,
}

#[derive(Debug, Serialize)]
struct RegionView {
    name: String,
    start: u64,
    size: u64,
}

/// Checks a layout.
///
/// # Errors
/// It breaks a rule, or can not be read.
pub fn run(arguments: &Arguments) -> Outcome {
    let Arguments::Check { layout } = arguments;
    super::done(describe(&super::read_layout(layout)?))
}

fn describe(layout: &Layout) -> Checked {
    let [log, _] = layout.logs();
    let regions = layout.flash_regions().into_iter().map(|(name, span)| RegionView { name: name.to_owned(), start: span.offset, size: span.size });
    let ram = layout.ram.iter().map(|ram| RegionView { name: ram.purpose.to_string(), start: ram.base, size: ram.size });
    Checked {
        board: layout.board.clone(),
        product: layout.product.clone(),
        hardware: layout.hardware,
        layout_digest: hex::encode(&layout.digest()),
        flash_bytes: layout.flash_extent(),
        record_stride: layout.record_stride(),
        records_per_log: log.size / layout.record_stride(),
        regions: regions.collect(),
        ram: ram.collect(),
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: product {}, hardware revision {}", self.board, self.product, self.hardware)?;
        writeln!(f, "layout digest {}", self.layout_digest)?;
        writeln!(f, "flash, {} bytes:", self.flash_bytes)?;
        self.regions.iter().try_for_each(|region| region.fmt(f))?;
        writeln!(f, "journal: two logs of {} records, {} bytes apart", self.records_per_log, self.record_stride)?;
        writeln!(f, "ram:")?;
        self.ram.iter().try_for_each(|region| region.fmt(f))
    }
}

impl fmt::Display for RegionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:<12} {:#010x}  {:#x} bytes", self.name, self.start, self.size)
    }
}
