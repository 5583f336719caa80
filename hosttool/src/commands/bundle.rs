//! `hosttool bundle`: what is shipped: header, chunk table, index and chunks, each chunk plain or its own zstd frame.

use std::{
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;
use twinslot_bootloader::{
    image::bundle::{BundleLayout, MAGIC, MAX_WINDOW, index_entry},
    rejection::Rejection,
};
use zstd::zstd_safe::CParameter;

use crate::{
    chunk_table,
    image_file::{ImageFile, Use},
    output::{Access, NewFile, ensure_apart},
    report::{Failure, Outcome},
};

/// High enough that chunks of a kernel come within a few percent of the best, low enough for 10 MB a second.
const LEVEL: i32 = 12;

/// The window covers a whole chunk and no more.
const WINDOW_LOG: u32 = 18;
const _: () = assert!(1 << WINDOW_LOG <= MAX_WINDOW, "no loader decodes a larger window");

/// Arguments of `hosttool bundle`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The slot image.
    #[arg(value_name = "X.slot")]
    image: PathBuf,
    /// Compress chunks where that makes them smaller. Microcontroller installers take plain ones only.
    #[arg(long)]
    zstd: bool,
    /// Where the bundle goes.
    #[arg(short, long, value_name = "X.bundle")]
    output: PathBuf,
}

/// A bundle that was written.
#[derive(Debug, Serialize)]
pub struct Bundled {
    path: PathBuf,
    bytes: u64,
    image_bytes: u64,
    chunks: u64,
    compressed_chunks: u64,
    signatures: usize,
}

/// Writes a bundle.
///
/// # Errors
/// The image's chunks are not the ones that its header pins, or a file can not be read or written.
pub fn run(arguments: &Arguments) -> Outcome {
    write_bundle(arguments).map_err(|failure| failure.about(&arguments.image))
}

fn write_bundle(arguments: &Arguments) -> Outcome {
    let image = ImageFile::open(&arguments.image, Use::Reading)?;
    let manifest = image.manifest()?;
    let layout = BundleLayout::new(image.len());
    ensure_apart(&arguments.output, [arguments.image.as_path()])?;
    let new = NewFile::create(&arguments.output, Access::Everybody)?;
    let packing = if arguments.zstd { Packing::zstd()? } else { Packing::Plain };
    let mut writer = BundleWriter::new(new.file(), layout, packing);
    let table =
        chunk_table::walk(image.file(), image.len(), |_, bytes, digest| writer.chunk(bytes, digest)).with_context(|| copying(&arguments.output))?;
    if table != manifest.chunks {
        return Err(Rejection::ChunkTableMismatch.into());
    }
    let signatures = image.framed()?.signatures().count();
    let (bytes, compressed_chunks) = writer.finish(image.header()).with_context(|| copying(&arguments.output))?;
    new.finish()?;
    super::done(Bundled { path: arguments.output.clone(), bytes, image_bytes: image.len(), chunks: layout.chunks, compressed_chunks, signatures })
}

fn copying(output: &Path) -> String {
    format!("{}: the image can not be copied into it", output.display())
}

/// How chunks are stored.
enum Packing {
    Plain,
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Packing {
    fn zstd() -> Result<Self, Failure> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL).context("zstd can not be started")?;
        compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG)).context("zstd does not take the window size")?;
        Ok(Self::Zstd(compressor))
    }

    /// The stored form, `None` when the plain bytes are not larger.
    fn compress(&mut self, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Plain => Ok(None),
            Self::Zstd(compressor) => Ok(Some(compressor.compress(bytes)?).filter(|stored| stored.len() < bytes.len())),
        }
    }
}

/// Table and index are small and go in front of the chunks once all lengths are known.
struct BundleWriter<'f> {
    file: &'f File,
    packing: Packing,
    table: Vec<u8>,
    index: Vec<u8>,
    at: u64,
    compressed: u64,
}

impl<'f> BundleWriter<'f> {
    fn new(file: &'f File, layout: BundleLayout, packing: Packing) -> Self {
        Self { file, packing, table: Vec::new(), index: Vec::new(), at: layout.chunks_at(), compressed: 0 }
    }

    fn chunk(&mut self, bytes: &[u8], digest: &[u8]) -> io::Result<()> {
        let compressed = self.packing.compress(bytes)?;
        let stored = compressed.as_deref().unwrap_or(bytes);
        self.file.write_all_at(stored, self.at)?;
        self.table.extend_from_slice(digest);
        self.index.extend_from_slice(&index_entry(u32::try_from(stored.len()).map_err(io::Error::other)?, compressed.is_some()));
        self.at += stored.len() as u64;
        self.compressed += u64::from(compressed.is_some());
        Ok(())
    }

    fn finish(self, header: &[u8]) -> io::Result<(u64, u64)> {
        let front = [MAGIC.as_slice(), header, &self.table, &self.index].concat();
        self.file.write_all_at(&front, 0)?;
        Ok((self.at, self.compressed))
    }
}

impl fmt::Display for Bundled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, bytes, image_bytes, chunks, compressed_chunks, signatures } = self;
        write!(
            f,
            "{}: {bytes} bytes for an image of {image_bytes}; {chunks} chunk(s), {compressed_chunks} compressed; {signatures} signature(s)",
            path.display()
        )
    }
}
