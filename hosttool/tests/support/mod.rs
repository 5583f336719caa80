//! A temporary folder in which the host tool runs, and inputs for it.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The layout that tests use: a small flash with one of every region, 4 KiB erase units.
pub(crate) const LAYOUT: &str = r#"
board = "bench"
product = "lamp"
hw = 2
chip = "nRF52840_xxAA"
flash = { base = 0x10000000, size = 0x80000, write_size = 4, erase_size = 4096, tear_size = 4 }
loader = { offset = 0x70000, size = 0x10000 }
journal = { offset = 0, size = 0x2000 }
slot-a = { offset = 0x2000, size = 0x10000 }
slot-b = { offset = 0x12000, size = 0x10000 }
golden = { offset = 0x22000, size = 0x10000 }
staging = { offset = 0x32000, size = 0x20000 }
ram = [{ base = 0x20000000, size = 0x4000, use = "loader" }, { base = 0x20004000, size = 0x8000, use = "image" }]
"#;

/// A folder and the tool.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// What a run printed, with the folder's path left out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A folder with key `owner`, `trust.toml` (1 of 1), `layout.toml` and `firmware.bin`.
    pub(crate) fn with_owner() -> Self {
        let bench = Self::new();
        bench.write("layout.toml", LAYOUT.as_bytes());
        bench.write("firmware.bin", &firmware(5000));
        bench.done("keygen --out owner");
        bench.done("trust --key owner.pub.pem --threshold 1 -o trust.toml");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("a written file");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file")
    }

    /// The names of all files, hidden ones included.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let mut names: Vec<String> = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Runs the tool in the folder; arguments are separated by spaces.
    pub(crate) fn run(&self, arguments: &str) -> Ran {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with(&self, arguments: &str, environment: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hosttool"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path()).env_remove("SOURCE_DATE_EPOCH");
        finish(command.envs(environment.iter().copied()))
    }

    /// Runs the tool and expects it to be done; gives what it printed.
    pub(crate) fn done(&self, arguments: &str) -> String {
        let ran = self.run(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "hosttool {arguments}\n{}", ran.stdout);
        ran.stdout
    }

    /// Runs the tool with `--json`.
    pub(crate) fn json(&self, arguments: &str) -> serde_json::Value {
        let ran = self.run(&format!("--json {arguments}"));
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("hosttool {arguments}: {error}: {ran:?}"))
    }

    /// Packs `firmware.bin` for slot rule `slot` as `name`, and lets the owner sign it.
    pub(crate) fn signed(&self, name: &str, options: &str) {
        self.done(&format!("pack --product lamp --part firmware=firmware.bin {options} -o {name}"));
        self.done(&format!("sign {name} --key owner.key.pem"));
    }

    /// Runs another program in the folder and expects success.
    pub(crate) fn other(&self, program: &str, arguments: &str) -> Vec<u8> {
        let output = Command::new(program).args(arguments.split_whitespace()).current_dir(self.folder.path()).output().expect(program);
        assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

fn finish(command: &mut Command) -> Ran {
    let output = command.output().expect("the host tool runs");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Ran { code: output.status.code().expect("an exit code"), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// A firmware of `len` bytes for slot A: a vector table and a pattern.
pub(crate) fn firmware(len: usize) -> Vec<u8> {
    firmware_at(0x1000_3000, len)
}

/// A firmware of `len` bytes that runs at `address`.
pub(crate) fn firmware_at(address: u32, len: usize) -> Vec<u8> {
    let vectors = [0x2000_4000_u32, address + 0x101].into_iter().flat_map(u32::to_le_bytes);
    vectors.chain((0..251).cycle().take(len - 8)).collect()
}

/// An arm64 kernel `Image` of `len` bytes that claims `memory` bytes (Linux `Documentation/arch/arm64/booting.rst`).
pub(crate) fn arm64_kernel(len: usize, memory: u64) -> Vec<u8> {
    let mut kernel = vec![0x5a; len];
    kernel[8..16].copy_from_slice(&0_u64.to_le_bytes());
    kernel[16..24].copy_from_slice(&memory.to_le_bytes());
    kernel[56..60].copy_from_slice(b"ARM\x64");
    kernel
}

/// Compares text with a committed file; `UPDATE_SNAPSHOTS=1` writes the file instead.
pub(crate) fn assert_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder of snapshots");
        std::fs::write(&path, text).expect("a written snapshot");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{} differs (UPDATE_SNAPSHOTS=1 accepts this):\n{text}", path.display());
}
