//! `docs/writing-a-strategy.md`: its example is as short as it says. Its commands are run with those of all pages
//! (`guide::`), its blocks of Rust are among the documentation tests of `cluster-sdk`.

use std::{fs, path::Path};

/// Lines of own logic that the example of a strategy that polls may have.
const POLL_LINES_MAX: usize = 25;

/// The example that polls is short: what is neither import, comment, attribute nor a closing bracket counts.
#[test]
fn lines_of_the_example() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/writing-a-strategy.md");
    let page = fs::read_to_string(page).unwrap();
    let code = page.split_once("cat > src/lib.rs <<'EOF'\n").unwrap().1;
    let code = code.split_once("\nEOF\n").unwrap().0;
    let mut importing = false;
    let logic: Vec<&str> = code
        .lines()
        .map(str::trim)
        .filter(|line| {
            let begins = line.starts_with("use ");
            let is_import = importing || begins;
            importing = is_import && !line.ends_with(';');
            let is_word = line.contains(|c: char| c.is_alphanumeric());
            !is_import
                && is_word
                && !line.starts_with("//")
                && !line.starts_with("#[")
                && !line.starts_with("mod ")
        })
        .collect();
    assert!(logic.contains(&"impl Discover for Inventory {"), "{logic:#?}");
    assert!(logic.len() <= POLL_LINES_MAX, "{} lines: {logic:#?}", logic.len());
}
