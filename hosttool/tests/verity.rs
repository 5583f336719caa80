//! `pack --verity`: the hash trees are held to those of Debian's `veritysetup`, which the kernel's own dm-verity reads.

mod support;

use std::process::{Command, Output};

use serde_json::Value;
use support::{Bench, arm64_kernel};

const PACK: &str = "pack --verity --product lamp --version 1.2.3+4 --security-counter 7 --part kernel=Image";

const BLOCK: usize = 4096;

/// A bench with a kernel and a command line.
fn bench() -> Bench {
    let bench = Bench::with_owner();
    bench.write("Image", &arm64_kernel(5000, 9000));
    bench.write("line", b"console=ttyAMA0 quiet");
    bench
}

/// Blocks that differ from each other.
fn file_system(blocks: usize) -> Vec<u8> {
    let numbers = (0_u64..).flat_map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    numbers.take(blocks * BLOCK).collect()
}

/// The bytes of a part of `x.slot`.
fn part(bench: &Bench, packed: &Value, kind: &str) -> Vec<u8> {
    let part = packed["parts"].as_array().expect("parts").iter().find(|part| part["kind"] == kind).expect(kind);
    let number = |name: &str| usize::try_from(part[name].as_u64().expect(name)).expect("small");
    bench.read("x.slot")[number("offset")..number("offset") + number("len")].to_vec()
}

/// Debian's tool, which lives where only root looks for programs.
fn veritysetup(bench: &Bench, command: &str, file: &str, packed: &Value) -> Output {
    let verity = &packed["verity"];
    let text = |name: &str| verity[name].as_str().expect(name).to_owned();
    let (blocks, offset) = (verity["data_blocks"].to_string(), verity["hash_offset"].to_string());
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut tool = Command::new("veritysetup");
    tool.env("PATH", path).current_dir(bench.path("")).args([command, file, file]);
    if command == "verify" {
        tool.arg(text("root_hash"));
    }
    tool.args(["--no-superblock", "--format=1", "--hash=sha256", "--data-block-size=4096", "--hash-block-size=4096"]);
    tool.args([format!("--salt={}", text("salt")), format!("--data-blocks={blocks}"), format!("--hash-offset={offset}")]);
    tool.output().expect("veritysetup of the package cryptsetup-bin; `cargo xtask setup` installs it")
}

/// One block, which has no tree; less than, exactly and more than one block of hashes; and the same with a second and a third level.
#[test]
fn the_tree_is_the_one_that_veritysetup_makes() {
    let bench = bench();
    for blocks in [1, 2, 127, 128, 129, 256, 300, 16_384, 16_385] {
        let data = file_system(blocks);
        bench.write("root.img", &data);
        let packed = bench.json(&format!("{PACK} --part command-line=line --part rootfs=root.img -o x.slot"));
        let root = part(&bench, &packed, "rootfs");
        assert!(root.starts_with(&data), "{blocks}");
        bench.write("packed.img", &root);
        let verified = veritysetup(&bench, "verify", "packed.img", &packed);
        assert!(verified.status.success(), "{blocks}: {}", String::from_utf8_lossy(&verified.stderr));
        bench.write("theirs.img", &data);
        let formatted = veritysetup(&bench, "format", "theirs.img", &packed);
        let root_hash = packed["verity"]["root_hash"].as_str().expect("a root hash");
        assert!(String::from_utf8_lossy(&formatted.stdout).contains(root_hash), "{blocks}");
        assert!(bench.read("theirs.img") == root, "{blocks}: every byte of the tree");
    }
}

#[test]
fn veritysetup_refuses_a_flipped_bit_of_data_and_of_the_tree() {
    let bench = bench();
    bench.write("root.img", &file_system(300));
    let packed = bench.json(&format!("{PACK} --part command-line=line --part rootfs=root.img -o x.slot"));
    let root = part(&bench, &packed, "rootfs");
    for at in [0, 299 * BLOCK + 17, 300 * BLOCK, root.len() - BLOCK] {
        let mut flipped = root.clone();
        flipped[at] ^= 1;
        bench.write("packed.img", &flipped);
        assert!(!veritysetup(&bench, "verify", "packed.img", &packed).status.success(), "{at}");
    }
}

