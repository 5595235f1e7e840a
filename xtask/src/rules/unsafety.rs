//! `unsafe` stands only where a foreign library is called.
//!
//! Every crate inherits the workspace's lints, which forbid it; the crates of [`FOREIGN`] may have
//! lints of their own. So that no crate gets out of this unseen, the manifest is looked at and not
//! only the code.

use super::layers::Package;
use crate::{finding::Finding, source::Source};

/// The crates that call a foreign library, or stand in for one.
const FOREIGN: [&str; 3] =
    ["crates/store/fdb-sys", "crates/store/fdb-standin", "crates/store/foundationdb"];

pub(crate) fn check(packages: &[Package], sources: &[Source]) -> Vec<Finding> {
    let may = |path: &str| {
        FOREIGN.iter().any(|dir| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/')))
    };
    let free = packages.iter().filter(|package| !package.has_workspace_lints);
    let free = free.filter(|package| !may(&package.manifest)).map(|package| {
        let text = format!("{} needs `[lints]` with `workspace = true`", package.name);
        Finding::error(&package.manifest, 1, text)
    });
    let sources = sources.iter().filter(|source| !may(&source.path));
    free.chain(sources.flat_map(check_file)).collect()
}

fn check_file(source: &Source) -> Vec<Finding> {
    let uses = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe")
    };
    let lines = source.lines.iter().enumerate().filter(|(_, line)| uses(&line.code));
    lines
        .map(|(number, _)| {
            let text = "unsafe code: only the crates of a foreign library have any \
                        (xtask/src/rules/unsafety.rs)";
            Finding::error(&source.path, number + 1, text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dir: &str, has_workspace_lints: bool, code: &str, expected: &[&str]) {
        let package = Package {
            name: "a".to_owned(),
            dir: dir.to_owned(),
            manifest: format!("{dir}/Cargo.toml"),
            has_description: true,
            has_workspace_lints,
            dependencies: Vec::new(),
        };
        let source = Source::new(&format!("{dir}/src/lib.rs"), code);
        let findings = super::check(&[package], &[source]);
        assert_eq!(findings.len(), expected.len(), "{dir}: {findings:?}");
        for (finding, start) in findings.iter().zip(expected) {
            assert!(finding.to_string().starts_with(start), "{finding}");
        }
    }

    #[test]
    fn only_foreign_libraries_need_it() {
        let code = "fn a() {}\nunsafe fn b() {}\n";
        check("crates/store/fdb-sys", false, code, &[]);
        check("crates/store/fdb-standin", false, code, &[]);
        check("crates/store/foundationdb", false, code, &[]);
        check("crates/store/embedded", true, code, &["crates/store/embedded/src/lib.rs:2: unsafe"]);
        check("crates/store/fdb-system", true, code, &["crates/store/fdb-system/src/lib.rs:2"]);
        check("crates/base", true, "#![forbid(unsafe_code)] // unsafe\n\"unsafe\";", &[]);
        check("crates/base", false, "", &["crates/base/Cargo.toml:1: a needs `[lints]`"]);
    }
}
