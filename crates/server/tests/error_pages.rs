//! Every problem code has its page, and every page its code.

use std::collections::BTreeSet;

#[test]
fn every_code_has_a_page() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
    let pages: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    let codes: BTreeSet<String> = sessile::PROBLEM_CODES
        .iter()
        .chain(sessile_server::PROBLEM_CODES)
        .map(|code| (*code).to_owned())
        .collect();
    assert_eq!(pages, codes, "docs/errors/<code>.md and the codes in the program differ");
}
