//! Reads the real tree into the plain data the rules work on.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::{
    rules::layers::{Dependency, Package},
    source::Source,
};

/// Where the list of standards is.
pub(crate) const STANDARDS: &str = "docs/standards.md";
/// Where the long functions are listed.
pub(crate) const RATCHET: &str = "xtask/ratchet.txt";

/// Everything the rules need to know. All paths are relative to the root, with `/`.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// The members of the workspace.
    pub(crate) packages: Vec<Package>,
    /// Every manifest of a package in the tree.
    pub(crate) manifests: Vec<String>,
    pub(crate) sources: Vec<Source>,
    /// The text of docs/standards.md, if it is there.
    pub(crate) standards: Option<String>,
    pub(crate) ratchet: String,
}

impl Tree {
    pub(crate) fn load() -> Result<Tree, Box<dyn Error>> {
        let metadata = MetadataCommand::new().no_deps().exec()?;
        let root = metadata.workspace_root.as_std_path().to_owned();
        let mut packages = Vec::new();
        for package in &metadata.packages {
            packages.push(read_package(&root, package)?);
        }
        let mut files = BTreeSet::new();
        walk(&root, &root, &mut files)?;
        let (mut manifests, mut sources) = (Vec::new(), Vec::new());
        for path in files {
            if path.ends_with(".rs") {
                let text = fs::read_to_string(root.join(&path))?;
                sources.push(Source::new(&path, &text));
            } else if fs::read_to_string(root.join(&path))?.lines().any(|l| l == "[package]") {
                manifests.push(path);
            }
        }
        let standards = fs::read_to_string(root.join(STANDARDS)).ok();
        let ratchet = fs::read_to_string(root.join(RATCHET)).unwrap_or_default();
        Ok(Tree { root, packages, manifests, sources, standards, ratchet })
    }
}

fn read_package(root: &Path, package: &cargo_metadata::Package) -> Result<Package, Box<dyn Error>> {
    let manifest = relative(root, package.manifest_path.as_std_path());
    let text = fs::read_to_string(&package.manifest_path)?;
    let dependencies = package.dependencies.iter().filter_map(|dependency| {
        let path = dependency.path.as_ref()?;
        Some(Dependency {
            name: dependency.name.clone(),
            dir: relative(root, path.as_std_path()),
            is_dev: dependency.kind == DependencyKind::Development,
            line: line_of(&text, dependency.rename.as_ref().unwrap_or(&dependency.name)),
        })
    });
    Ok(Package {
        name: package.name.to_string(),
        dir: manifest.trim_end_matches("Cargo.toml").trim_end_matches('/').to_owned(),
        manifest,
        has_workspace_lints: inherits_lints(&text),
        has_description: package.description.as_ref().is_some_and(|text| !text.is_empty()),
        dependencies: dependencies.collect(),
    })
}

/// Whether a manifest says `[lints]` and below it `workspace = true`.
fn inherits_lints(manifest: &str) -> bool {
    let below = manifest.lines().skip_while(|line| line.trim() != "[lints]").skip(1);
    let mut section = below.take_while(|line| !line.starts_with('['));
    section.any(|line| line.replace(' ', "") == "workspace=true")
}

/// The line of a manifest that names a dependency, counted from 1; 1 if there is none.
fn line_of(manifest: &str, name: &str) -> usize {
    let names_it = |line: &str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || (line.starts_with('[') && line.trim_end_matches(']').ends_with(name))
    };
    // The root's manifest lists every crate under [workspace.dependencies] too.
    let lines: Vec<&str> = manifest.lines().collect();
    let start = lines.iter().position(|&line| line == "[package]").unwrap_or(0);
    lines[start..].iter().position(|line| names_it(line)).map_or(1, |at| start + at + 1)
}

/// Collects `.rs` files and manifests. What git ignores, hidden folders, and the fuzz crate's own
/// output are left out; links are not followed.
fn walk(root: &Path, folder: &Path, files: &mut BTreeSet<String>) -> Result<(), Box<dyn Error>> {
    const SKIPPED: [&str; 5] = ["target", "node_modules", "rialto-data", "corpus", "artifacts"];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
            walk(root, &path, files)?;
        } else if kind.is_file() && (name.ends_with(".rs") || name == "Cargo.toml") {
            files.insert(relative(root, &path));
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
