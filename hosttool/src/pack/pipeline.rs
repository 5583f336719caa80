//! Three threads that share each buffer: one hashes parts, one hashes chunks, the caller reads and writes.
//!
//! Buffers are few and are used again, so memory does not grow with the input. A buffer goes back once the last of the three has let go of it.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{Scope, ScopedJoinHandle},
};

use twinslot_bootloader::{
    crypto::{Builtin, Crypto as _, Digest, Sha256 as _},
    image::chunks::CHUNK_SIZE,
};

/// Bytes of one buffer.
const BUFFER_BYTES: usize = 256 * 1024;

/// Buffers in flight.
const BUFFERS: usize = 12;

/// A buffer that several threads look at.
type Shared = Arc<Vec<u8>>;

/// The hashing threads and the buffers that are free.
pub(super) struct Pipeline<'scope> {
    free: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
    to_parts: SyncSender<Message>,
    part_digests: Receiver<Digest>,
    to_chunks: SyncSender<Message>,
    chunks: ScopedJoinHandle<'scope, Digest>,
}

enum Message {
    Bytes(Shared),
    PartEnds,
}

/// The threads end only when the pipeline lets go of them, so their channels are open as long as it lives.
const OPEN: &str = "the hashing threads live as long as the pipeline";

impl<'scope> Pipeline<'scope> {
    pub(super) fn start(scope: &'scope Scope<'scope, '_>) -> Self {
        let (give_back, free) = channel();
        for _ in 0..BUFFERS {
            give_back.send(vec![0; BUFFER_BYTES]).expect(OPEN);
        }
        let (to_parts, part_messages) = sync_channel(BUFFERS);
        let (to_chunks, chunk_messages) = sync_channel(BUFFERS);
        let (send_digest, part_digests) = channel();
        let (for_parts, for_chunks) = (give_back.clone(), give_back.clone());
        scope.spawn(move || hash_parts(&part_messages, &for_parts, &send_digest));
        let chunks = scope.spawn(move || hash_chunks(&chunk_messages, &for_chunks));
        Self { free, give_back, to_parts, part_digests, to_chunks, chunks }
    }

    /// A buffer to fill, of [`BUFFER_BYTES`]. Waits until one is free.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.free.recv().expect(OPEN);
        buffer.resize(BUFFER_BYTES, 0);
        buffer
    }

    /// Takes back a buffer that was not needed.
    pub(super) fn unused(&self, buffer: Vec<u8>) {
        self.give_back.send(buffer).expect(OPEN);
    }

    /// Hands bytes of a part to both hashes; `write` sees them meanwhile.
    pub(super) fn part_bytes<E>(&self, buffer: Vec<u8>, write: impl FnOnce(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let shared = Arc::new(buffer);
        self.to_parts.send(Message::Bytes(Arc::clone(&shared))).expect(OPEN);
        self.to_chunks.send(Message::Bytes(Arc::clone(&shared))).expect(OPEN);
        let written = write(&shared);
        release(shared, &self.give_back);
        written
    }

    /// Hands padding between parts, `len` zeros, to the chunk hash.
    pub(super) fn padding(&self, mut len: u64) {
        while len > 0 {
            let step = len.min(BUFFER_BYTES as u64);
            let mut buffer = self.buffer();
            buffer.truncate(usize::try_from(step).unwrap_or(BUFFER_BYTES));
            buffer.fill(0);
            self.to_chunks.send(Message::Bytes(Arc::new(buffer))).expect(OPEN);
            len -= step;
        }
    }

    /// The digest of the part whose bytes were handed over since the last call.
    pub(super) fn end_part(&self) -> Digest {
        self.to_parts.send(Message::PartEnds).expect(OPEN);
        self.part_digests.recv().expect(OPEN)
    }

    /// The digest of the chunk table over everything handed over.
    pub(super) fn finish(self) -> Digest {
        let Self { to_parts, to_chunks, chunks, .. } = self;
        drop((to_parts, to_chunks));
        chunks.join().expect("hashing does not panic")
    }
}

/// The last one to let go of a buffer gives it back. Nobody may be waiting for it any more, which is no failure.
fn release(buffer: Shared, give_back: &Sender<Vec<u8>>) {
    if let Some(buffer) = Arc::into_inner(buffer) {
        drop(give_back.send(buffer));
    }
}

fn hash_parts(messages: &Receiver<Message>, give_back: &Sender<Vec<u8>>, digests: &Sender<Digest>) {
    let mut hash = Builtin.sha256();
    for message in messages {
        match message {
            Message::Bytes(bytes) => {
                hash.update(&bytes);
                release(bytes, give_back);
            }
            Message::PartEnds => {
                let ended = std::mem::replace(&mut hash, Builtin.sha256());
                if digests.send(ended.finish()).is_err() {
                    return;
                }
            }
        }
    }
}

/// Hashes chunk by chunk, and the digests into the digest of the chunk table.
fn hash_chunks(messages: &Receiver<Message>, give_back: &Sender<Vec<u8>>) -> Digest {
    let mut table = Builtin.sha256();
    let mut chunk = Builtin.sha256();
    let mut room = CHUNK_SIZE;
    for message in messages {
        let Message::Bytes(bytes) = message else { continue };
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let step = usize::try_from(room).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(step);
            chunk.update(now);
            rest = later;
            room -= step as u64;
            if room == 0 {
                table.update(&std::mem::replace(&mut chunk, Builtin.sha256()).finish());
                room = CHUNK_SIZE;
            }
        }
        release(bytes, give_back);
    }
    if room < CHUNK_SIZE {
        table.update(&chunk.finish());
    }
    table.finish()
}
