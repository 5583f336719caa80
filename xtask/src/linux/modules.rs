//! Kernel modules from Debian's package, with what they depend on, in the order in which they load.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// A module, ready for `insmod`.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// The modules of these names below `folder` (`lib/modules`), each behind what it depends on.
pub(super) fn modules(folder: &Path, names: &[&str]) -> Result<Vec<Module>> {
    let mut found = Vec::new();
    for name in names {
        add(folder, name, &mut found)?;
    }
    Ok(found)
}

fn add(folder: &Path, name: &str, found: &mut Vec<Module>) -> Result<()> {
    if found.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let packed = file(folder, &format!("{name}.ko.xz"))?.with_context(|| format!("the kernel's package has no module {name}"))?;
    let bytes = process::output_of(Command::new("xz").args(["--decompress", "--stdout"]).arg(&packed))?;
    for needed in dependencies(&bytes).with_context(|| format!("the module {name} does not say what it depends on"))? {
        add(folder, &needed, found)?;
    }
    found.push(Module { name: name.to_owned(), bytes });
    Ok(())
}

/// The file of this name somewhere below a folder.
fn file(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("can not read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if let Some(path) = file(&entry.path(), name)? {
                return Ok(Some(path));
            }
        } else if kind.is_file() && same_module(&entry.file_name().to_string_lossy(), name) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// Names of modules have no difference between the two dashes.
fn same_module(file: &str, name: &str) -> bool {
    file.replace('-', "_") == name.replace('-', "_")
}

/// What stands behind `depends=` in the section `.modinfo`, which is text with zeros between.
fn dependencies(module: &[u8]) -> Result<Vec<String>> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { bail!("there is no depends=") };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(value)?;
    Ok(text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_module_depends_on_is_read_from_its_information() {
        let module = b"ELF\0license=GPL\0depends=dm-mod,reed_solomon,dm-bufio\0name=dm_verity\0";
        assert_eq!(dependencies(module).expect("a list"), ["dm-mod", "reed_solomon", "dm-bufio"]);
        assert_eq!(dependencies(b"\0depends=\0name=x\0").expect("a list"), [""; 0]);
        assert!(dependencies(b"depends on nothing").is_err());
    }

    #[test]
    fn both_dashes_name_the_same_module() {
        assert!(same_module("dm-verity.ko.xz", "dm_verity.ko.xz"));
        assert!(!same_module("dm-verity.ko.xz", "verity.ko.xz"));
    }
}
