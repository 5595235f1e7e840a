//! `rialto store copy`: what is copied how, whoever does it.

use super::{Backend, StorePlace};
use base::env::Env;
use base::{Error, Kind, Result};
use bytes::Bytes;
use cluster::Installation;
use contract_store::{Isolation, Store, body, transact};
use service_directory::moving;
use std::sync::Arc;
use std::time::Duration;
use store_copy::{Copy, Failed, Overlap, Progress, Rules, Start, Summary};

/// For how long a store may be away before a copy is given up. Longer than what a database or a
/// machine takes to come back by itself; mail waits meanwhile.
const PATIENCE: Duration = Duration::from_secs(600);

/// One copy between two open stores.
pub(crate) struct Order<'o> {
    /// Time and chance.
    pub env: &'o Env,
    /// The source and where it is.
    pub source: (&'o Backend, &'o StorePlace),
    /// The target and where it is.
    pub target: (&'o Backend, &'o StorePlace),
    /// What to do with what an earlier one has left.
    pub start: Start,
}

impl Order<'_> {
    /// Reads whose data it is; nothing is written yet.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if the source holds none; the store's.
    pub(crate) async fn prepare(self) -> Result<Copy> {
        let ((source, from), (target, to)) = (self.source, self.target);
        let store = source.store();
        Ok(Copy {
            env: self.env.clone(),
            source_name: name_of(&store).await?,
            source: store,
            is_source_shared: source.is_shared(),
            target: target.store(),
            target_name: to.name(),
            overlap: overlap(from, to),
            rules: Rules { left_behind: moving::left_behind(), restamped: moving::restamped() },
            start: self.start,
            patience: PATIENCE,
        })
    }
}

/// Where the keys of one would be in the other if both are in one database. Which database it is
/// the copy finds out itself: one cluster may have many names. An embedded store has a lock.
fn overlap(from: &StorePlace, to: &StorePlace) -> Overlap {
    use StorePlace::FoundationDb;
    let (FoundationDb { key_prefix: from, .. }, FoundationDb { key_prefix: to, .. }) = (from, to)
    else {
        return Overlap::default();
    };
    let rest = |key: &str, prefix: &str| {
        key.strip_prefix(prefix).map(|rest| Bytes::copy_from_slice(rest.as_bytes()))
    };
    Overlap { target_in_source: rest(to, from), source_in_target: rest(from, to) }
}

/// The name of the data: that of its installation.
async fn name_of(source: &Arc<dyn Store>) -> Result<String> {
    let read = body((), |(), tx, _| {
        Box::pin(async move { Ok(tx.get(&Installation::key(), Isolation::Snapshot).await?) })
    });
    let row = transact(source, read).await?;
    let row =
        row.ok_or_else(|| Error::new(Kind::NotFound, "The source holds no data of Rialto"))?;
    Ok(format!("installation {:032x}", Installation::decode(&row)?.cluster_id))
}

/// Refuses to copy a store onto itself, as far as names tell.
///
/// # Errors
/// [`Kind::Invalid`].
pub(crate) fn check_places(from: &StorePlace, to: &StorePlace) -> Result<()> {
    let is_same = match (from.embedded_dir(), to.embedded_dir()) {
        (Some(from), Some(to)) => {
            from == to || from.canonicalize().is_ok_and(|from| to.canonicalize().ok() == Some(from))
        }
        _ => from == to,
    };
    if is_same { Err(Error::invalid("source and target are the same store")) } else { Ok(()) }
}

/// What a finished copy is told as.
pub(crate) fn describe(summary: &Summary) -> String {
    let Summary { rows, bytes, hash } = summary;
    let hash: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{rows} rows, {} MiB, verified by count and hash ({hash})", bytes >> 20)
}

/// Why one has failed, and what the source is now.
pub(crate) fn describe_failure(failed: &Failed) -> String {
    let Failed { error, is_settled } = failed;
    match is_settled {
        true => error.to_string(),
        false => format!(
            "{error}; whether the target is whole is not known, so nothing may be written into the \
             source: give the same command again, or look at the target and run `rialto store use` \
             for the one store that is to go on"
        ),
    }
}

/// How far one has come.
pub(crate) fn describe_progress(progress: &Progress) -> String {
    let Progress { rows, bytes, verified_rows, .. } = progress;
    let text = match progress.phase {
        store_copy::Phase::Copying => format!("{rows} rows, {} MiB copied", bytes >> 20),
        store_copy::Phase::Verifying => format!("{verified_rows} of {rows} rows compared"),
        store_copy::Phase::Done => format!("{rows} rows copied and compared"),
    };
    match progress.is_waiting {
        true => format!("{text}; a store does not answer and is tried again"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        from: &str,
        to: &str,
        in_source: Option<&'static str>,
        in_target: Option<&'static str>,
    ) {
        let place = |prefix: &str| StorePlace::FoundationDb {
            cluster_file: None,
            key_prefix: prefix.to_owned(),
            library: None,
        };
        let expected = Overlap {
            target_in_source: in_source.map(Bytes::from),
            source_in_target: in_target.map(Bytes::from),
        };
        assert_eq!(overlap(&place(from), &place(to)), expected);
    }

    #[test]
    fn prefixes_tell_where_keys_would_be() {
        check("", "rialto/", Some("rialto/"), None);
        check("a/b/", "a/", None, Some("b/"));
        check("a/", "a/", Some(""), Some(""));
        check("a/", "b/", None, None);
        let embedded = StorePlace::Embedded { data: "/x".into() };
        assert_eq!(overlap(&embedded, &embedded), Overlap::default());
    }
}
