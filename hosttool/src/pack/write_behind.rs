//! Makes what is written durable while the rest is still being read, so that the disk and the processors work at the same time.

use std::{
    fs::File,
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{Scope, ScopedJoinHandle},
};

/// Bytes between two requests.
const STEP: u64 = 64 * 1024 * 1024;

/// A thread that syncs a file now and then.
pub(super) struct WriteBehind<'scope> {
    requests: SyncSender<()>,
    thread: ScopedJoinHandle<'scope, io::Result<()>>,
    since_request: u64,
}

impl<'scope> WriteBehind<'scope> {
    pub(super) fn start<'env>(scope: &'scope Scope<'scope, 'env>, file: &'env File) -> Self {
        let (requests, received) = sync_channel(1);
        Self { requests, thread: scope.spawn(move || sync_on_request(file, &received)), since_request: 0 }
    }

    /// Counts bytes that were written. Never waits: a request that finds the thread busy is not needed.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.since_request += bytes;
        if self.since_request >= STEP {
            self.since_request = 0;
            self.requests.try_send(()).unwrap_or_default();
        }
    }

    /// Waits for the thread.
    ///
    /// # Errors
    /// The medium failed. A file reports that once only, so it must not be lost here.
    pub(super) fn finish(self) -> io::Result<()> {
        drop(self.requests);
        self.thread.join().expect("syncing does not panic")
    }
}

fn sync_on_request(file: &File, requests: &Receiver<()>) -> io::Result<()> {
    requests.iter().try_for_each(|()| file.sync_data())
}
