//! Packing, verifying and bundling: round trips through the loader's own code, and what it would refuse.

mod support;

use support::{Bench, arm64_kernel, firmware};

const PACK: &str = "pack --product lamp --version 1.2.3+4 --security-counter 7";

#[test]
fn the_same_inputs_give_the_same_bytes_and_the_time_is_the_source_date() {
    let bench = Bench::with_owner();
    bench.done(&format!("{PACK} --part firmware=firmware.bin -o one.slot"));
    bench.done(&format!("{PACK} --part firmware=firmware.bin -o two.slot"));
    assert_eq!(bench.read("one.slot"), bench.read("two.slot"));
    assert_eq!(bench.json("inspect one.slot")["header"]["created"], 0);
    let dated = bench.run_with(&format!("{PACK} --part firmware=firmware.bin -o dated.slot"), &[("SOURCE_DATE_EPOCH", "1700000000")]);
    assert_eq!(dated.code, 0);
    assert_eq!(bench.json("inspect dated.slot")["header"]["created"], 1_700_000_000);
    let wrong = bench.run_with(&format!("{PACK} --part firmware=firmware.bin -o wrong.slot"), &[("SOURCE_DATE_EPOCH", "today")]);
    assert_eq!((wrong.code, wrong.stderr.as_str()), (2, "hosttool: SOURCE_DATE_EPOCH: \"today\" is no number: expected decimal or 0x hexadecimal\n"));
}

#[test]
fn parts_lie_where_the_report_says_with_their_own_digests() {
    let bench = Bench::with_owner();
    bench.write("Image", &arm64_kernel(70_000, 200_000));
    bench.write("initrd", &firmware(300_000));
    bench.write("cmdline", b"console=ttyAMA0 quiet");
    let packed = bench.json(&format!(
        "{PACK} --part kernel=Image --part initrd=initrd --part command-line=cmdline --part aux7=firmware.bin,place=0x40000000 -o x.slot"
    ));
    let image = bench.read("x.slot");
    let parts = packed["parts"].as_array().expect("parts");
    assert_eq!(parts.len(), 4);
    for (part, file) in parts.iter().zip(["Image", "initrd", "cmdline", "firmware.bin"]) {
        let offset = usize::try_from(part["offset"].as_u64().expect("an offset")).expect("small");
        let bytes = bench.read(file);
        assert_eq!(offset % 4096, 0);
        assert_eq!(image[offset..offset + bytes.len()], bytes);
        let judge = String::from_utf8(bench.other("openssl", &format!("dgst -sha256 -r {file}"))).expect("text");
        assert_eq!(part["sha256"].as_str(), judge.get(..64), "{file}");
    }
    assert_eq!((parts[0]["mem"].as_u64(), parts[1]["mem"].as_u64()), (Some(200_000), Some(300_000)));
    bench.done("sign x.slot --key owner.key.pem");
    bench.done("verify x.slot --trust trust.toml --product lamp");
}

