//! Fuzzes `twinslot_explorer::fuzzing::live`: bytes are a life with cuts and failures in it, and every rule of the design is checked after each step.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinslot_explorer::fuzzing::live(data));
