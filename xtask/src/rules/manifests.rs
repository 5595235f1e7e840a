//! Every crate in the tree is built, tested and described.

use super::layers::Package;
use crate::finding::Finding;

/// Packages with their own workspace: cargo-fuzz needs a nightly compiler.
const OUTSIDE: [&str; 1] = ["fuzz/Cargo.toml"];

pub(crate) fn check(packages: &[Package], manifests: &[String]) -> Vec<Finding> {
    let is_member = |manifest: &String| packages.iter().any(|p| &p.manifest == manifest);
    let strays = manifests
        .iter()
        .filter(|manifest| !OUTSIDE.contains(&manifest.as_str()) && !is_member(manifest))
        .map(|manifest| {
            Finding::error(manifest, 1, "not in the workspace; add it to members in Cargo.toml")
        });
    let nameless = packages.iter().filter(|package| !package.has_description).map(|package| {
        let text = format!("{} has no description; add one line under [package]", package.name);
        Finding::error(&package.manifest, 1, text)
    });
    strays.chain(nameless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strays_and_nameless_crates_are_found() {
        let package = |dir: &str, has_description| Package {
            name: dir.to_owned(),
            dir: dir.to_owned(),
            manifest: format!("{dir}/Cargo.toml"),
            has_description,
            has_workspace_lints: true,
            dependencies: Vec::new(),
        };
        let manifests = ["a/Cargo.toml", "b/Cargo.toml", "c/Cargo.toml", "fuzz/Cargo.toml"];
        let manifests: Vec<String> = manifests.iter().map(|&m| m.to_owned()).collect();
        let findings = check(&[package("a", true), package("b", false)], &manifests);
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            findings,
            [
                "c/Cargo.toml:1: not in the workspace; add it to members in Cargo.toml",
                "b/Cargo.toml:1: b has no description; add one line under [package]",
            ]
        );
    }
}
