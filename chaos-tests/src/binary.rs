//! Which `rialto` to run: the one named by `RIALTO_BIN`, else the one built beside this program,
//! else one that is built now. Mutants are a build of their own (feature `mutants`), copied to
//! `rialto-mutants` beside it, so that the normal binary stays what it is.

use crate::failure::{Failure, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A deliberate fault of the product, to prove that a checker notices it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Says that a commit is durable before it is written.
    AckBeforeCommit,
    /// Never syncs the log.
    NoFsync,
    /// Delivers without looking whether it was done before.
    NoDedupe,
    /// Writes into mailboxes without looking whether they are still this node's.
    SkipFence,
    /// Does again whatever ended unknown, as if it had not happened.
    BlindRetry,
}

impl Mutant {
    /// The word for `rialto dev --mutant`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Mutant::AckBeforeCommit => "ack-before-commit",
            Mutant::NoFsync => "no-fsync",
            Mutant::NoDedupe => "no-dedupe",
            Mutant::SkipFence => "skip-fence",
            Mutant::BlindRetry => "blind-retry",
        }
    }
}

/// One build at a time: two tests must not copy each other's half-written file.
static BUILDING: Mutex<()> = Mutex::new(());

/// The binary to run, built if need be.
///
/// # Errors
/// If it cannot be built.
pub fn find(mutant: Option<Mutant>) -> Result<PathBuf> {
    let (variable, name) = match mutant {
        None => ("RIALTO_BIN", "rialto"),
        Some(_) => ("RIALTO_MUTANTS_BIN", "rialto-mutants"),
    };
    if let Some(path) = std::env::var_os(variable) {
        return Ok(PathBuf::from(path));
    }
    let _one = BUILDING.lock().map_err(|_| Failure::from("a build panicked"))?;
    let dir = profile_dir()?;
    let plain = dir.join("rialto");
    if mutant.is_none() {
        return if plain.exists() { Ok(plain) } else { build(&dir, &[]).map(|()| plain) };
    }
    let path = dir.join(name);
    if is_older(&path, &plain) {
        build(&dir, &["--features", "rialto/mutants"])?;
        // Renamed into place, since somebody may be running the old one.
        let copy = dir.join(format!("{name}.{}", std::process::id()));
        fs::copy(&plain, &copy)?;
        fs::rename(&copy, &path)?;
        build(&dir, &[])?;
    }
    Ok(path)
}

/// The stand-in for FoundationDB: its server and its client library, built if need be.
///
/// # Errors
/// If they cannot be built.
pub fn find_standin() -> Result<(PathBuf, PathBuf)> {
    let _one = BUILDING.lock().map_err(|_| Failure::from("a build panicked"))?;
    let dir = profile_dir()?;
    if let Some(found) = standin_in(&dir) {
        return Ok(found);
    }
    run_cargo(&dir, &["--package", "fdb-standin"])?;
    standin_in(&dir).ok_or_else(|| Failure(format!("no stand-in in {}", dir.display())))
}

/// `cargo test` puts programs into the folder itself, libraries only into `deps`.
fn standin_in(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let program = dir.join("fdb-standin");
    let libraries = [dir.to_owned(), dir.join("deps")].map(|dir| dir.join("libfdb_standin.so"));
    let library = libraries.into_iter().find(|path| path.exists())?;
    program.exists().then_some((program, library))
}

fn is_older(path: &Path, than: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    modified(path).is_none_or(|time| modified(than).is_some_and(|than| time < than))
}

/// `target/debug` or `target/release`: where this program was built.
fn profile_dir() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let dir = this.ancestors().find(|dir| dir.join(".fingerprint").is_dir());
    dir.map(Path::to_owned).ok_or_else(|| Failure::from("not run from cargo's target directory"))
}

/// Selects what `cargo test --workspace` selects, as far as features go (an example counts as a
/// test): else every dependency would be compiled a second time, with a few features less.
fn build(dir: &Path, more: &[&str]) -> Result<()> {
    let select = ["--workspace", "--bin", "rialto", "--example", "deliver_in_memory"];
    run_cargo(dir, &[&select, more].concat())
}

fn run_cargo(dir: &Path, arguments: &[&str]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(["build", "--quiet"]).args(arguments);
    if dir.ends_with("release") {
        cargo.arg("--release");
    }
    eprintln!("chaos: {cargo:?}");
    match cargo.status()?.success() {
        true => Ok(()),
        false => Err(Failure(format!("{cargo:?} failed"))),
    }
}
