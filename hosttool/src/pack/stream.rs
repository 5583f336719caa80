//! Streams the parts behind the header's place: each input is read once, and hashed while it is written.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
};

use twinslot_bootloader::{crypto::Digest, image::HEADER_SIZE_U64};

use super::{pipeline::Pipeline, write_behind::WriteBehind};

/// Bytes of a part's start that are kept: enough for a kernel's header and for any command line that could be accepted.
const HEAD_BYTES: usize = 4096;

/// What was written behind the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// The parts, in the order of the inputs.
    pub parts: Vec<StreamedPart>,
    /// SHA-256 of the chunk table.
    pub chunks: Digest,
    /// The length of the image, from the slot's start.
    pub image_len: u64,
}

/// One part as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamedPart {
    /// Where it starts.
    pub offset: u64,
    /// How many bytes it has.
    pub len: u64,
    /// SHA-256 over its bytes.
    pub sha256: Digest,
    /// Its first bytes, up to 4 KiB.
    pub head: Vec<u8>,
}

/// Copies the inputs, each to the next multiple of `align`, into `output` from the header's end on. Blocks of zeros become holes.
///
/// # Errors
/// An input can not be read, or the output can not be written.
pub fn stream<R: Read>(inputs: &mut [R], align: u64, output: &File) -> Result<Streamed, StreamError> {
    std::thread::scope(|scope| {
        let pipeline = Pipeline::start(scope);
        let mut written = Output { file: output, write_behind: WriteBehind::start(scope, output) };
        let mut at = HEADER_SIZE_U64;
        let mut parts = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter_mut().enumerate() {
            let offset = at.next_multiple_of(align);
            pipeline.padding(offset - at);
            let part = copy_part(&pipeline, Input { index, bytes: input }, offset, &mut written)?;
            at = offset + part.len;
            parts.push(part);
        }
        written.write_behind.finish().and_then(|()| output.set_len(at)).map_err(StreamError::Output)?;
        Ok(Streamed { parts, chunks: pipeline.finish(), image_len: at })
    })
}

/// Which file failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// One of the inputs.
    #[error("input {index} can not be read: {source}")]
    Input {
        /// Its place among the inputs.
        index: usize,
        /// Why.
        source: io::Error,
    },
    /// The output.
    #[error("the output can not be written: {0}")]
    Output(io::Error),
}

struct Input<'a, R> {
    index: usize,
    bytes: &'a mut R,
}

struct Output<'env, 'scope> {
    file: &'env File,
    write_behind: WriteBehind<'scope>,
}

impl Output<'_, '_> {
    /// A new file reads as zeros where nothing was written, so sparse inputs stay sparse.
    fn write_unless_zero(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        if is_zero(bytes) {
            return Ok(());
        }
        self.file.write_all_at(bytes, at)?;
        self.write_behind.wrote(bytes.len() as u64);
        Ok(())
    }
}

fn copy_part<R: Read>(pipeline: &Pipeline<'_>, input: Input<'_, R>, offset: u64, output: &mut Output<'_, '_>) -> Result<StreamedPart, StreamError> {
    let mut len = 0;
    let mut head = Vec::new();
    loop {
        let mut buffer = pipeline.buffer();
        let filled = fill(input.bytes, &mut buffer).map_err(|source| StreamError::Input { index: input.index, source })?;
        buffer.truncate(filled);
        if filled == 0 {
            pipeline.unused(buffer);
            break;
        }
        let wanted = HEAD_BYTES.saturating_sub(head.len()).min(filled);
        head.extend_from_slice(buffer.get(..wanted).unwrap_or_default());
        let at = offset + len;
        pipeline.part_bytes(buffer, |bytes| output.write_unless_zero(bytes, at)).map_err(StreamError::Output)?;
        len += filled as u64;
    }
    Ok(StreamedPart { offset, len, sha256: pipeline.end_part(), head })
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|block| ZEROS.starts_with(block))
}
