//! Attacks: from the volume that the output is on, from the network, and with control of a task definition.
//!
//! | module | the attacker |
//! |---|---|
//! | [`volume`] | can write to the directory of the output |
//! | [`labels`] | can set docker labels, names and tags |
//! | [`network`] | can reach the web endpoints |
//! | [`secrets`] | reads every output of the program |

mod labels;
mod network;
mod secrets;
mod volume;

use std::path::Path;

/// The README says which test tries what SECURITY.md claims to be impossible.
#[test]
fn every_claim_names_tests_that_exist() {
    let readme = include_str!("README.md");
    let (_, claims) = readme.split_once("## The claims of SECURITY.md").expect("the table of claims");
    let rows: Vec<&str> = claims.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect();
    assert!(rows.len() > 10, "{rows:#?}");
    for row in rows {
        let tests = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2);
        assert!(tests.clone().count() > 0, "a claim without a test: {row}");
        for test in tests {
            let (module, name) = test.rsplit_once("::").expect("MODULE::TEST");
            let file = format!("tests/integration/{}.rs", module.replace("::", "/"));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
            let code = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(code.contains(&format!("fn {name}()")), "{file} has no test {name}");
        }
    }
}
