//! Where a store is, as the command line writes it: `embedded:DIR`,
//! `foundationdb[:CLUSTER_FILE][?prefix=TEXT&library=FILE]`.

use base::{Error, Result};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The store's directory below a node's data directory.
const STORE_DIR: &str = "store";

/// Where a store is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StorePlace {
    /// Below a node's data directory.
    Embedded {
        /// The data directory.
        data: PathBuf,
    },
    /// In a FoundationDB cluster.
    FoundationDb {
        /// The file that names the coordinators; the client's default where absent.
        cluster_file: Option<PathBuf>,
        /// What all keys begin with; may be empty.
        key_prefix: String,
        /// The client library; the installed one where absent.
        library: Option<PathBuf>,
    },
}

impl StorePlace {
    /// The directory of an embedded store.
    pub(crate) fn embedded_dir(&self) -> Option<PathBuf> {
        match self {
            Self::Embedded { data } => Some(data.join(STORE_DIR)),
            Self::FoundationDb { .. } => None,
        }
    }

    /// The same with paths that mean the same in every directory.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for a path that cannot be.
    pub(crate) fn absolute(&self) -> Result<Self> {
        let absolute = |path: &PathBuf| {
            let wrong = |error| Error::invalid(format!("{}: {error}", path.display()));
            std::path::absolute(path).map_err(wrong)
        };
        Ok(match self {
            Self::Embedded { data } => Self::Embedded { data: absolute(data)? },
            Self::FoundationDb { cluster_file, key_prefix, library } => Self::FoundationDb {
                cluster_file: cluster_file.as_ref().map(absolute).transpose()?,
                key_prefix: key_prefix.clone(),
                library: library.as_ref().map(absolute).transpose()?,
            },
        })
    }

    /// Its name without what only says how it is reached.
    pub(crate) fn name(&self) -> String {
        let mut place = self.clone();
        if let Self::FoundationDb { library, .. } = &mut place {
            *library = None;
        }
        place.to_string()
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded { data } => write!(f, "embedded:{}", data.display()),
            Self::FoundationDb { cluster_file, key_prefix, library } => {
                write!(f, "foundationdb")?;
                if let Some(file) = cluster_file {
                    write!(f, ":{}", file.display())?;
                }
                let mut mark = '?';
                if !key_prefix.is_empty() {
                    write!(f, "{mark}prefix={key_prefix}")?;
                    mark = '&';
                }
                if let Some(library) = library {
                    write!(f, "{mark}library={}", library.display())?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for StorePlace {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (kind, rest) = text.split_once([':', '?']).unwrap_or((text, ""));
        match kind {
            "embedded" if !rest.is_empty() => Ok(Self::Embedded { data: rest.into() }),
            "embedded" => Err("name the node's data directory: embedded:DIR".to_owned()),
            "foundationdb" => {
                let rest = &text[kind.len()..];
                let (file, query) = rest.split_once('?').unwrap_or((rest, ""));
                let file = file.trim_start_matches(':');
                let cluster_file = (!file.is_empty()).then(|| file.into());
                let (mut key_prefix, mut library) = (String::new(), None);
                for pair in query.split('&').filter(|pair| !pair.is_empty()) {
                    match pair.split_once('=') {
                        Some(("prefix", value)) => key_prefix = value.to_owned(),
                        Some(("library", value)) => library = Some(value.into()),
                        _ => {
                            return Err(format!(
                                "\"{pair}\": only prefix=… and library=… are known"
                            ));
                        }
                    }
                }
                Ok(Self::FoundationDb { cluster_file, key_prefix, library })
            }
            other => Err(format!("\"{other}\" is no store; embedded:DIR or foundationdb:FILE")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: std::result::Result<StorePlace, &str>) {
        let found: std::result::Result<StorePlace, String> = text.parse();
        match expected {
            Ok(place) => {
                assert_eq!(found.as_ref(), Ok(&place));
                assert_eq!(place.to_string().parse(), Ok(place));
            }
            Err(part) => assert!(found.unwrap_err().contains(part)),
        }
    }

    #[test]
    fn places_are_written_as_people_write_them() {
        let foundation = |file: Option<&str>, prefix: &str, library: Option<&str>| {
            Ok(StorePlace::FoundationDb {
                cluster_file: file.map(PathBuf::from),
                key_prefix: prefix.to_owned(),
                library: library.map(PathBuf::from),
            })
        };
        check(
            "embedded:/var/lib/rialto",
            Ok(StorePlace::Embedded { data: "/var/lib/rialto".into() }),
        );
        check("foundationdb", foundation(None, "", None));
        check("foundationdb:/etc/fdb.cluster", foundation(Some("/etc/fdb.cluster"), "", None));
        check("foundationdb:f?prefix=a/", foundation(Some("f"), "a/", None));
        check("foundationdb?library=/l.so", foundation(None, "", Some("/l.so")));
        check("foundationdb:f?prefix=a&library=l", foundation(Some("f"), "a", Some("l")));
        check("embedded", Err("embedded:DIR"));
        check("embedded:", Err("embedded:DIR"));
        check("redb:/x", Err("no store"));
        check("foundationdb:f?tls=1", Err("only prefix"));
    }
}
