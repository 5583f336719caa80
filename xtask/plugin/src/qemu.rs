//! The few functions of QEMU's plugin interface that are used. The only unsafe code of the plugin.
#![expect(unsafe_code, reason = "QEMU's plugin interface is C")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::sync::OnceLock;

use crate::counters::{Counters, Seen};
use crate::plan::Plan;

/// The version of the plugin interface: 1 up to QEMU 8.2, 2 from QEMU 9.0 on. The functions used here are the same in both.
#[unsafe(no_mangle)]
pub(crate) static qemu_plugin_version: c_int = interface_version();

const fn interface_version() -> c_int {
    match option_env!("EMULATOR_PLUGIN_INTERFACE") {
        Some(version) if matches!(version.as_bytes(), b"2") => 2,
        _ => 1,
    }
}

/// QEMU's name for this plugin.
type PluginId = u64;
/// A block that is being translated; opaque.
type Block = c_void;
/// An instruction that is being translated; opaque.
type Instruction = c_void;

/// `QEMU_PLUGIN_CB_NO_REGS`: the callbacks read no registers.
const NO_REGISTERS: c_int = 0;
/// `QEMU_PLUGIN_MEM_W`: stores only.
const STORES: c_int = 2;
const SIGKILL: c_int = 9;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, callback: extern "C" fn(PluginId, *mut Block));
    fn qemu_plugin_register_vcpu_tb_exec_cb(block: *mut Block, callback: extern "C" fn(c_uint, *mut c_void), flags: c_int, data: *mut c_void);
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_mem_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, u32, u64, *mut c_void),
        flags: c_int,
        access: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_atexit_cb(id: PluginId, callback: extern "C" fn(PluginId, *mut c_void), data: *mut c_void);
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_mem_is_store(access: u32) -> bool;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn raise(signal: c_int) -> c_int;
}

static COUNTERS: OnceLock<Counters> = OnceLock::new();

/// QEMU loads the plugin.
#[unsafe(no_mangle)]
extern "C" fn qemu_plugin_install(id: PluginId, _info: *const c_void, argc: c_int, argv: *const *const c_char) -> c_int {
    let arguments = (0..usize::try_from(argc).unwrap_or(0)).map(|index| argument(argv, index));
    match read_plan(arguments) {
        Ok(plan) => install(id, plan),
        Err(error) => {
            eprintln!("emulator-plugin: {error}");
            1
        }
    }
}

fn argument(argv: *const *const c_char, index: usize) -> String {
    // SAFETY: QEMU passes an array of `argc` pointers and index < argc.
    let entry = unsafe { argv.add(index) };
    // SAFETY: as above; the array lives as long as the call.
    let pointer = unsafe { *entry };
    // SAFETY: each is a NUL-terminated string that lives as long as the call.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

fn read_plan(mut arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let path = arguments.find_map(|argument| argument.strip_prefix("plan=").map(str::to_owned)).ok_or("argument plan=FILE is missing")?;
    let text = std::fs::read_to_string(&path).map_err(|error| format!("can not read {path}: {error}"))?;
    Plan::parse(&text)
}

fn install(id: PluginId, plan: Plan) -> c_int {
    let set = Counters::new(plan).and_then(|counters| COUNTERS.set(counters).map_err(|_| "installed twice".to_owned()));
    if let Err(error) = set {
        eprintln!("emulator-plugin: {error}");
        return 1;
    }
    // SAFETY: called from the install function, with the id that QEMU gave and a function that lives as long as the process.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate) };
    // SAFETY: as above.
    unsafe { qemu_plugin_register_atexit_cb(id, on_exit, std::ptr::null_mut()) };
    0
}

extern "C" fn on_translate(_id: PluginId, block: *mut Block) {
    let Some(counters) = COUNTERS.get() else { return };
    // SAFETY: `block` is valid during this callback.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    if let Some(mark) = first_address(block, count).and_then(|address| counters.mark_at(address)) {
        // Before the block itself is counted. SAFETY: as above; the data is a number, not a pointer.
        unsafe { qemu_plugin_register_vcpu_tb_exec_cb(block, on_mark, NO_REGISTERS, std::ptr::without_provenance_mut(mark)) };
    }
    if !counters.counts_each_instruction() {
        // SAFETY: as above; the data is a number, not a pointer.
        unsafe { qemu_plugin_register_vcpu_tb_exec_cb(block, on_block, NO_REGISTERS, std::ptr::without_provenance_mut(count)) };
    }
    for index in 0..count {
        // SAFETY: `block` is valid during this callback and index < count.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        watch(counters, instruction);
    }
}

fn first_address(block: *mut Block, count: usize) -> Option<u64> {
    if count == 0 {
        return None;
    }
    // SAFETY: `block` is valid during the translation callback, and it has an instruction.
    let first = unsafe { qemu_plugin_tb_get_insn(block, 0) };
    // SAFETY: as above.
    Some(unsafe { qemu_plugin_insn_vaddr(first) })
}

fn watch(counters: &Counters, instruction: *mut Instruction) {
    // SAFETY: `instruction` is valid during the translation callback.
    let address = unsafe { qemu_plugin_insn_vaddr(instruction) };
    if counters.is_beyond_jump(address) {
        // SAFETY: as above.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_jump, NO_REGISTERS, std::ptr::null_mut()) };
    } else if counters.counts_each_instruction() {
        // Kept for good: QEMU may run the translation until it ends.
        let seen: *mut Seen = Box::leak(Box::new(counters.see(address)));
        // SAFETY: as above; the data lives as long as the process.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_instruction, NO_REGISTERS, seen.cast()) };
    }
    if counters.counts_stores() {
        // SAFETY: as above.
        unsafe { qemu_plugin_register_vcpu_mem_cb(instruction, on_store, NO_REGISTERS, STORES, std::ptr::null_mut()) };
    }
}

extern "C" fn on_instruction(_processor: c_uint, seen: *mut c_void) {
    // SAFETY: registered with a leaked `Seen`, which is never changed.
    let seen = unsafe { *seen.cast::<Seen>() };
    if let Some(counters) = COUNTERS.get() {
        counters.instruction(seen);
    }
}

extern "C" fn on_block(_processor: c_uint, count: *mut c_void) {
    if let Some(counters) = COUNTERS.get() {
        counters.block(u64::try_from(count.addr()).unwrap_or(u64::MAX));
    }
}

extern "C" fn on_mark(_processor: c_uint, mark: *mut c_void) {
    if let Some(counters) = COUNTERS.get() {
        counters.reach(mark.addr());
    }
}

/// QEMU 7.2 hands loads over as well, although stores were asked for.
extern "C" fn on_store(_processor: c_uint, access: u32, address: u64, _data: *mut c_void) {
    // SAFETY: a pure function of what QEMU passed.
    let is_store = unsafe { qemu_plugin_mem_is_store(access) };
    if let Some(counters) = COUNTERS.get().filter(|_| is_store) {
        counters.store(address);
    }
}

extern "C" fn on_jump(_processor: c_uint, _data: *mut c_void) {
    if let Some(counters) = COUNTERS.get() {
        counters.jump();
    }
}

extern "C" fn on_exit(_id: PluginId, _data: *mut c_void) {
    if let Some(counters) = COUNTERS.get().filter(|counters| !counters.counts_each_instruction()) {
        counters.write_report();
    }
}

/// Ends QEMU as a power cut ends a board: at once.
pub(crate) fn cut_power() {
    // SAFETY: raise has no preconditions. SIGKILL can not be caught.
    unsafe { raise(SIGKILL) };
}
