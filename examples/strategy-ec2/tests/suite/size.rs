//! How much of its own the strategy needs.

/// Its logic, from the first `impl` on with signatures and closing braces, is within 60 lines. Not counted are comments and
/// empty lines, and before it what is imported and exported and the fixed texts; the config, which is a declaration, is a file of its own.
#[test]
fn logic_is_small() {
    let (_before, logic) = include_str!("../../src/lib.rs").split_once("\nimpl Discover").unwrap();
    let lines = logic.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let count = lines.count();
    assert!(count <= 60, "{count} lines");
    assert!(!_before.contains("fn "), "logic before it");
    let config = include_str!("../../src/config.rs");
    let functions: Vec<_> = config.lines().filter(|line| line.contains("fn ")).collect();
    assert!(functions.iter().all(|line| line.starts_with("fn default_")), "{functions:?}");
}
