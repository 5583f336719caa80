//! Assembling flash images, and what journal and explain make of them.

mod support;

use support::{Bench, LAYOUT, firmware_at};

/// A bench with an image for each slot, one that runs from RAM, and a bundle.
fn stocked() -> Bench {
    let bench = Bench::with_owner();
    bench.signed("a.slot", "--version 1.0.0 --security-counter 3 --slot a");
    bench.write("firmware.bin", &firmware_at(0x1001_3000, 5000));
    bench.signed("b.slot", "--version 2.0.0 --security-counter 5 --slot b");
    bench.write("ram.bin", &firmware_at(0x2000_4000, 5000));
    bench.done("pack --product lamp --version 0.9.0 --security-counter 3 --part firmware=ram.bin,place=0x20004000 -o any.slot");
    bench.done("sign any.slot --key owner.key.pem");
    bench.done("bundle b.slot -o b.bundle");
    bench
}

const TRUSTED: &str = "--layout layout.toml --trust trust.toml";

#[test]
fn everything_lies_where_the_layout_says_and_the_rest_is_erased() {
    let bench = stocked();
    bench.done(&format!(
        "assemble {TRUSTED} --slot a=a.slot --slot b=b.slot --golden any.slot --staging b.bundle --confirmed a --trial b -o flash.img"
    ));
    let flash = bench.read("flash.img");
    assert_eq!(flash.len(), 0x80000);
    for (name, offset) in [("a.slot", 0x2000), ("b.slot", 0x12000), ("any.slot", 0x22000), ("b.bundle", 0x32000)] {
        let bytes = bench.read(name);
        assert_eq!(flash[offset..offset + bytes.len()], bytes, "{name}");
        assert_eq!(flash[offset + bytes.len()..offset + 0x10000].iter().find(|byte| **byte != 0xff), None, "behind {name}");
    }
    let show = bench.json("journal show flash.img --layout layout.toml");
    let (a, b) = (&show["slots"]["a"], &show["slots"]["b"]);
    assert_eq!((a["phase"].as_str(), b["phase"].as_str(), show["preferred"].as_str()), (Some("confirmed"), Some("trial"), Some("b")));
    assert_eq!((show["floor"].as_u64(), show["clean"].as_bool(), b["attempts_left"].as_u64()), (Some(3), Some(true), Some(3)));
    let digest = bench.json("inspect b.slot")["header"]["header_digest"].as_str().map(|digest| digest[..32].to_owned());
    assert_eq!(b["digest"].as_str().map(str::to_owned), digest);
}

#[test]
fn the_journal_changes_only_as_its_rules_allow() {
    let bench = stocked();
    bench.done(&format!("assemble {TRUSTED} --slot a=a.slot --slot b=b.slot --confirmed a --trial b -o flash.img"));
    let phases = |bench: &Bench| {
        let slots = bench.json("journal show flash.img --layout layout.toml")["slots"].clone();
        [slots["a"]["phase"].clone(), slots["b"]["phase"].clone()].map(|phase| phase.as_str().unwrap_or_default().to_owned())
    };
    let refused =
        |bench: &Bench, change: &str| bench.json(&format!("journal {change} flash.img {TRUSTED}"))["name"].as_str().unwrap_or_default().to_owned();
    assert_eq!(refused(&bench, "reject --slot a"), "OnlyConfirmedSlot");
    assert_eq!(refused(&bench, "arm --slot a"), "OnlyConfirmedSlot");
    assert_eq!(refused(&bench, "confirm --slot a"), "NotTheTrial");
    bench.done(&format!("journal confirm flash.img {TRUSTED} --slot b"));
    assert_eq!(phases(&bench), ["rejected", "confirmed"], "the floor of 5 cuts off the image with counter 3");
    assert_eq!(refused(&bench, "arm --slot a"), "BelowFloor");
    bench.done(&format!("journal repair flash.img {TRUSTED}"));
    assert_eq!(phases(&bench), ["rejected", "confirmed"]);
}

#[test]
fn a_lost_journal_is_repaired_with_trials() {
    let bench = stocked();
    bench.done(&format!("assemble {TRUSTED} --slot a=a.slot --slot b=b.slot -o flash.img"));
    assert_eq!(bench.json("journal show flash.img --layout layout.toml")["lost"], true);
    assert_eq!(bench.json(&format!("journal reject flash.img {TRUSTED} --slot a"))["name"], "JournalLost");
    let repaired = bench.json(&format!("journal repair flash.img {TRUSTED}"));
    assert_eq!(
        (&repaired["slots"]["a"]["phase"], &repaired["slots"]["b"]["phase"], &repaired["preferred"]),
        (&"trial".into(), &"trial".into(), &"b".into())
    );
}

