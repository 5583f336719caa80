//! Opening what a path names, if it is of the kind that is wanted.
//!
//! Guarantee: nothing is waited for, whatever the path names, and what is of another kind is not read.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens what `path` names; `None` when that is not of a wanted kind.
///
/// The kind is looked at before, as to open a device may do something, and again on what was opened: the path may name something else by then. A pipe
/// that is opened with `O_NONBLOCK` does not wait for its other end. Source: POSIX.1-2024, `open`.
///
/// # Errors
/// The operating system refuses.
pub(crate) fn open(path: &Path, options: &mut OpenOptions, is_wanted: impl Fn(FileType) -> bool) -> io::Result<Option<File>> {
    if !is_wanted(std::fs::metadata(path)?.file_type()) {
        return Ok(None);
    }
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    Ok(is_wanted(file.metadata()?.file_type()).then_some(file))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    /// Often enough that the other thread changes what the path names between the two looks at it.
    const OPENED: usize = 20_000;

    #[test]
    fn a_pipe_that_takes_the_files_place_while_it_is_opened_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let [file, pipe, path, next] = ["file", "pipe", "path", "next"].map(|name| folder.path().join(name));
        std::fs::write(&file, "").expect("a file");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        symlink(&file, &path).expect("a link");
        let (sender, opened) = channel();
        let ends = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for target in [&pipe, &file].into_iter().cycle().take_while(|_| !ends.load(Ordering::Relaxed)) {
                    symlink(target, &next).expect("a link");
                    std::fs::rename(&next, &path).expect("the link in the other one's place");
                }
            });
            scope.spawn(|| {
                for _ in 0..OPENED {
                    let file = open(&path, OpenOptions::new().read(true), |kind| kind.is_file()).expect("one of the two");
                    assert!(file.is_none_or(|file| file.metadata().expect("its kind").is_file()));
                }
                sender.send(()).expect("somebody waits");
            });
            let in_time = opened.recv_timeout(Duration::from_secs(60));
            ends.store(true, Ordering::Relaxed);
            // Lets go whoever waits for the other end.
            drop(OpenOptions::new().read(true).write(true).open(&pipe));
            assert_eq!(in_time, Ok(()));
        });
    }
}