#[test]
fn what_a_loader_would_refuse_is_refused_when_it_is_packed() {
    let bench = Bench::with_owner();
    bench.write("Image", &arm64_kernel(5000, 9000));
    bench.write("short", b"not a kernel");
    bench.write("bad-line", b"quiet twinslot.slot=a");
    bench.write("empty", b"");
    bench.write("line", b"quiet");
    let hash = "ab".repeat(32);
    let rootfs = format!("--part kernel=Image --part rootfs=firmware.bin,root-hash={hash}");
    let rootfs_line = format!("{rootfs} --part command-line=line");
    let cases = [
        ("--part initrd=firmware.bin", 17, "NoBootablePart"),
        ("--part firmware=firmware.bin --part kernel=Image", 18, "FirmwareAndKernel"),
        ("--part firmware=firmware.bin --part firmware=firmware.bin", 19, "RepeatedPart"),
        ("--part firmware=firmware.bin --part initrd=firmware.bin", 20, "PartNeedsKernel"),
        ("--part loader=firmware.bin --part firmware=firmware.bin", 22, "LoaderPartReserved"),
        ("--part firmware=empty", 27, "MemoryTooSmall"),
        ("--part firmware=firmware.bin,mem=4", 27, "MemoryTooSmall"),
        ("--part kernel=Image,entry=5000", 28, "EntryOutsidePart"),
        ("--part kernel=Image,place=inplace", 29, "WrongPlacement"),
        ("--part firmware=firmware.bin,place=auto", 29, "WrongPlacement"),
        ("--part kernel=Image --part command-line=bad-line", 31, "ForbiddenCommandLine"),
        ("--part kernel=Image --part command-line=firmware.bin", 32, "CommandLineTooLong"),
        (rootfs.as_str(), 33, "RootHashNotSigned"),
        (rootfs_line.as_str(), 33, "RootHashNotSigned"),
        ("--part kernel=Image,mem=8999", 45, "KernelClaimsMore"),
        ("--part kernel=short", 46, "WrongKernel"),
        ("--part kernel=firmware.bin", 46, "WrongKernel"),
        ("--part firmware=firmware.bin,place=0x1000000000000", 15, "NumberTooLarge"),
    ];
    let files = bench.files();
    for (parts, code, name) in cases {
        let refused = bench.json(&format!("{PACK} {parts} -o x.slot"));
        assert_eq!(
            (refused["outcome"].as_str(), refused["code"].as_u64(), refused["name"].as_str()),
            (Some("refused"), Some(code), Some(name)),
            "{parts}: {refused}"
        );
        assert_eq!(bench.files(), files, "{parts} left a file behind");
    }
}

