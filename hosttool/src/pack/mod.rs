//! Packing: from files to an unsigned slot image, in one pass over each input (two over a root file system that gets a hash tree) and in
//! constant memory.

mod contents;
mod kind;
mod part;
mod pipeline;
mod protect;
mod stream;
mod version;
mod write_behind;

pub use kind::{kind_name, parse_kind};
pub use part::PartSpec;
pub use stream::{StreamError, Streamed, StreamedPart, stream};
pub use version::parse_version;

pub(crate) use contents::check_parts;
pub(crate) use part::parse_number;
pub(crate) use protect::{Protected, protect, root_of, salt};