#[test]
fn images_are_verified_before_anything_is_written() {
    let bench = stocked();
    bench.done("keygen --out stranger");
    bench.done("pack --product lamp --version 1.0.0 --security-counter 3 --part firmware=firmware.bin -o strange.slot");
    bench.done("sign strange.slot --key stranger.key.pem");
    bench.write("large.bin", &[7; 0x10000]);
    bench.done("pack --product lamp --version 1.0.0 --security-counter 3 --part firmware=large.bin -o large.slot");
    let files = bench.files();
    let cases = [
        ("--slot a=strange.slot", "TooFewSignatures"),
        ("--slot a=b.slot", "WrongSlot"),
        ("--golden a.slot", "WrongSlot"),
        ("--slot a=large.slot", "TooLarge"),
        ("--slot a=firmware.bin", "WrongMagic"),
        ("--staging a.slot", "WrongBundleMagic"),
    ];
    for (options, name) in cases {
        assert_eq!(bench.json(&format!("assemble {TRUSTED} {options} -o flash.img"))["name"], name, "{options}");
        assert_eq!(bench.files(), files);
    }
    bench.done("assemble --layout layout.toml --slot a=strange.slot --confirmed a -o flash.img");
}

#[test]
fn every_write_size_that_a_layout_may_have_carries_a_journal() {
    let bench = stocked();
    for exponent in 0..=9 {
        let layout = LAYOUT.replace("write_size = 4,", &format!("write_size = {},", 1 << exponent)).replace("tear_size = 4 ", "tear_size = 1024 ");
        bench.write("geometry.toml", layout.as_bytes());
        bench.done("assemble --layout geometry.toml --trust trust.toml --slot a=a.slot --slot b=b.slot --confirmed a --trial b -o flash.img");
        let rejected = bench.json("journal reject flash.img --layout geometry.toml --trust trust.toml --slot b");
        assert_eq!((&rejected["slots"]["b"]["phase"], &rejected["clean"]), (&"rejected".into(), &true.into()), "2^{exponent}: {rejected}");
        let explained = bench.json("explain flash.img --layout geometry.toml --trust trust.toml");
        assert_eq!(explained["next_boot"]["steps"][1]["rule"], "confirmed_boot_is_write_free", "2^{exponent}");
    }
}

#[test]
fn firmware_that_can_not_run_from_its_place_is_refused() {
    let bench = stocked();
    bench.write("odd.bin", &firmware_at(0x2000_4000 - 1, 5000));
    let cases = [
        ("firmware.bin", "--slot a", "EntryOutsidePart"),
        ("odd.bin,place=0x20004000", "--slot a", "EntryOutsidePart"),
        ("ram.bin,place=0x20004010", "--slot a", "VectorTableMisaligned"),
        ("ram.bin,place=0x20003000", "--slot a", "RangeOutsideRam"),
        ("ram.bin,place=0x20004000,mem=0x8001", "--slot a", "RangeOutsideRam"),
    ];
    for (part, slot, name) in cases {
        bench.done(&format!("pack --product lamp --version 1.0.0 --security-counter 3 --part firmware={part} -o x.slot"));
        bench.done("sign x.slot --key owner.key.pem");
        bench.done("verify x.slot --trust trust.toml --product lamp");
        assert_eq!(bench.json(&format!("verify x.slot {TRUSTED} {slot}"))["name"], name, "{part}");
        assert_eq!(bench.json(&format!("assemble {TRUSTED} --slot a=x.slot -o flash.img"))["name"], name, "{part}");
    }
}

#[test]
fn releases_refuse_published_test_keys_in_trust_and_images() {
    let bench = stocked();
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../qemu-boards/test-keys");
    bench.done(&format!("sign a.slot --key {keys}/key-1.key.pem"));
    bench.done(&format!("assemble {TRUSTED} --slot b=b.slot --release -o flash.img"));
    let image = bench.json(&format!("assemble {TRUSTED} --slot a=a.slot --release -o flash.img"));
    assert_eq!(image["name"], "TestKey");
    let trust = bench.json(&format!("assemble --layout layout.toml --trust {keys}/trust.toml --release -o flash.img"));
    assert!(
        trust["reason"].as_str().is_some_and(|reason| reason.starts_with("key \"test-key-1\" of the trust file is a published test key")),
        "{trust}"
    );
}

