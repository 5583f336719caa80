//! A QEMU plugin that counts what a board executes, traces what it stores, and can cut its power at a chosen instruction or flash store.
//!
//! Guarantees: with `-icount` two runs of one image give the same counts, and a cut at number N always meets the same instruction. A cut is
//! SIGKILL to QEMU's own process: nothing of the emulator runs afterwards. The plugin never changes what the guest does.
//!
//! It is told what to do by a plan file (`-plugin file=...,plan=FILE`, see [`plan`]) and answers with a report file of `name count` lines.

mod counters;
mod plan;
mod qemu;
mod trace;
