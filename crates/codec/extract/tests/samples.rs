//! Files made for the tests: archives and documents by Python's zipfile, PDFs by hand.

use codec_extract::{Extract, File, Limits, extract};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use tempfile::TempDir;

/// All files, made once.
static SAMPLES: LazyLock<TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples.py");
    let status = Command::new("python3").arg(script).arg(dir.path()).status().unwrap();
    assert!(status.success(), "python3 could not make the samples");
    dir
});

/// One of the files.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    std::fs::read(SAMPLES.path().join(name)).unwrap()
}

/// What is found in some bytes.
pub(crate) fn found(name: &str, bytes: &[u8]) -> Extract {
    extract(&File { name, bytes, ..File::default() }, &Limits::default())
}

/// What is found in one of the files.
pub(crate) fn found_in(name: &str) -> Extract {
    found(name, &sample(name))
}
