//! The journal's two mirrored logs under torn records, read errors, failing writes and records of other layouts.

mod commits;
mod erasing;
mod layouts;
mod logs;
mod records;
mod sequences;
mod unreadable;
