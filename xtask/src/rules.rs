//! The rules, one file each.

mod citations;
pub(crate) mod layers;
mod manifests;
pub(crate) mod sizes;
mod unsafety;
mod words;

use crate::{finding::Finding, tree::Tree};

/// Everything there is to say about the tree.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = layers::check(&tree.packages);
    findings.extend(manifests::check(&tree.packages, &tree.manifests));
    findings.extend(sizes::check(&tree.sources, &tree.ratchet));
    findings.extend(citations::check(&tree.sources, tree.standards.as_deref()));
    findings.extend(words::check(&tree.sources));
    findings.extend(unsafety::check(&tree.packages, &tree.sources));
    findings
}
