//! Names of the kinds of parts on the command line.

use twinslot_bootloader::image::manifest::Kind;

const NAMED: [(&str, Kind); 7] = [
    ("firmware", Kind::Firmware),
    ("kernel", Kind::Kernel),
    ("initrd", Kind::Initrd),
    ("device-tree", Kind::DeviceTree),
    ("command-line", Kind::CommandLine),
    ("rootfs", Kind::RootFs),
    ("loader", Kind::Loader),
];

/// The kind of a name: one of the fixed names, or `aux0` to `aux255`.
#[must_use]
pub fn parse_kind(name: &str) -> Option<Kind> {
    let fixed = NAMED.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    fixed.or_else(|| name.strip_prefix("aux")?.parse().ok().map(Kind::Aux))
}

/// The name of a kind.
#[must_use]
pub fn kind_name(kind: Kind) -> String {
    match kind {
        Kind::Aux(number) => format!("aux{number}"),
        named => NAMED.iter().find(|(_, kind)| *kind == named).map_or_else(String::new, |(name, _)| (*name).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_named() {
        let kinds = NAMED.iter().map(|(_, kind)| *kind).chain([Kind::Aux(0), Kind::Aux(255)]);
        for kind in kinds {
            assert_eq!(parse_kind(&kind_name(kind)), Some(kind));
        }
        for wrong in ["", "aux", "aux256", "aux-1", "Firmware", "dtb"] {
            assert_eq!(parse_kind(wrong), None, "{wrong:?}");
        }
    }
}
