//! `install` and `confirm`, as they are run on a host.

mod support;

use std::path::{Path, PathBuf};

use support::{Host, LAYOUT_PATH, TRUST_PATH, layout, text};
use twinslot_bootloader::crypto::{Builtin, Crypto as _};
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::image::HEADER_SIZE;
use twinslot_bootloader::image::bundle::{MAGIC, index_entry};
use twinslot_bootloader::image::chunks::CHUNK_SIZE;
use twinslot_bootloader::journal::Phase::{Confirmed, Empty, Trial};
use twinslot_bootloader::slot::{BySlot, Slot};

/// The image of version 1.9, with its bundle beside the host's disk.
fn bundle(host: &Host) -> (PathBuf, Vec<u8>) {
    let (image, _) = support::image(9);
    let chunks: Vec<&[u8]> = image[HEADER_SIZE..].chunks(CHUNK_SIZE as usize).collect();
    let table: Vec<u8> = chunks.iter().flat_map(|chunk| Builtin.digest(chunk)).collect();
    let index: Vec<u8> = chunks.iter().flat_map(|chunk| index_entry(chunk.len() as u32, false)).collect();
    let bytes = [&MAGIC, &image[..HEADER_SIZE], &table, &index, &image[HEADER_SIZE..]].concat();
    let path = host.folder.path().join("new.bundle");
    std::fs::write(&path, bytes).expect("a bundle");
    (path, image)
}

fn run(host: &Host, running: Slot, why: Why, bundle: &Path) -> std::process::Output {
    host.agent("install", &host.handoff(running, why), &["--trust", TRUST_PATH, path_of(bundle)])
}

fn path_of(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// What a slot holds, as many bytes as the image has.
fn held(host: &Host, slot: Slot, len: usize) -> Vec<u8> {
    let start = if slot == Slot::A { layout().slot_a } else { layout().slot_b }.offset as usize;
    std::fs::read(host.disk()).expect("the disk")[start..start + len].to_vec()
}

/// Changes one byte of a bundle.
fn spoil(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("the bundle");
    bytes[at] ^= 1;
    std::fs::write(path, bytes).expect("the bundle");
}

#[test]
fn a_bundle_is_installed_beside_the_running_image_and_confirmed_once_it_runs() {
    for running in Slot::BOTH {
        let host = Host::new(running, BySlot { a: Confirmed, b: Confirmed });
        let (path, image) = bundle(&host);
        let output = run(&host, running, Why::Confirmed, &path);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
        let words = format!("installed: version 1.9.0+0 in slot {}, 1 chunk; the next boot tries it", running.other().name());
        assert!(text(&output.stdout).starts_with(&words), "{}", text(&output.stdout));
        assert!(held(&host, running.other(), image.len()) == image);
        let state = host.state();
        assert_eq!((state.phase(running), state.phase(running.other()), state.preferred), (Confirmed, Trial, running.other()));
    }
}

#[test]
fn the_running_trial_is_confirmed_and_nothing_else() {
    let host = Host::new(Slot::B, BySlot { a: Confirmed, b: Trial });
    let output = host.agent("confirm", &host.handoff(Slot::B, Why::Trial), &["--trust", TRUST_PATH]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(host.state().phase(Slot::B), Confirmed);
    let output = host.agent("confirm", &host.handoff(Slot::B, Why::Confirmed), &["--trust", TRUST_PATH]);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("code=132 "), "{}", text(&output.stderr));
}

#[test]
fn nothing_is_installed_while_a_trial_runs() {
    let host = Host::new(Slot::B, BySlot { a: Confirmed, b: Trial });
    let before = std::fs::read(host.disk()).expect("the disk");
    let output = run(&host, Slot::B, Why::Trial, &bundle(&host).0);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("code=133 "), "{}", text(&output.stderr));
    assert!(std::fs::read(host.disk()).expect("the disk") == before);
}

/// A byte of the magic, of the signed header, of the table and of the index, and bytes behind the end.
#[test]
fn a_damaged_bundle_is_refused_before_a_byte_is_written() {
    let front = 8 + HEADER_SIZE;
    for (at, refusal) in [(0, "code=49 "), (100, "code=7 "), (front, "code=43 "), (front + 32, "code=50 ")] {
        let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
        let before = std::fs::read(host.disk()).expect("the disk");
        let (path, _) = bundle(&host);
        spoil(&path, at);
        let output = run(&host, Slot::A, Why::Confirmed, &path);
        assert!(output.status.code() == Some(1) && text(&output.stderr).contains(refusal), "{at}: {}", text(&output.stderr));
        assert!(std::fs::read(host.disk()).expect("the disk") == before, "{at}");
    }
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let (path, _) = bundle(&host);
    let longer = [std::fs::read(&path).expect("the bundle"), vec![0]].concat();
    for bytes in [&longer[..], &longer[..longer.len() - 2], &longer[..500]] {
        std::fs::write(&path, bytes).expect("the bundle");
        let output = run(&host, Slot::A, Why::Confirmed, &path);
        assert!(output.status.code() == Some(1) && text(&output.stderr).contains("code=51 "), "{}", text(&output.stderr));
    }
}