#[test]
fn the_command_line_says_what_the_kernel_needs_and_a_loader_accepts_it() {
    let bench = bench();
    bench.write("root.img", &file_system(5));
    bench.write("nothing", b"");
    for (line, before) in [("line", "console=ttyAMA0 quiet "), ("nothing", "")] {
        // The tree is made before the command line is packed, whatever their order.
        for parts in [format!("--part command-line={line} --part rootfs=root.img"), format!("--part rootfs=root.img --part command-line={line}")] {
            let packed = bench.json(&format!("{PACK} {parts} -o x.slot"));
            let (salt, root_hash) = (packed["verity"]["salt"].as_str().expect("a salt"), packed["verity"]["root_hash"].as_str().expect("a hash"));
            let text = String::from_utf8(part(&bench, &packed, "command-line")).expect("text");
            assert_eq!(text, format!("{before}rootfs.verity=5,{salt},{root_hash}"));
            bench.done("sign x.slot --key owner.key.pem");
            bench.done("verify x.slot --trust trust.toml --product lamp");
        }
    }
    let words = bench.done(&format!("{PACK} --part command-line=line --part rootfs=root.img -o x.slot"));
    assert!(words.contains("  dm-verity: 5 blocks of data, hash tree at 0x5000 of the rootfs\n"), "{words}");
}

#[test]
fn the_same_inputs_give_the_same_bytes_and_another_version_another_salt() {
    let bench = bench();
    bench.write("root.img", &file_system(130));
    let parts = "--part command-line=line --part rootfs=root.img";
    let first = bench.json(&format!("{PACK} {parts} -o one.slot"));
    bench.done(&format!("{PACK} {parts} -o two.slot"));
    assert!(bench.read("one.slot") == bench.read("two.slot"));
    let next = bench.json(&format!("{} {parts} -o x.slot", PACK.replace("1.2.3+4", "1.2.3+5")));
    assert_ne!(first["verity"]["salt"], next["verity"]["salt"]);
    assert_ne!(first["verity"]["root_hash"], next["verity"]["root_hash"]);
}

/// 600 MiB in 512 MiB of addresses.
#[test]
fn memory_does_not_grow_with_the_file_system() {
    let bench = bench();
    let large = std::fs::File::create(bench.path("root.img")).expect("a file");
    large.set_len(600 << 20).expect("a sparse file");
    let arguments = format!("{PACK} --part command-line=line --part rootfs=root.img -o x.slot");
    let limited = format!("ulimit -v 524288 && exec {} {arguments}", env!("CARGO_BIN_EXE_hosttool"));
    let output = Command::new("sh").args(["-c", &limited]).current_dir(bench.path("")).output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What is wrong, and what to do; nothing is left behind.
#[test]
fn what_can_not_be_protected_is_refused_by_its_name() {
    let bench = bench();
    bench.write("root.img", &file_system(2));
    bench.write("odd.img", &[7; 5000]);
    bench.write("empty.img", b"");
    bench.write("described", b"quiet rootfs.verity=1");
    bench.write("broken", b"quiet\n");
    bench.write("long", &[b'x'; 1790]);
    let hash = "ab".repeat(32);
    let both = |line: &str, root: &str| format!("{PACK} --part command-line={line} --part rootfs={root} -o x.slot");
    let cases = [
        (format!("{PACK} --part command-line=line -o x.slot"), 2, "--verity needs a root file system: add --part rootfs=FILE, or leave --verity out"),
        (format!("{PACK} --part rootfs=root.img -o x.slot"), 2, "--verity puts the root hash on the command line: add --part command-line=FILE"),
        (both("line", &format!("root.img,root-hash={hash}")), 2, "--verity makes the root hash: leave root-hash= out, or --verity"),
        (format!("{} --align 1024", both("line", "root.img")), 2, "--verity needs parts that start at blocks of 4096 bytes"),
        (both("line", "odd.img"), 1, "odd.img: has 5000 bytes, which are not whole blocks of 4096: `truncate -s 8192` pads it with zeros (code 216 "),
        (both("line", "empty.img"), 1, "empty.img: is empty: pack the image of a file system (code 216 VerityImpossible)"),
        (both("described", "root.img"), 1, "described: has rootfs.verity= already: leave it out, --verity adds it (code 216 VerityImpossible)"),
        (both("broken", "root.img"), 1, "(code 31 ForbiddenCommandLine)"),
        (both("long", "root.img"), 1, "(code 32 CommandLineTooLong)"),
        (both("line", "."), 2, ".: is not a regular file: --verity reads a root file system twice"),
        (both("line", "missing"), 2, "missing: can not be read"),
        (both("line", "root.img").replace(" --verity", ""), 2, "--part rootfs=root.img needs --verity, which makes its hash tree, or root-hash=HEX"),
    ];
    let files = bench.files();
    for (arguments, code, message) in cases {
        let ran = bench.run(&arguments);
        assert!(ran.code == code && ran.stderr.contains(message), "{arguments}: {ran:?}");
        assert_eq!(bench.files(), files, "{arguments} left a file behind");
    }
}
