//! The writer: what it refuses, what it verifies before it writes, how it resumes, and what becomes of a slot afterwards.

mod faults;
mod hosts;
mod racing;
mod resuming;
mod verdicts;
mod writing;
