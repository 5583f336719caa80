//! Hundreds of damaged files: each ends in a report or a named error, never in a panic. In one process, so that it is quick.

mod support;

use clap::Parser as _;
use hosttool::{
    cli::Cli,
    report::{Failure, Outcome},
};
use support::{Bench, LAYOUT};

/// SplitMix64 (Steele, Lea, Flood 2014), from a fixed seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    /// A copy with a few bytes changed, and sometimes cut short.
    fn damage(&mut self, bytes: &[u8], focus: usize) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(focus.min(damaged.len()));
            damaged[at] = self.next() as u8;
        }
        if self.below(4) == 0 {
            damaged.truncate(self.below(bytes.len()));
        }
        damaged
    }
}

fn run(bench: &Bench, arguments: &str) -> Outcome {
    let path = |word: &str| if word.contains('.') { bench.path(word).display().to_string() } else { word.to_owned() };
    let words = std::iter::once("hosttool".to_owned()).chain(arguments.split(' ').map(path));
    Cli::try_parse_from(words).expect("good arguments").command.run()
}

/// Gives damaged copies of a file to commands; counts how many were refused.
fn refused(bench: &Bench, file: &str, focus: usize, rounds: usize, commands: &[&str]) -> usize {
    let good = bench.read(file);
    let mut chance = Chance(file.len() as u64 + focus as u64);
    let mut refused = 0;
    for _ in 0..rounds {
        bench.write("damaged.bin", &chance.damage(&good, focus));
        for command in commands {
            refused += usize::from(matches!(run(bench, command), Err(Failure::Refused(_))));
        }
    }
    refused
}

/// Makes the CRC of a damaged header right again, so that the damage reaches what stands behind it.
fn seal(header: &mut [u8]) {
    let crc = crc32(&header[..1020]);
    header[1020..1024].copy_from_slice(&crc.to_le_bytes());
}

/// CRC-32 (ISO-HDLC), bit by bit. Source: RFC 1952 section 8.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 });
    !bytes.iter().fold(!0, step)
}

#[test]
fn damaged_images_and_bundles_are_refused_by_name() {
    let bench = Bench::with_owner();
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    bench.done("bundle x.slot -o x.bundle");
    let slot = ["inspect damaged.bin", "verify damaged.bin --trust trust.toml --product lamp", "sign damaged.bin --key owner.key.pem"];
    assert!(refused(&bench, "x.slot", 1024, 100, &slot) > 250);
    assert!(refused(&bench, "x.bundle", 1100, 200, &["inspect damaged.bin"]) > 150);
}

#[test]
fn damage_behind_a_right_crc_is_refused_by_name() {
    let bench = Bench::with_owner();
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    let good = bench.read("x.slot");
    let mut chance = Chance(7);
    for _ in 0..200 {
        let mut damaged = chance.damage(&good, 160);
        damaged.resize(good.len(), 0);
        if damaged[..732] == good[..732] {
            continue;
        }
        seal(&mut damaged);
        bench.write("damaged.bin", &damaged);
        let verified = run(&bench, "verify damaged.bin --trust trust.toml --product lamp");
        assert!(matches!(verified, Err(Failure::Refused(_))), "{:?}", verified.map(|report| report.text()));
        drop(run(&bench, "inspect damaged.bin"));
    }
}

#[test]
fn damaged_journals_are_explained_without_a_panic() {
    let bench = Bench::with_owner();
    bench.signed("a.slot", "--version 1.0.0 --security-counter 1");
    bench.done("assemble --layout layout.toml --trust trust.toml --slot a=a.slot --trial a -o flash.img");
    let flash = bench.read("flash.img");
    bench.write("journal.bin", &flash[..0x2000]);
    refused(&bench, "journal.bin", 130, 100, &["explain damaged.bin --layout layout.toml"]);
    refused(
        &bench,
        "flash.img",
        0x2080,
        10,
        &["explain damaged.bin --layout layout.toml --trust trust.toml", "journal show damaged.bin --layout layout.toml"],
    );
}

#[test]
fn damaged_layouts_keys_and_trust_files_are_refused_by_name() {
    let bench = Bench::with_owner();
    assert!(refused(&bench, "layout.toml", LAYOUT.len(), 200, &["layout check damaged.bin"]) > 120);
    bench.signed("x.slot", "--version 1.0.0 --security-counter 1");
    assert!(refused(&bench, "trust.toml", 1000, 100, &["verify x.slot --trust damaged.bin --product lamp"]) > 60);
    assert!(refused(&bench, "owner.key.pem", 1000, 100, &["sign x.slot --key damaged.bin"]) > 60);
    assert!(refused(&bench, "owner.pub.pem", 1000, 100, &["trust --key damaged.bin --threshold 1 -o out.toml"]) > 30);
}
