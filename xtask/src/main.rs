//! Checks on the tree itself: the layer rule, citations, sizes.
fn main() {}
