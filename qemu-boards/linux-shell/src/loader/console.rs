//! Lines on the console: `twinslot: ` and what there is to say.

use core::fmt::{self, Write as _};

use crate::machine::Machine;

/// Prints one line.
pub(super) fn line<M: Machine>(machine: &M, words: fmt::Arguments<'_>) {
    let _ = writeln!(Console(machine), "twinslot: {words}\r");
}

struct Console<'m, M>(&'m M);

impl<M: Machine> fmt::Write for Console<'_, M> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.send(text);
        Ok(())
    }
}
