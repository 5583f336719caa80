//! Requests to the device mapper, as bytes: `struct dm_ioctl`, and for a table one `struct dm_target_spec` with its parameters behind it.
//!
//! Source: Linux, `include/uapi/linux/dm-ioctl.h`, version 4.0 of the interface.

use std::io;

use rustix::fs::Dev;

/// `sizeof(struct dm_ioctl)`.
pub(super) const HEAD: usize = 312;

/// `sizeof(struct dm_target_spec)`.
const SPEC: usize = 40;

/// Bytes of every request: enough for the parameters of a verity target.
const SIZE: usize = 1024;

/// A request and the kernel's answer.
pub(super) type Request = [u8; SIZE];

/// Offsets in `struct dm_ioctl`.
const VERSION: usize = 0;
const DATA_SIZE: usize = 12;
const DATA_START: usize = 16;
const TARGET_COUNT: usize = 20;
const FLAGS: usize = 28;
const DEVICE: usize = 40;
const NAME: usize = 48;

/// `DM_NAME_LEN`, its NUL included.
const NAME_SIZE: usize = 128;

/// `DM_READONLY_FLAG`.
const READ_ONLY: u32 = 1;

/// The one target of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The kernel's name of it, up to 15 bytes.
    pub(super) kind: &'static str,
    pub(super) sectors: u64,
    pub(super) parameters: String,
}

/// A request that names a device and says no more.
pub(super) fn plain(name: &str) -> Request {
    debug_assert!(name.len() < NAME_SIZE, "names are constants");
    let mut request = [0; SIZE];
    put(&mut request, VERSION, &4_u32.to_ne_bytes());
    put(&mut request, DATA_SIZE, &(SIZE as u32).to_ne_bytes());
    put(&mut request, DATA_START, &(HEAD as u32).to_ne_bytes());
    put(&mut request, NAME, name.as_bytes());
    request
}

/// A request that gives a device a table of one target, for reading only.
///
/// # Errors
/// The parameters are too long.
pub(super) fn table(name: &str, target: &Target) -> io::Result<Request> {
    let parameters = HEAD + SPEC;
    if target.parameters.len() >= SIZE - parameters {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the parameters of the table are too long"));
    }
    let mut request = plain(name);
    put(&mut request, TARGET_COUNT, &1_u32.to_ne_bytes());
    put(&mut request, FLAGS, &READ_ONLY.to_ne_bytes());
    put(&mut request, HEAD + 8, &target.sectors.to_ne_bytes());
    put(&mut request, HEAD + 24, target.kind.as_bytes());
    put(&mut request, parameters, target.parameters.as_bytes());
    Ok(request)
}

/// The number of the device, from the kernel's answer.
pub(super) fn device(answer: &Request) -> Dev {
    let mut number = [0; 8];
    number.copy_from_slice(&answer[DEVICE..DEVICE + 8]);
    u64::from_ne_bytes(number)
}

fn put(request: &mut Request, at: usize, bytes: &[u8]) {
    request[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A C program with the kernel's own header fills in the same requests.
    #[test]
    fn requests_are_the_ones_that_the_kernels_header_describes() {
        let target = Target { kind: "verity", sectors: 0x0012_3456_789a, parameters: "1 2 3".to_owned() };
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("request.c");
        std::fs::write(&source, include_str!("../../tests/dm_request.c")).expect("a source");
        let program = folder.path().join("request");
        let compiled = std::process::Command::new("cc").arg(&source).arg("-o").arg(&program).status().expect("cc");
        assert!(compiled.success());
        let expected = std::process::Command::new(&program).output().expect("the program runs").stdout;
        let ours = [plain("some-name"), table("some-name", &target).expect("a request")].concat();
        assert!(ours == expected);
    }

    #[test]
    fn parameters_that_do_not_fit_are_refused() {
        let long = |len| Target { kind: "verity", sectors: 1, parameters: "x".repeat(len) };
        assert!(table("n", &long(SIZE - HEAD - SPEC)).is_err());
        let request = table("n", &long(SIZE - HEAD - SPEC - 1)).expect("a request");
        assert_eq!(request.last(), Some(&0), "the kernel wants a NUL");
    }

    #[test]
    fn the_number_of_a_device_is_where_the_kernel_writes_it() {
        let mut answer = plain("n");
        answer[40..48].copy_from_slice(&rustix::fs::makedev(252, 300).to_ne_bytes());
        assert_eq!((rustix::fs::major(device(&answer)), rustix::fs::minor(device(&answer))), (252, 300));
    }
}
