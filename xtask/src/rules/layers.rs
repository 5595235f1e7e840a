//! The layer rule: implementations never meet; they meet in `contract/`.
//!
//! ```text
//! base ◀ codec ◀ contract ◀ { store/* | service/* | access/* | cluster } ◀ src ◀ chaos-tests
//! ```
//!
//! A crate's layer is where it stands in the tree. Its normal and build dependencies lie to its
//! left. Within a layer, contracts may use contracts, and access crates the shared ones below
//! [`SHARED_ACCESS`]; no other siblings meet. Tests may use what they like.
//!
//! Beside the product stand the tools of [`TOOLS`]: they use implementations, and others have them
//! as dev-dependencies only, so nothing of them is ever in the binary. The bindings of a foreign
//! library ([`BINDINGS`]) know nothing of ours, and only those named with them know of them.

use crate::finding::Finding;

/// The access crates that other access crates may use.
const SHARED_ACCESS: [&str; 2] = ["crates/access/listener", "crates/access/http"];

/// The tools beside the product, and which implementations and other tools each may use; all
/// implementations where `None`.
const TOOLS: [(&str, Option<&[&str]>); 3] = [
    ("crates/testworld", None),
    ("crates/store/fdb-standin", Some(&["crates/store/memory"])),
    ("crates/store/testing", Some(&STORES)),
];

/// The stores that tests choose from.
const STORES: [&str; 4] = [
    "crates/store/memory",
    "crates/store/embedded",
    "crates/store/foundationdb",
    "crates/store/fdb-standin",
];

/// Bindings of foreign libraries, and who may name them.
const BINDINGS: [(&str, &[&str]); 1] =
    [("crates/store/fdb-sys", &["crates/store/foundationdb", "crates/store/fdb-standin"])];

/// A member of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the root; empty for the root package.
    pub(crate) dir: String,
    /// The path of its Cargo.toml.
    pub(crate) manifest: String,
    pub(crate) has_description: bool,
    /// Whether the workspace's lints hold in it.
    pub(crate) has_workspace_lints: bool,
    /// Those that are folders of this tree.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency on a folder of this tree.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dir: String,
    pub(crate) is_dev: bool,
    /// Where the manifest names it, counted from 1.
    pub(crate) line: usize,
}

/// From left to right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Binding,
    Base,
    Codec,
    Contract,
    Implementation,
    Tool,
    Source,
    Chaos,
    Xtask,
}

fn layer(dir: &str) -> Option<Layer> {
    if TOOLS.iter().any(|(tool, _)| *tool == dir) {
        return Some(Layer::Tool);
    }
    if BINDINGS.iter().any(|(binding, _)| *binding == dir) {
        return Some(Layer::Binding);
    }
    let parts: Vec<&str> = dir.split('/').collect();
    match parts.as_slice() {
        [""] => Some(Layer::Source),
        ["chaos-tests"] => Some(Layer::Chaos),
        ["xtask"] => Some(Layer::Xtask),
        ["cluster"] => Some(Layer::Implementation),
        ["crates", "base"] => Some(Layer::Base),
        ["crates", "codec", _] => Some(Layer::Codec),
        ["crates", "contract", _] => Some(Layer::Contract),
        ["crates", "store" | "service" | "access", _] => Some(Layer::Implementation),
        _ => None,
    }
}

pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let Some(from) = layer(&package.dir) else {
        let text = format!(
            "{} stands in no layer; move it below crates/{{codec,contract,store,service,access}}, \
             or name its place in xtask/src/rules/layers.rs",
            package.name
        );
        return vec![Finding::error(&package.manifest, 1, text)];
    };
    let complain = |dependency: &Dependency| {
        let reason = why_not(package, from, dependency)?;
        let text = format!("{} must not depend on {}: {reason}", package.name, dependency.name);
        Some(Finding::error(&package.manifest, dependency.line, text))
    };
    package.dependencies.iter().filter_map(complain).collect()
}

