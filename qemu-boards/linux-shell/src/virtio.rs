//! A virtio block device behind memory-mapped registers, as a disk.
//!
//! Guarantee: every wait has an end. A device that does not answer in time is reset, and not used again in this boot. [`Disk::rest`] resets the
//! device, after which it has no queue to work on; the next operation starts it anew.

mod hal;

use core::ptr::NonNull;

use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceStatus, DeviceType, Transport};

use crate::disk::{Disk, DiskError, SECTOR};
use crate::machine::Machine;
use hal::Identity;

/// Descriptors of the queue: a request takes three.
const QUEUE_SIZE: usize = 4;

/// How long a device may take for one request, and for a reset.
const PATIENCE_MICROSECONDS: u64 = 30_000_000;

/// Bytes of the largest request, so that [`PATIENCE_MICROSECONDS`] is for a bounded amount of work.
const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// Feature bits. Source: virtio 1.2, sections 5.2.3 and 6.
const FLUSH: u64 = 1 << 9;
const VERSION_1: u64 = 1 << 32;

/// The serial number of the disk that is meant, where there are several.
const SERIAL: &[u8] = b"twinslot";

/// What is asked of a device. Source: virtio 1.2, section 5.2.6.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
enum Request {
    Read = 0,
    Write = 1,
    Flush = 4,
    Serial = 8,
}

/// The bytes of a request.
enum Payload<'a> {
    From(&'a [u8]),
    Into(&'a mut [u8]),
    Nothing,
}

/// The register blocks that devices may be behind.
#[derive(Debug, Clone, Copy)]
pub struct Slots {
    first: usize,
    stride: usize,
    count: usize,
}

impl Slots {
    /// `count` blocks, `stride` bytes apart.
    ///
    /// # Safety
    /// Each is the register block of a virtio-mmio transport of this machine, used by nothing but disks found through this value. Devices see memory
    /// at the addresses that Rust code sees it at.
    #[expect(unsafe_code, reason = "whoever names an address vouches for what is there")]
    #[must_use]
    pub const unsafe fn at(first: usize, stride: usize, count: usize) -> Self {
        Self { first, stride, count }
    }

    /// The transport in a slot, when there is a disk.
    #[expect(unsafe_code, reason = "a device is reached by its address")]
    fn disk(self, number: usize) -> Option<MmioTransport<'static>> {
        let address = self.first.checked_add(number.checked_mul(self.stride)?)?;
        let header = NonNull::new(core::ptr::with_exposed_provenance_mut::<VirtIOHeader>(address))?;
        // SAFETY: `at` was promised a register block of this size here for as long as the program runs; a disk keeps one transport at a time.
        let transport = unsafe { MmioTransport::new(header, self.stride) }.ok()?;
        (transport.device_type() == DeviceType::Block).then_some(transport)
    }
}

/// A disk.
#[derive(Debug)]
pub struct VirtioDisk<'m, M> {
    slots: Slots,
    number: usize,
    machine: &'m M,
    running: Option<Running>,
    failed: Option<DiskError>,
}

/// A device that has its queue. The transport is dropped first: that resets the device, before the memory of the queue is given back.
struct Running {
    transport: MmioTransport<'static>,
    queue: VirtQueue<Identity, QUEUE_SIZE>,
    flushes: Flushes,
}

impl core::fmt::Debug for Running {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Running").field("flushes", &self.flushes).finish_non_exhaustive()
    }
}

/// Whether a device has a volatile cache to flush. One that does not offer flushing writes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flushes {
    Needed,
    WritesThrough,
}

impl<'m, M: Machine> VirtioDisk<'m, M> {
    /// The only disk in `slots`, or the one with the serial number `twinslot`.
    ///
    /// # Errors
    /// There is none, or nothing tells which one.
    pub fn find(slots: Slots, machine: &'m M) -> Result<Self, DiskError> {
        let at = |number| Self { slots, number, machine, running: None, failed: None };
        let mut disks = (0..slots.count).filter(|number| slots.disk(*number).is_some());
        let first = disks.next().ok_or(DiskError::Absent)?;
        if disks.next().is_none() {
            return Ok(at(first));
        }
        let mut meant = (first..slots.count).filter(|number| slots.disk(*number).is_some() && at(*number).has_serial());
        let found = meant.next().ok_or(DiskError::Ambiguous)?;
        if meant.next().is_some() { Err(DiskError::Ambiguous) } else { Ok(at(found)) }
    }

    fn has_serial(mut self) -> bool {
        let mut serial = [0; 20];
        let answered = self.request(Request::Serial, 0, Payload::Into(&mut serial)).and_then(|()| self.rest());
        answered.is_ok() && serial.split(|byte| *byte == 0).next() == Some(SERIAL)
    }

    /// The running device; it is started when it is at rest.
    fn running(&mut self) -> Result<&mut Running, DiskError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let started = match self.running.take() {
            Some(running) => running,
            None => Running::start(self.slots.disk(self.number).ok_or(DiskError::Absent)?)?,
        };
        Ok(self.running.insert(started))
    }

    /// One request, from its start to its end.
    fn request(&mut self, request: Request, sector: u64, payload: Payload<'_>) -> Result<(), DiskError> {
        let machine = self.machine;
        let answered = self.running()?.answer(request, sector, payload, machine);
        if answered == Err(DiskError::TimedOut) {
            self.failed = Some(self.rest().err().unwrap_or(DiskError::TimedOut));
        }
        answered
    }
}