#[test]
fn another_chunk_than_the_header_pins_leaves_the_slot_empty_and_the_right_bundle_goes_on() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let (path, image) = bundle(&host);
    let last = std::fs::read(&path).expect("the bundle").len() - 1;
    spoil(&path, last);
    let output = run(&host, Slot::A, Why::Confirmed, &path);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("code=44 "), "{}", text(&output.stderr));
    assert_eq!((host.state().phase(Slot::A), host.state().phase(Slot::B)), (Confirmed, Empty));
    let output = run(&host, Slot::A, Why::Confirmed, &bundle(&host).0);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert!(held(&host, Slot::B, image.len()) == image);
}

/// The C library's read and write are replaced, as no file of a test gives a read error by itself.
#[test]
fn a_read_error_while_what_was_written_is_read_back_is_a_failure_of_the_device() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let (path, image) = bundle(&host);
    let library = host.folder.path().join("failing_read.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/failing_read.c");
    assert!(std::process::Command::new("cc").args(["-shared", "-fPIC", source, "-o"]).arg(&library).status().expect("cc").success());
    let handoff = host.handoff(Slot::A, Why::Confirmed);
    let mut agent = host.agent_command("install", &handoff, &["--trust", TRUST_PATH, path_of(&path)]);
    let output = support::output_of(agent.env("LD_PRELOAD", &library).env("SLOT", layout().slot_b.offset.to_string()));
    let words = format!("twinslot-agent: {}: Input/output error (os error 5): the storage failed\n", host.disk().display());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), words.as_str()));
    assert_eq!((host.state().phase(Slot::A), host.state().phase(Slot::B)), (Confirmed, Empty));
    let output = run(&host, Slot::A, Why::Confirmed, &path);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert!(held(&host, Slot::B, image.len()) == image);
}

#[test]
fn a_compressed_bundle_is_refused_with_the_remedy() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let (path, _) = bundle(&host);
    let mut bytes = std::fs::read(&path).expect("the bundle");
    bytes[8 + HEADER_SIZE + 32 + 3] |= 0x80;
    std::fs::write(&path, bytes).expect("the bundle");
    let output = run(&host, Slot::A, Why::Confirmed, &path);
    let words = text(&output.stderr);
    assert!(output.status.code() == Some(1) && words.contains("code=52 ") && words.contains("without --zstd"), "{words}");
}

#[test]
fn a_pipe_in_the_place_of_a_bundle_is_refused_and_not_waited_for() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let pipe = host.folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let output = run(&host, Slot::A, Why::Confirmed, &pipe);
    let words = text(&output.stderr);
    assert!(output.status.code() == Some(2) && words.contains("is no regular file; copy the bundle into one"), "{words}");
}

#[test]
fn an_install_whose_answer_can_not_be_printed_is_done() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let (path, _) = bundle(&host);
    let handoff = host.handoff(Slot::A, Why::Confirmed);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("the full device");
    let mut agent = host.agent_command("install", &handoff, &["--trust", TRUST_PATH, path_of(&path)]);
    let output = support::output_of(agent.stdout(full).stderr(std::process::Stdio::piped()));
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("it is done, but the answer can not be printed"), "{}", text(&output.stderr));
    assert_eq!(host.state().phase(Slot::B), Trial);
}

#[test]
fn what_the_operating_system_says_is_told_once() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let (disk, bundle, handoff) = (host.disk(), bundle(&host).0, host.hand_over(&host.handoff(Slot::A, Why::Confirmed)));
    let good = ["--layout", LAYOUT_PATH, "--storage", path_of(&disk), "--trust", TRUST_PATH, "--handoff", path_of(&handoff), path_of(&bundle)];
    for absent in [1, 3, 5, 7, 8] {
        let mut arguments = good.map(ToOwned::to_owned);
        arguments[absent] = "/no/such/file".to_owned();
        let output = support::output_of(std::process::Command::new(env!("CARGO_BIN_EXE_twinslot-agent")).arg("install").args(&arguments));
        let words = text(&output.stderr);
        assert_eq!((output.status.code(), words.matches("/no/such/file: ").count()), (Some(2), 1), "{words}");
        assert_eq!(words.matches("No such file").count(), 1, "{words}");
    }
}

#[test]
fn what_is_missing_or_given_twice_is_named() {
    let host = Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed });
    let handoff = host.handoff(Slot::A, Why::Confirmed);
    for (more, message) in [
        (&["--trust", TRUST_PATH][..], "the bundle is missing"),
        (&["--trust", TRUST_PATH, "x", "y"], "the bundle stands twice"),
        (&["x"], "--trust is missing"),
        (&["--trust", TRUST_PATH, "/no/such/bundle"], "/no/such/bundle: "),
    ] {
        let output = host.agent("install", &handoff, more);
        assert!(output.status.code() == Some(2) && text(&output.stderr).contains(message), "{}", text(&output.stderr));
    }
}
