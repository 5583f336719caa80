//! Links the loader by this board's `layout.toml` and compiles the owner's trust in.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux_shell::build::loader("layout.toml", "../test-keys/trust.toml")
}