impl<M: Machine> Disk for VirtioDisk<'_, M> {
    /// Source: virtio 1.2, section 5.2.4.
    fn sectors(&mut self) -> Result<u64, DiskError> {
        let running = self.running()?;
        let word = |offset| running.transport.read_config_space::<u32>(offset).map(u64::from).map_err(|_| DiskError::NotVirtio);
        Ok(word(0)? | word(4)? << 32)
    }

    fn read(&mut self, sector: u64, bytes: &mut [u8]) -> Result<(), DiskError> {
        let mut at = sector;
        for piece in bytes.chunks_mut(MAX_REQUEST) {
            let sectors = (piece.len() / SECTOR) as u64;
            self.request(Request::Read, at, Payload::Into(piece))?;
            at += sectors;
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut at = sector;
        for piece in bytes.chunks(MAX_REQUEST) {
            self.request(Request::Write, at, Payload::From(piece))?;
            at += (piece.len() / SECTOR) as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        match self.running()?.flushes {
            Flushes::Needed => self.request(Request::Flush, 0, Payload::Nothing),
            Flushes::WritesThrough => Ok(()),
        }
    }

    fn rest(&mut self) -> Result<(), DiskError> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let stopped = running.stop(self.machine);
        if let Err(error) = stopped {
            self.failed = Some(error);
            // Its queue's memory is never given to anybody else.
            core::mem::forget(running);
        }
        stopped
    }
}

impl Running {
    /// Starts a device. Source: virtio 1.2, section 3.1.1; 4.2.4 for devices of before version 1.
    fn start(mut transport: MmioTransport<'static>) -> Result<Self, DiskError> {
        transport.set_status(DeviceStatus::empty());
        transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
        let features = transport.read_device_features() & (FLUSH | VERSION_1);
        transport.write_driver_features(features);
        let ready = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK;
        transport.set_status(ready);
        if !transport.requires_legacy_layout() && !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(DiskError::NotVirtio);
        }
        transport.set_guest_page_size(virtio_drivers::PAGE_SIZE as u32);
        let queue = VirtQueue::new(&mut transport, 0, false, false).map_err(|_| DiskError::NotVirtio)?;
        transport.set_status(ready | DeviceStatus::DRIVER_OK);
        let flushes = if features & FLUSH == 0 { Flushes::WritesThrough } else { Flushes::Needed };
        Ok(Self { transport, queue, flushes })
    }

    /// Resets the device and waits until it says that it has stopped.
    fn stop(&mut self, machine: &impl Machine) -> Result<(), DiskError> {
        self.transport.set_status(DeviceStatus::empty());
        let started = machine.microseconds();
        while !self.transport.get_status().is_empty() {
            if machine.microseconds().wrapping_sub(started) > PATIENCE_MICROSECONDS {
                return Err(DiskError::Restless);
            }
            machine.pause();
        }
        Ok(())
    }

    fn answer(&mut self, request: Request, sector: u64, payload: Payload<'_>, machine: &impl Machine) -> Result<(), DiskError> {
        let mut head = [0; 16];
        let (kind, place) = head.split_at_mut(8);
        kind.split_at_mut(4).0.copy_from_slice(&(request as u32).to_le_bytes());
        place.copy_from_slice(&sector.to_le_bytes());
        let mut status = [u8::MAX];
        match payload {
            Payload::From(bytes) => self.exchange(&[&head, bytes], &mut [&mut status], machine)?,
            Payload::Into(bytes) => self.exchange(&[&head], &mut [bytes, &mut status], machine)?,
            Payload::Nothing => self.exchange(&[&head], &mut [&mut status], machine)?,
        }
        match status {
            [0] => Ok(()),
            [2] => Err(DiskError::Unsupported),
            _ => Err(DiskError::Failed),
        }
    }

    /// Puts one chain of buffers into the queue and waits until it comes back. When it does not in time, the device is reset before the buffers are
    /// anybody else's again.
    #[expect(unsafe_code, reason = "buffers are lent to a device")]
    fn exchange<'a>(&mut self, inputs: &'a [&'a [u8]], outputs: &'a mut [&'a mut [u8]], machine: &impl Machine) -> Result<(), DiskError> {
        // SAFETY: this function does not return before the chain has come back, or the device was reset and has stopped; until then the buffers are
        // borrowed and not touched.
        let token = unsafe { self.queue.add(inputs, outputs) }.map_err(|_| DiskError::NotVirtio)?;
        self.transport.notify(0);
        let started = machine.microseconds();
        while !self.queue.can_pop() {
            if machine.microseconds().wrapping_sub(started) > PATIENCE_MICROSECONDS {
                self.stop(machine)?;
                return Err(DiskError::TimedOut);
            }
            machine.pause();
        }
        // SAFETY: these are the buffers that were added.
        unsafe { self.queue.pop_used(token, inputs, outputs) }.map(|_| ()).map_err(|_| DiskError::NotVirtio)
    }
}
