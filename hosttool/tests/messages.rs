//! What every command prints, as committed text: reports, refusals and failures, for people and as JSON. Keys are the published ones, so that
//! nothing depends on chance.

mod support;

use std::fmt::Write as _;

use support::{Bench, LAYOUT, assert_snapshot, firmware};

/// A bench whose every byte is the same every time.
fn fixed() -> Bench {
    let bench = Bench::new();
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../qemu-boards/test-keys");
    for file in ["key-1.key.pem", "key-1.pub.pem", "key-2.pub.pem", "key-2.key.pem", "key-3.key.pem"] {
        bench.write(file, &std::fs::read(format!("{keys}/{file}")).expect("a published key"));
    }
    bench.write("layout.toml", LAYOUT.as_bytes());
    bench.write("firmware.bin", &firmware(5000));
    bench
}

/// Runs commands one after the other and writes down what each printed.
fn transcript(bench: &Bench, commands: &[&str]) -> String {
    commands.iter().fold(String::new(), |mut text, command| {
        let ran = bench.run(command);
        let written = write!(text, "$ hosttool {command}\n{}{}[exit code {}]\n\n", ran.stdout, ran.stderr, ran.code);
        assert!(written.is_ok());
        text
    })
}

/// From keys to a journal, everything going well.
const REPORTS: [&str; 17] = [
    "trust --key key-1.pub.pem --key key-2.pub.pem --threshold 1 --floor 2 -o trust.toml",
    "pack --product lamp --version 1.2.3+4 --security-counter 3 --slot a --build-id c0ffee --part firmware=firmware.bin -o a.slot",
    "sign a.slot --key key-1.key.pem",
    "sign --prepare a.slot -o tbs",
    "verify a.slot --trust trust.toml --product lamp --hw 2 --slot a",
    "bundle a.slot -o a.bundle",
    "inspect a.slot",
    "inspect a.bundle",
    "layout check layout.toml",
    "assemble --layout layout.toml --trust trust.toml --slot a=a.slot --trial a -o flash.img",
    "explain flash.img --layout layout.toml",
    "explain flash.img --layout layout.toml --trust trust.toml --reset-cause watchdog",
    "journal show flash.img --layout layout.toml",
    "journal confirm flash.img --layout layout.toml --trust trust.toml --slot a",
    "journal repair flash.img --layout layout.toml --trust trust.toml",
    "flash --layout layout.toml --slot a=a.slot --dry-run",
    "explain a.slot",
];

#[test]
fn reports_in_words() {
    assert_snapshot("reports.txt", &transcript(&fixed(), &REPORTS));
}

#[test]
fn reports_in_json() {
    let commands = REPORTS.map(|command| format!("--json {command}"));
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    assert_snapshot("reports-json.txt", &transcript(&fixed(), &commands));
}

/// What people get wrong.
const FAILURES: [&str; 44] = [
    "",
    "pock",
    "keygen",
    "keygen --out no/such/folder/k",
    "keygen --out key-1",
    "keygen --out k --passphrase-file missing",
    "keygen --out k --passphrase-file empty",
    "trust --threshold 1 -o t.toml",
    "trust --key key-1.pub.pem --threshold 0 -o t.toml",
    "trust --key key-1.pub.pem --threshold 2 -o t.toml",
    "trust --key key-1.pub.pem --key key-1.pub.pem --threshold 1 -o t.toml",
    "trust --key key-1.key.pem --threshold 1 -o t.toml",
    "trust --key firmware.bin --threshold 1 -o t.toml",
    "pack --product lamp --version 1.2 --security-counter 1 --part firmware=firmware.bin -o x.slot",
    "pack --product thirty-three-bytes-of-product-name --version 1.2.3 --security-counter 1 --part firmware=firmware.bin -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter -1 --part firmware=firmware.bin -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --slot c --part firmware=firmware.bin -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --align 1000 --part firmware=firmware.bin -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --hw 0x100000000 --part firmware=firmware.bin -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --revoke 00 --part firmware=firmware.bin -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --build-id 0 --part firmware=firmware.bin -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --part firmware -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --part firmware=missing -o x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --part firmware=firmware.bin -o missing/x.slot",
    "pack --product lamp --version 1.2.3 --security-counter 1 --part initrd=firmware.bin -o x.slot",
    "sign a.slot",
    "sign missing.slot --key key-1.key.pem",
    "sign a.slot --key key-1.pub.pem",
    "sign a.slot --key key-1.key.pem",
    "sign firmware.bin --key key-2.key.pem",
    "sign layout.toml --key key-2.key.pem",
    "sign --attach tbs --public key-1.pub.pem a.slot",
    "verify a.slot --trust missing.toml --product lamp",
    "verify a.slot --trust layout.toml --product lamp",
    "verify a.slot --trust trust.toml",
    "verify a.slot --trust trust.toml --product lump",
    "verify a.slot --trust trust.toml --product lamp --hw 32",
    "inspect firmware.bin",
    "explain firmware.bin",
    "assemble --layout layout.toml --slot c=a.slot -o f.img",
    "assemble --layout layout.toml --confirmed a -o f.img",
    "assemble --layout layout.toml --slot a=a.slot --confirmed a --trial a -o f.img",
    "journal show a.slot --layout layout.toml",
    "layout check broken.toml",
];

#[test]
fn refusals_and_failures_name_the_thing_the_reason_and_the_remedy() {
    let bench = fixed();
    bench.write("empty", b"");
    bench.write("broken.toml", LAYOUT.replace("offset = 0x12000", "offset = 0x11000").as_bytes());
    for command in &REPORTS[..4] {
        bench.done(command);
    }
    let files = bench.files();
    assert_snapshot("failures.txt", &transcript(&bench, &FAILURES));
    assert_eq!(bench.files(), files, "a failure leaves nothing behind");
}

#[test]
fn refusals_in_json_have_a_stable_code_and_name() {
    let bench = fixed();
    for command in &REPORTS[..4] {
        bench.done(command);
    }
    let commands = [
        "--json verify a.slot --trust trust.toml --product lump",
        "--json sign a.slot --key key-1.key.pem",
        "--json sign missing --key key-1.key.pem",
    ];
    assert_snapshot("failures-json.txt", &transcript(&bench, &commands));
}
