//! The device mapper's control device.
#![expect(unsafe_code, reason = "its requests are ioctls that read and write a buffer, which no safe interface covers")]

use std::fs::{File, OpenOptions};
use std::io;

use rustix::fs::Dev;
use rustix::ioctl::opcode::from_components;
use rustix::ioctl::{Direction, Opcode, Updater, ioctl};

use super::request::{self, HEAD, Request, Target};

/// Where devtmpfs has it.
pub(super) const PATH: &str = "/dev/mapper/control";

/// The opcodes. Source: Linux, `include/uapi/linux/dm-ioctl.h`.
const CREATE: Opcode = opcode(3);
const REMOVE: Opcode = opcode(4);
const SUSPEND: Opcode = opcode(6);
const LOAD: Opcode = opcode(9);

const fn opcode(number: u8) -> Opcode {
    from_components(Direction::ReadWrite, 0xfd, number, HEAD)
}

/// The open control device.
pub(super) struct Control {
    file: File,
}

impl Control {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().read(true).write(true).open(PATH)? })
    }

    /// A device without a table; gives its number.
    pub(super) fn create(&self, name: &str) -> io::Result<Dev> {
        let mut request = request::plain(name);
        self.send::<CREATE>(&mut request)?;
        Ok(request::device(&request))
    }

    /// Gives it a table, for reading only.
    pub(super) fn load(&self, name: &str, target: &Target) -> io::Result<()> {
        self.send::<LOAD>(&mut request::table(name, target)?)
    }

    /// Lets it work by its new table.
    pub(super) fn resume(&self, name: &str) -> io::Result<()> {
        self.send::<SUSPEND>(&mut request::plain(name))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.send::<REMOVE>(&mut request::plain(name))
    }

    fn send<const OPCODE: Opcode>(&self, request: &mut Request) -> io::Result<()> {
        // SAFETY: the opcodes above are the device mapper's. For them the kernel reads and writes as many bytes at the pointer as the field data_size
        // in them says, which `request` sets to the size of `Request`; any bytes are a valid `Request`.
        let update = unsafe { Updater::<OPCODE, Request>::new(request) };
        // SAFETY: the file is open while `self` lives, and the buffer that the kernel writes into is borrowed for the call.
        unsafe { ioctl(&self.file, update) }.map_err(io::Error::from)
    }
}
