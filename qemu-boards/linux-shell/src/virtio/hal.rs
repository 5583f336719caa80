//! Memory for a queue, on a machine whose devices see memory as the processor does.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Pages of a queue: two for a device of before version 1, one for each direction otherwise.
const PAGES: usize = 2;

#[repr(C, align(4096))]
struct Pool(UnsafeCell<[[u8; PAGE_SIZE]; PAGES]>);

#[expect(unsafe_code, reason = "the pool is lent page by page")]
// SAFETY: a page is lent to one queue at a time (`LENT`), and only by address.
unsafe impl Sync for Pool {}

static POOL: Pool = Pool(UnsafeCell::new([[0; PAGE_SIZE]; PAGES]));

/// How many pages are lent. A queue gives all of its pages back before the next one is made, so this also tells which are free.
static LENT: AtomicUsize = AtomicUsize::new(0);

/// Memory without translation.
#[derive(Debug)]
pub(super) struct Identity;

#[expect(unsafe_code, reason = "the crate's port is unsafe to implement")]
// SAFETY: pages are aligned, zeroed, and lent once until they come back; addresses are the same for devices (promised to `Slots::at`).
unsafe impl Hal for Identity {
    /// Address 0 tells the crate that there is no more.
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let first = LENT.load(Ordering::Relaxed);
        let end = first.saturating_add(pages);
        if end > PAGES {
            return (0, NonNull::dangling());
        }
        LENT.store(end, Ordering::Relaxed);
        let start = POOL.0.get().cast::<u8>().wrapping_add(first * PAGE_SIZE);
        // SAFETY: `first..end` are pages of the pool that are lent to nobody.
        unsafe { start.write_bytes(0, pages * PAGE_SIZE) };
        (start.expose_provenance() as PhysAddr, NonNull::new(start).unwrap_or(NonNull::dangling()))
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        LENT.fetch_sub(pages, Ordering::Relaxed);
        0
    }

    /// Used for PCI only, which is not used here.
    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(core::ptr::with_exposed_provenance_mut(address as usize)).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr().expose_provenance() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