/// The rule that a dependency breaks, and the way out.
fn why_not(package: &Package, from: Layer, dependency: &Dependency) -> Option<&'static str> {
    if from == Layer::Xtask {
        return Some("xtask depends on nothing of ours, so that it runs when nothing else builds");
    }
    if dependency.is_dev {
        return None;
    }
    // A folder outside every layer is reported with the package that stands there.
    let to = layer(&dependency.dir)?;
    if to == Layer::Xtask {
        return Some("xtask is a tool, not a library; move the shared code to base");
    }
    let listed = TOOLS.iter().find(|(dir, _)| *dir == package.dir).and_then(|(_, list)| *list);
    let is_listed = listed.is_some_and(|list| list.contains(&dependency.dir.as_str()));
    if to == Layer::Tool && !is_listed {
        return Some("it is a tool beside the product; have it as a dev-dependency only");
    }
    if to == Layer::Binding {
        let users = BINDINGS.iter().find(|(dir, _)| *dir == dependency.dir).map(|(_, users)| users);
        let may = users.is_some_and(|users| users.contains(&package.dir.as_str()));
        return (!may).then_some("a foreign library stands behind one store; use the contract");
    }
    if from == Layer::Tool && matches!(to, Layer::Implementation | Layer::Tool) {
        let may = is_listed || (listed.is_none() && to == Layer::Implementation);
        return (!may).then_some("this tool may use the implementations of its list only");
    }
    if to < from || is_listed {
        return None;
    }
    if to > from {
        return Some(
            "dependencies go left in base, codec, contract, {store service access cluster}, src, \
             chaos-tests; move what is needed into a contract",
        );
    }
    match from {
        Layer::Contract => None,
        Layer::Codec => Some("codecs do not know each other; combine them in the crate above"),
        _ if package.dir.starts_with("crates/access/")
            && SHARED_ACCESS.contains(&dependency.dir.as_str())
            && dependency.dir != package.dir =>
        {
            None
        }
        _ => Some(
            "implementations never meet; use a contract (access/* may use access/listener and \
             access/http)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, is_dev: bool, expected: Option<&str>) {
        let dependency = Dependency { name: "b".to_owned(), dir: to.to_owned(), is_dev, line: 7 };
        let package = Package {
            name: "a".to_owned(),
            dir: from.to_owned(),
            manifest: format!("{from}/Cargo.toml"),
            has_description: true,
            has_workspace_lints: true,
            dependencies: vec![dependency],
        };
        let findings: Vec<String> =
            super::check(&[package]).iter().map(|f| f.to_string()).collect();
        match expected {
            None => assert_eq!(findings, Vec::<String>::new(), "{from} -> {to}"),
            Some(words) => {
                assert_eq!(findings.len(), 1, "{from} -> {to}");
                assert!(findings[0].contains(words), "{from} -> {to}: {}", findings[0]);
            }
        }
    }

    #[test]
    fn dependencies_go_left() {
        for (from, to) in [
            ("crates/codec/smtp", "crates/base"),
            ("crates/contract/mailbox", "crates/codec/mime"),
            ("crates/contract/mailbox", "crates/contract/blob"),
            ("crates/store/memory", "crates/contract/store"),
            ("crates/access/smtp", "crates/codec/smtp"),
            ("crates/access/smtp", "crates/access/listener"),
            ("crates/access/dav", "crates/access/http"),
            ("cluster", "crates/base"),
            ("", "crates/store/embedded"),
            ("", "cluster"),
            ("chaos-tests", ""),
            ("chaos-tests", "crates/base"),
        ] {
            check(from, to, false, None);
        }
    }

    #[test]
    fn never_right_and_never_sideways() {
        for (from, to, words) in [
            ("crates/base", "crates/contract/store", "dependencies go left"),
            ("crates/codec/smtp", "crates/contract/store", "dependencies go left"),
            ("crates/contract/store", "crates/store/memory", "dependencies go left"),
            ("crates/service/mailbox", "", "dependencies go left"),
            ("", "chaos-tests", "dependencies go left"),
            ("crates/codec/imap", "crates/codec/mime", "codecs do not know each other"),
            ("crates/service/transport", "crates/service/mailbox", "implementations never meet"),
            ("crates/service/mailbox", "crates/store/memory", "implementations never meet"),
            ("crates/access/smtp", "crates/service/mailbox", "implementations never meet"),
            ("crates/access/smtp", "crates/access/imap", "implementations never meet"),
            ("crates/service/mailbox", "crates/access/listener", "implementations never meet"),
            ("crates/access/smtp", "cluster", "implementations never meet"),
            ("cluster", "crates/store/memory", "implementations never meet"),
            ("", "xtask", "xtask is a tool"),
            ("xtask", "crates/base", "xtask depends on nothing"),
        ] {
            check(from, to, false, Some(words));
        }
    }

    #[test]
    fn tests_may_use_anything_but_in_xtask() {
        check("crates/service/mailbox", "crates/store/memory", true, None);
        check("crates/codec/imap", "crates/codec/mime", true, None);
        check("xtask", "crates/base", true, Some("xtask depends on nothing"));
    }

    #[test]
    fn tools_stand_beside_the_product() {
        for (from, to, is_dev, words) in [
            ("crates/testworld", "crates/service/mailbox", false, None),
            ("crates/testworld", "crates/store/embedded", false, None),
            ("crates/store/fdb-standin", "crates/store/memory", false, None),
            ("crates/store/fdb-standin", "crates/contract/store", false, None),
            ("crates/store/testing", "crates/store/foundationdb", false, None),
            ("crates/store/testing", "crates/store/fdb-standin", false, None),
            ("crates/store/testing", "crates/service/mailbox", false, Some("of its list only")),
            ("crates/service/mailbox", "crates/store/testing", true, None),
            ("crates/service/mailbox", "crates/store/testing", false, Some("dev-dependency only")),
            ("crates/store/fdb-standin", "crates/store/embedded", false, Some("of its list only")),
            ("crates/store/testing", "crates/store/foundationdb", false, None),
            ("crates/store/testing", "crates/store/fdb-standin", false, None),
            ("crates/store/testing", "crates/service/mailbox", false, Some("of its list only")),
            ("crates/store/testing", "crates/testworld", false, Some("as a dev-dependency only")),
            ("crates/service/mailbox", "crates/store/testing", true, None),
            ("crates/service/mailbox", "crates/store/testing", false, Some("dev-dependency")),
            ("crates/access/imap", "crates/testworld", true, None),
            ("crates/access/imap", "crates/testworld", false, Some("as a dev-dependency only")),
            ("crates/store/foundationdb", "crates/store/fdb-standin", true, None),
            (
                "crates/store/foundationdb",
                "crates/store/fdb-standin",
                false,
                Some("dev-dependency"),
            ),
            ("", "crates/store/fdb-standin", false, Some("as a dev-dependency only")),
            ("chaos-tests", "crates/testworld", false, Some("as a dev-dependency only")),
            ("crates/testworld", "", false, Some("dependencies go left")),
        ] {
            check(from, to, is_dev, words);
        }
    }

    #[test]
    fn bindings_are_known_to_one_store() {
        for (from, to, words) in [
            ("crates/store/foundationdb", "crates/store/fdb-sys", None),
            ("crates/store/fdb-standin", "crates/store/fdb-sys", None),
            ("crates/store/embedded", "crates/store/fdb-sys", Some("behind one store")),
            ("", "crates/store/fdb-sys", Some("behind one store")),
            ("crates/store/fdb-sys", "crates/base", Some("dependencies go left")),
        ] {
            check(from, to, false, words);
        }
    }

    #[test]
    fn a_finding_names_crate_dependency_rule_and_line() {
        let words = "cluster/Cargo.toml:7: a must not depend on b: implementations never meet";
        check("cluster", "crates/store/memory", false, Some(words));
        check("crates/common", "crates/base", false, Some("a stands in no layer"));
    }
}
