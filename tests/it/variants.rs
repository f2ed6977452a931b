//! `gridproof variants`: no case calls a right grid wrong, and one that does is told.

use crate::served::{run, text};

#[test]
fn no_case_is_wrong_about_a_right_grid() {
    let output = run(&["variants"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("no case is wrong about any of them"));
}

/// A case that takes a habit of the reference grid for law.
#[test]
fn a_case_that_asks_too_much_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strict.toml");
    let suite = r#"
title = "Too strict"

[[case]]
id    = "water"
title = "Water stands at 20 m"
step  = [
  { do = "call", procedure = "arrive" },
  { do = "udp.expect", message = "RegionHandshake", expect = [{ path = "RegionInfo.WaterHeight", equals = 20 }] },
]
"#;
    std::fs::write(&path, suite).unwrap();
    let path = path.to_str().unwrap();
    let output = run(&["variants", "high-water", "product-name", "--suite", path]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("WRONG  high-water") && said.contains("right  product-name"), "{said}");
    assert!(said.contains("strict/water") && said.contains("estate owner's choice"), "{said}");
    assert!(said.contains("1 of 2 right grids are called wrong"), "{said}");
}

#[test]
fn what_matches_no_variant_is_an_error() {
    let output = run(&["variants", "high-watr"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("did you mean `high-water`"), "{}", text(&output.stderr));
}
