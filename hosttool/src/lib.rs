//! The host tool: packs, signs, verifies, inspects, explains, assembles and flashes Twinslot images.
//!
//! Every codec is `twinslot_bootloader`'s: what this tool writes and accepts is what a loader reads. Commands return data ([`report`]); only the
//! binary prints. Output files appear whole or not at all ([`output`]).
#![forbid(unsafe_code)]

pub mod assemble;
pub mod board_memory;
pub mod bundle_file;
pub mod chunk_table;
pub mod cli;
pub mod commands;
pub mod describe;
pub mod flash;
pub mod flash_file;
pub mod handoff_view;
pub mod hex;
pub mod image_file;
pub mod journal_view;
pub mod keys;
pub mod loader_elf;
pub mod next_boot;
pub mod output;
pub mod pack;
pub mod plain_words;
pub mod recognize;
pub mod refusal;
pub mod report;
pub mod verity;