#[test]
fn verify_says_what_the_loader_says() {
    let bench = Bench::with_owner();
    bench.done("keygen --out stranger");
    bench.done("trust --key stranger.pub.pem --threshold 1 -o stranger.toml");
    bench.signed("x.slot", "--version 1.0.0 --security-counter 3 --hw 0x6 --slot b");
    let key_id = bench.json("trust --key owner.pub.pem --threshold 1 -o t.toml")["keys"][0]["key_id"].as_str().expect("a key id").to_owned();
    bench.done("verify x.slot --trust trust.toml --product lamp --hw 2 --slot b --floor 3");
    bench.done("verify x.slot --trust trust.toml --product lamp");
    bench.done("verify x.slot --trust trust.toml --layout layout.toml");
    assert_eq!(bench.json("verify x.slot --trust trust.toml --layout layout.toml --slot b")["name"], "EntryOutsidePart", "it is linked for slot A");
    let revoked = format!("--trust trust.toml --product lamp --revoked 0011223344556677,{key_id}");
    let cases = [
        ("--trust stranger.toml --product lamp", "TooFewSignatures"),
        ("--trust trust.toml --product lump", "WrongProduct"),
        ("--trust trust.toml --product lamp --hw 3", "WrongHardware"),
        ("--trust trust.toml --product lamp --slot a", "WrongSlot"),
        ("--trust trust.toml --product lamp --floor 4", "BelowFloor"),
        (revoked.as_str(), "TooFewSignatures"),
    ];
    for (options, name) in cases {
        assert_eq!(bench.json(&format!("verify x.slot {options}"))["name"], name, "{options}");
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let bench = Bench::with_owner();
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    let good = bench.read("x.slot");
    let cases = [
        (0, "WrongMagic"),
        (40, "CrcMismatch"),
        (740, "CrcMismatch"),
        (1023, "CrcMismatch"),
        (4096, "DigestMismatch"),
        (2000, "ChunkTableMismatch"),
        (good.len() - 1, "DigestMismatch"),
    ];
    for (at, name) in cases {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bench.write("bad.slot", &bad);
        assert_eq!(bench.json("verify bad.slot --trust trust.toml --product lamp")["name"], name, "byte {at}");
    }
    bench.write("bad.slot", &good[..good.len() - 1]);
    assert_eq!(bench.json("verify bad.slot --trust trust.toml --product lamp")["name"], "WrongLength");
    bench.write("bad.slot", &good[..1000]);
    assert_eq!(bench.json("verify bad.slot --trust trust.toml --product lamp")["name"], "UnknownFile");
}

#[test]
fn releases_refuse_published_test_keys() {
    let bench = Bench::with_owner();
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/../qemu-boards/test-keys/key-1.key.pem");
    bench.done(&format!("{PACK} --part firmware=firmware.bin --release -o release.slot"));
    assert_eq!(bench.json(&format!("sign release.slot --key {published}"))["name"], "TestKey");
    bench.done("sign release.slot --key owner.key.pem");
    assert_eq!(bench.json("inspect release.slot")["header"]["release"], true);
    bench.done(&format!("{PACK} --part firmware=firmware.bin -o test.slot"));
    assert_eq!(bench.json(&format!("sign test.slot --key {published}"))["published_test_key"], true);
}

/// The oracle for compressed chunks is the zstd library, called as any other program would.
#[test]
fn a_bundle_holds_the_image_chunk_by_chunk() {
    let bench = Bench::with_owner();
    bench.write("firmware.bin", &[firmware(300_000), vec![7; 250_000]].concat());
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    let image = bench.read("x.slot");
    for (options, compressed) in [("", 0), ("--zstd", 3)] {
        let report = bench.json(&format!("bundle x.slot {options} -o x.bundle"));
        assert_eq!((report["chunks"].as_u64(), report["compressed_chunks"].as_u64()), (Some(3), Some(compressed)));
        let bundle = bench.read("x.bundle");
        assert_eq!(bundle[..8], *b"TWINBNDL");
        assert_eq!(bundle[8..1032], image[..1024]);
        let mut rebuilt = image[..1024].to_vec();
        let mut at = 1032 + 3 * 32 + 3 * 4;
        for chunk in 0..3 {
            let entry = 1032 + 3 * 32 + chunk * 4;
            let raw = u32::from_le_bytes(bundle[entry..entry + 4].try_into().expect("4 bytes"));
            let stored = &bundle[at..at + (raw & 0x7fff_ffff) as usize];
            at += stored.len();
            rebuilt.extend(if raw >> 31 == 1 { zstd::decode_all(stored).expect("a zstd frame") } else { stored.to_vec() });
        }
        assert_eq!((rebuilt == image, at), (true, bundle.len()));
        bench.done("inspect x.bundle");
    }
    bench.write("cut.bundle", &bench.read("x.bundle")[..1500]);
    assert_eq!(bench.json("inspect cut.bundle")["name"], "BundleLengthWrong");
    let mut damaged = image;
    damaged[300_000] ^= 1;
    bench.write("damaged.slot", &damaged);
    assert_eq!(bench.json("bundle damaged.slot -o damaged.bundle")["name"], "ChunkTableMismatch");
    assert!(!bench.files().iter().any(|name| name.contains("damaged.bundle") || name.starts_with('.')));
}

/// A root file system beyond 4 GiB, as a sparse file: neither packing nor verifying needs its size in memory (512 MiB of addresses are enough) or on disk.
#[test]
fn parts_larger_than_4_gib_work_in_little_memory() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let bench = Bench::with_owner();
    let large = std::fs::File::create(bench.path("rootfs")).expect("a file");
    large.set_len((4 << 30) + 12_345).expect("a sparse file");
    large.write_all_at(b"near the end", (4 << 30) + 100).expect("a write");
    let hash = "cd".repeat(32);
    bench.write("Image", &arm64_kernel(5000, 5000));
    bench.write("line", format!("root=/dev/dm-0 verity={hash}").as_bytes());
    let arguments = format!("{PACK} --part kernel=Image --part command-line=line --part rootfs=rootfs,root-hash={hash} -o x.slot");
    let limited = format!("ulimit -v 524288 && exec {} {arguments}", env!("CARGO_BIN_EXE_hosttool"));
    let output = std::process::Command::new("sh").args(["-c", &limited]).current_dir(bench.path("")).output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    bench.done("sign x.slot --key owner.key.pem");
    bench.done("verify x.slot --trust trust.toml --product lamp");
    let image = std::fs::File::open(bench.path("x.slot")).expect("the image");
    assert!(image.metadata().expect("metadata").blocks() * 512 < 1 << 20, "holes stay holes");
    let part = bench.json("inspect x.slot")["header"]["parts"][2].clone();
    let offset = part["offset"].as_u64().expect("an offset");
    assert_eq!(part["len"].as_u64(), Some((4 << 30) + 12_345));
    let mut bytes = [0; 12];
    image.read_exact_at(&mut bytes, offset + (4 << 30) + 100).expect("a read");
    assert_eq!(&bytes, b"near the end");
}
