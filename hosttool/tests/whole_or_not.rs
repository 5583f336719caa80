//! Output files appear whole or not at all, and signers do not lose each other's work.

mod support;

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::Bench;

/// The input is a pipe that nobody writes to the end, so the tool is killed in the middle of its work for certain.
#[test]
fn a_killed_pack_leaves_the_old_image_as_it_was() {
    use std::io::Write as _;
    let bench = Bench::with_owner();
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    let before = bench.read("x.slot");
    bench.other("mkfifo", "pipe");
    let mut child = Command::new(env!("CARGO_BIN_EXE_hosttool"))
        .args("pack --product lamp --version 2.0.0 --security-counter 1 --part firmware=pipe -o x.slot".split(' '))
        .current_dir(bench.path(""))
        .stdout(Stdio::null())
        .spawn()
        .expect("the host tool runs");
    let mut pipe = std::fs::OpenOptions::new().write(true).open(bench.path("pipe")).expect("the pipe's other end");
    pipe.write_all(&[7; 100_000]).expect("a part of the input");
    let started = Instant::now();
    while !bench.files().iter().any(|name| name.starts_with(".hosttool-")) {
        assert!(started.elapsed() < Duration::from_secs(60), "no temporary file: {:?}", bench.files());
        std::thread::yield_now();
    }
    child.kill().expect("a kill");
    child.wait().expect("an end");
    assert!(bench.read("x.slot") == before);
}

#[test]
fn a_missing_input_leaves_nothing_behind() {
    let bench = Bench::with_owner();
    let files = bench.files();
    let ran = bench.run("pack --product lamp --version 2.0.0 --security-counter 1 --part firmware=firmware.bin --part aux1=missing -o x.slot");
    assert_eq!((ran.code, ran.stderr.as_str()), (2, "hosttool: missing: can not be read: No such file or directory (os error 2)\n"));
    assert_eq!(bench.files(), files);
}

#[test]
fn an_output_that_is_no_file_is_not_replaced() {
    let bench = Bench::with_owner();
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    bench.other("mkfifo", "pipe");
    bench.other("ln", "-s /dev/null link");
    let files = bench.files();
    for output in ["pipe", "link"] {
        let ran = bench.run(&format!("bundle x.slot -o {output}"));
        let message = format!("hosttool: {output}: is not a regular file and is not replaced: choose another output\n");
        assert_eq!((ran.code, ran.stderr), (2, message));
    }
    assert_eq!(bench.files(), files);
}

#[test]
fn an_output_that_is_an_input_is_not_replaced() {
    let bench = Bench::with_owner();
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    bench.other("ln", "x.slot same.slot");
    let files = bench.files();
    let pack = "pack --product lamp --version 1.0.0 --security-counter 1 --part firmware=firmware.bin -o firmware.bin";
    for (command, output) in [
        ("bundle x.slot -o x.slot", "x.slot"),
        ("bundle x.slot -o same.slot", "same.slot"),
        ("sign x.slot --prepare -o x.slot", "x.slot"),
        (pack, "firmware.bin"),
    ] {
        let ran = bench.run(command);
        assert_eq!((ran.code, ran.stderr), (2, format!("hosttool: {output}: is an input and is not replaced: choose another output\n")));
    }
    assert_eq!(bench.files(), files);
}

#[test]
fn four_signers_at_once_all_leave_their_signature() {
    let bench = Bench::with_owner();
    bench.done("pack --product lamp --version 1.0.0 --security-counter 1 --part firmware=firmware.bin -o x.slot");
    for name in ["one", "two", "three", "four"] {
        bench.done(&format!("keygen --out {name}"));
    }
    let sign = |name: &str| {
        let key = format!("{name}.key.pem");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hosttool"));
        command.args(["sign", "x.slot", "--key", &key]).current_dir(bench.path("")).stdout(Stdio::null()).spawn().expect("a signer")
    };
    for mut signer in ["one", "two", "three", "four"].map(sign) {
        assert!(signer.wait().expect("an end").success());
    }
    assert_eq!(bench.json("inspect x.slot")["header"]["signed_by"].as_array().map(Vec::len), Some(4));
}
