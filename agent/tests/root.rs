//! Which root file system belongs to the running image: what the loader verified says so, and nothing else.

mod support;

use support::{Host, VERITY, layout, text};
use twinslot_agent::root::NoRootFs;
use twinslot_agent::{FileStorage, RootFs, root_fs};
use twinslot_bootloader::decide::Why;
use twinslot_bootloader::handoff::{Booted, Handoff};
use twinslot_bootloader::journal::Phase::Confirmed;
use twinslot_bootloader::slot::{BySlot, Slot};
use twinslot_bootloader::verity::{Verity, VerityError};

fn host() -> Host {
    Host::new(Slot::A, BySlot { a: Confirmed, b: Confirmed })
}

fn find(host: &Host, handoff: &Handoff, line: &str) -> Result<RootFs, NoRootFs> {
    let mut storage = FileStorage::open_read_only(&host.disk(), &layout()).expect("storage");
    root_fs(&mut storage, &layout(), handoff, line.as_bytes())
}

#[test]
fn it_lies_in_the_running_slot_behind_the_command_line() {
    let host = host();
    let line = format!("quiet {VERITY} twinslot.slot=a\n");
    for (slot, start) in [(Slot::A, layout().slot_a.offset), (Slot::B, layout().slot_b.offset)] {
        let found = find(&host, &host.handoff(slot, Why::Confirmed), &line);
        assert_eq!(found, Ok(RootFs { offset: start + 4 * 4096, len: 3 * 4096, verity: VERITY }));
    }
}

#[test]
fn what_the_loader_did_not_verify_is_refused() {
    let host = host();
    let good = host.handoff(Slot::A, Why::Confirmed);
    let line = VERITY.to_string();
    let other = Handoff { booted: Booted::Slot(Slot::B), ..good.clone() };
    assert_eq!(find(&host, &other, &line), Err(NoRootFs::OtherImage));
    assert_eq!(find(&host, &Handoff { booted: Booted::Nothing, ..good.clone() }, &line), Err(NoRootFs::NothingRuns));
    assert_eq!(find(&host, &Handoff { layout: [9; 32], ..good.clone() }, &line), Err(NoRootFs::WrongLayout));
    assert_eq!(find(&host, &good, "quiet"), Err(NoRootFs::CommandLine(VerityError::Missing)));
    let other_hash = Verity { root_hash: [1; 32], ..VERITY };
    assert_eq!(find(&host, &good, &other_hash.to_string()), Err(NoRootFs::OtherRootHash));
    let longer = Verity { data_blocks: 3, ..VERITY };
    assert_eq!(find(&host, &good, &longer.to_string()), Err(NoRootFs::WrongLength { len: 3 * 4096, needed: 4 * 4096 }));
    host.flip(Slot::A, 100);
    assert!(matches!(find(&host, &good, &line), Err(NoRootFs::NoImage(_))));
}

/// As far as it goes without a block device: the refusal comes after everything was found.
#[test]
fn the_command_says_why_it_maps_nothing() {
    let host = host();
    let line = host.folder.path().join("cmdline");
    let line_text = line.display().to_string();
    std::fs::write(&line, VERITY.to_string()).expect("a command line");
    let handoff = host.handoff(Slot::A, Why::Confirmed);
    let output = host.agent("map-root", &handoff, &["--cmdline", &line_text]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("is no block device"), "{}", text(&output.stderr));
    std::fs::write(&line, "quiet").expect("a command line");
    let output = host.agent("map-root", &handoff, &["--cmdline", &line_text]);
    assert!(text(&output.stderr).contains("has no rootfs.verity=: pack the image with --verity"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}
