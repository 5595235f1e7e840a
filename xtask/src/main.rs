//! `cargo xtask tidy`: checks on the tree itself, the rules that no compiler knows.
//!
//! Each rule is a file under `rules/`: a pure function from plain data to findings, tested with
//! tables. `tree.rs` is the only part that looks at the real tree; `source.rs` splits Rust into
//! code, comments and strings well enough for the rules. A finding is one line,
//! `path:line: what, and how to fix`; warnings do not fail the run.
// A tool for the developer's machine: it prints, and the rules for servers do not concern it.
#![allow(clippy::disallowed_methods)]

mod finding;
mod rules;
mod source;
mod tree;

use std::{error::Error, io::Write, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::tree::Tree;

/// Checks on the tree itself.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Layers, sizes, citations, forbidden words, manifests.
    Tidy {
        /// Rewrite xtask/ratchet.txt with the long functions there are now, and list them.
        #[arg(long)]
        update_ratchet: bool,
    },
}

fn main() -> ExitCode {
    let Arguments { task: Task::Tidy { update_ratchet } } = Arguments::parse();
    let result = if update_ratchet { rewrite_ratchet() } else { tidy() };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "xtask: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints what there is to say; false if anything must be fixed.
fn tidy() -> Result<bool, Box<dyn Error>> {
    let tree = Tree::load()?;
    let mut findings = rules::check(&tree);
    findings.sort();
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    let (files, warnings) = (tree.sources.len(), findings.len() - errors);
    writeln!(out, "tidy: {files} files, {errors} errors, {warnings} warnings")?;
    Ok(errors == 0)
}

fn rewrite_ratchet() -> Result<bool, Box<dyn Error>> {
    let tree = Tree::load()?;
    let ratchet = rules::sizes::ratchet_of(&tree.sources);
    std::fs::write(tree.root.join(tree::RATCHET), &ratchet)?;
    std::io::stdout().write_all(ratchet.as_bytes())?;
    Ok(true)
}