#[test]
fn what_the_layout_does_not_have_is_refused_by_name() {
    let bench = stocked();
    let bare = LAYOUT.lines().filter(|line| !line.starts_with("golden") && !line.starts_with("staging")).collect::<Vec<_>>().join("\n");
    bench.write("bare.toml", bare.as_bytes());
    bench.write("elsewhere.toml", LAYOUT.replace("loader = { offset = 0x70000", "loader = { base = 0x0, offset = 0").as_bytes());
    bench.write("loader.elf", &elf(0x1007_0000, &[1, 2, 3, 4]));
    let run = |options: &str| {
        let refused = bench.json(&format!("assemble {options} -o flash.img"));
        (refused["name"].as_str().unwrap_or_default().to_owned(), refused["reason"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(
        run("--layout bare.toml --golden any.slot"),
        ("NoRegion".into(), "the layout has no golden region: add it or leave --golden out".into())
    );
    assert_eq!(run("--layout bare.toml --staging b.bundle").0, "NoRegion");
    let (name, reason) = run("--layout elsewhere.toml --loader loader.elf");
    assert!(name == "LoaderInvalid" && reason.contains("lie outside the loader's region 0x0..0x10000"), "{reason}");
    bench.write("loader.elf", &elf(0x100, &[1, 2, 3, 4]));
    assert!(run("--layout elsewhere.toml --loader loader.elf").1.contains("in another memory than this flash"));
    assert!(run("--layout layout.toml --loader firmware.bin").1.contains("not an ELF file"));
}

#[test]
fn a_loader_in_this_flash_is_placed_by_its_load_addresses() {
    let bench = stocked();
    bench.write("loader.elf", &elf(0x1007_0100, b"loader code"));
    bench.done("assemble --layout layout.toml --loader loader.elf -o flash.img");
    let flash = bench.read("flash.img");
    assert_eq!(&flash[0x70100..0x7010b], b"loader code");
    assert_eq!((flash[0x700ff], flash[0x7010b]), (0xff, 0xff));
}

#[test]
fn explain_names_the_rule_behind_each_step_of_the_next_boot() {
    let bench = stocked();
    bench.done(&format!("assemble {TRUSTED} --slot a=a.slot --slot b=b.slot --confirmed a --trial b -o flash.img"));
    let rules = |options: &str| -> Vec<String> {
        let explained = bench.json(&format!("explain {options}"));
        explained["next_boot"]["steps"].as_array().expect("steps").iter().map(|step| step["rule"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(rules("flash.img --layout layout.toml"), ["never_unverified", "intent_before_jump", "trial_has_a_deadline"]);
    let mut flash = bench.read("flash.img");
    bench.write("journal.bin", &flash[..0x2000]);
    assert_eq!(rules("journal.bin --layout layout.toml"), rules("flash.img --layout layout.toml"));
    flash[0x13000] ^= 1;
    bench.write("damaged.img", &flash);
    let reverted = ["never_unverified", "reverts_and_says_why", "never_unverified", "confirmed_boot_is_write_free"];
    assert_eq!(rules(&format!("damaged.img {TRUSTED}")), reverted);
    let text = bench.done(&format!("explain damaged.img {TRUSTED}"));
    assert!(text.contains("2. commit that slot b is rejected: a part's digest does not match"), "{text}");
    flash[..0x2000].fill(0xff);
    bench.write("lost.img", &flash);
    assert_eq!(rules(&format!("lost.img {TRUSTED}")).get(2).map(String::as_str), Some("lost_state_is_cautious"));
    let unknown = bench.json("explain journal.bin");
    assert_eq!(unknown["name"], "UnknownFile");
}

#[test]
fn explain_reads_a_hand_off_dump() {
    use twinslot_bootloader::{handoff::Handoff, reason::ResetCause};
    let bench = Bench::with_owner();
    let trust = twinslot_config::Trust::read(&bench.path("trust.toml")).expect("a trust file");
    let mut bytes = [0; 512];
    Handoff::new(&trust.anchor(), [7; 32], ResetCause::Watchdog).encode(&mut bytes);
    bench.write("handoff.bin", &bytes);
    let text = bench.done("explain handoff.bin");
    assert!(text.contains("reset cause   watchdog") && text.contains("slot a        not examined"), "{text}");
    bytes[40] ^= 1;
    bench.write("torn.bin", &bytes);
    assert!(bench.json("explain torn.bin")["reason"].as_str().is_some_and(|reason| reason.contains("CRC does not match")));
}

/// A 32-bit little-endian ELF with one load segment.
fn elf(address: u32, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).expect("small");
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2_u16, 40].into_iter().flat_map(u16::to_le_bytes));
    file.extend([1_u32, address, 52, 0, 0].into_iter().flat_map(u32::to_le_bytes));
    file.extend([52_u16, 32, 1, 0, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    file.extend([1_u32, 84, address, address, len, len, 5, 4].into_iter().flat_map(u32::to_le_bytes));
    file.extend(content);
    file
}

#[test]
fn what_was_verified_is_what_is_written() {
    use clap::Parser as _;
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        sources: hosttool::assemble::Sources,
    }
    let bench = stocked();
    let path = |name: &str| bench.path(name).display().to_string();
    let slot = format!("a={}", path("a.slot"));
    let only = Only::parse_from(["assemble", "--layout", &path("layout.toml"), "--trust", &path("trust.toml"), "--slot", &slot]);
    let assembly = hosttool::assemble::Assembly::prepare(&only.sources).unwrap_or_else(|failure| panic!("{failure:?}"));
    let verified = bench.read("a.slot");
    bench.write("other", &[0x66; 0x10100]);
    bench.other("mv", "other a.slot");
    let flash = tempfile::tempfile().expect("a temporary file");
    assembly.write_to(&flash).unwrap_or_else(|failure| panic!("{failure:?}"));
    let mut written = vec![0; 0x80000];
    std::os::unix::fs::FileExt::read_exact_at(&flash, &mut written, 0).expect("a flash image");
    let (image, behind) = written[0x2000..].split_at(verified.len());
    assert!(image == verified, "the file that was verified, not the one that took its place");
    assert!(behind.iter().all(|byte| *byte == 0xff), "nothing of the other file, which is longer than the slot");
}

/// A disk with room for a GPT at both ends.
const DISK_LAYOUT: &str = r#"
board = "disk"
product = "lamp"
hw = 2
chip = "virt"
flash = { size = 0x400000, write_size = 512, erase_size = 0x10000, tear_size = 4096 }
loader = { base = 0, offset = 0, size = 0x10000 }
journal = { offset = 0x100000, size = 0x20000 }
slot-a = { offset = 0x120000, size = 0x100000 }
slot-b = { offset = 0x220000, size = 0xe0000 }
"#;

/// The partitions that `sfdisk` finds: start, size and name.
fn partitions(disk: &std::path::Path) -> Vec<(u64, u64, String)> {
    let output = std::process::Command::new("sfdisk").arg("--json").arg(disk).output().expect("sfdisk is installed");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let table: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let found = table["partitiontable"]["partitions"].as_array().expect("partitions").iter();
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    found.map(|one| (number(&one["start"]), number(&one["size"]), one["name"].as_str().unwrap_or_default().to_owned())).collect()
}

#[test]
fn a_gpt_names_every_region_for_others_and_changes_none() {
    let bench = Bench::new();
    bench.write("layout.toml", DISK_LAYOUT.as_bytes());
    bench.done("assemble --layout layout.toml -o plain.img");
    bench.done("assemble --layout layout.toml --gpt -o disk.img");
    let expected = [(2048, 256, "journal"), (2304, 2048, "slot-a"), (4352, 1792, "slot-b")];
    assert_eq!(partitions(&bench.path("disk.img")), expected.map(|(start, size, name)| (start, size, name.to_owned())));
    let (plain, disk) = (bench.read("plain.img"), bench.read("disk.img"));
    assert!(plain[0x100000..0x300000] == disk[0x100000..0x300000]);
    // The second copy alone is enough.
    let mut damaged = disk;
    damaged[512..34 * 512].fill(0);
    bench.write("damaged.img", &damaged);
    let output = std::process::Command::new("sfdisk").arg("--verify").arg(bench.path("damaged.img")).output().expect("sfdisk is installed");
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("the backup appears OK"), "{words}");
}

#[test]
fn a_layout_without_room_for_a_gpt_is_refused_and_nothing_is_left() {
    let bench = stocked();
    assert_eq!(bench.json("assemble --layout layout.toml --gpt -o disk.img")["name"].as_str(), Some("NoRoomForGpt"));
    assert!(!bench.path("disk.img").exists());
}
