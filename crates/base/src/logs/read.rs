//! Reading a log again: the newest rows that fit, in their order.

use super::files::{day_name, named};
use super::row::{fields, timestamp};
use super::writer::LogWriter;
use super::{FILE_BYTES_MAX, LogKind};
use crate::Timestamp;
use crate::env::Disk;
use std::collections::VecDeque;
use std::io;
use std::path::Path;

/// What is looked for; whatever is absent fits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Query {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Columns that must have this value, whatever the case of its letters.
    pub columns: Vec<(&'static str, String)>,
    /// At most so many rows: the newest.
    pub limit: usize,
}

/// Rows, the oldest first; the fields of each in the order of [`LogKind::fields`].
pub type Rows = Vec<Vec<String>>;

/// Finds rows, those among them that were put a moment ago. Blocks; reads at most what one log may
/// take on the disk.
///
/// # Errors
/// Of the disk.
pub fn read(writer: &LogWriter, kind: &'static LogKind, query: &Query) -> io::Result<Rows> {
    writer.flush();
    let (disk, directory) = (writer.disk(), writer.root().join(kind.directory));
    if !disk.exists(&directory) {
        return Ok(Rows::new());
    }
    let first_day = query.since.map_or(0, day_name);
    let mut found: VecDeque<Vec<String>> = VecDeque::new();
    for file in named(kind, disk, &directory)?.iter().rev() {
        if file.day < first_day || found.len() >= query.limit {
            break;
        }
        let text = text(disk, &file.path)?;
        let rows = text.lines().rev().filter(|line| !line.starts_with('#')).map(fields);
        let fitting = rows.filter(|row| fits(kind, query, row));
        for row in fitting.take(query.limit - found.len()) {
            found.push_front(row);
        }
    }
    Ok(found.into())
}

fn fits(kind: &LogKind, query: &Query, row: &[String]) -> bool {
    // Times of one form are in order as texts are.
    let is_late = |since| row.first().is_some_and(|at| *at >= timestamp(since));
    let has = |(column, value): &(&str, String)| {
        let place = kind.fields.iter().position(|field| field == column);
        let found = place.and_then(|place| row.get(place));
        found.is_some_and(|found| found.eq_ignore_ascii_case(value))
    };
    row.len() == kind.fields.len()
        && query.since.is_none_or(is_late)
        && query.columns.iter().all(has)
}

fn text(disk: &dyn Disk, path: &Path) -> io::Result<String> {
    let file = disk.open(path, false)?;
    let length = file.len()?.min(2 * FILE_BYTES_MAX);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_at(0, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::env::sim::Simulation;
    use crate::logs::{ConversationLog, PROTOCOL_FIELDS};
    use std::time::Duration;

    static KIND: LogKind = LogKind {
        directory: "talk",
        prefix: "TALK",
        title: "Test Protocol Log",
        fields: PROTOCOL_FIELDS,
    };

    #[tokio::test(start_paused = true)]
    async fn what_was_said_is_found_again() {
        let world = Simulation::new(1);
        let writer = LogWriter::start(&world.env(), "/logs".into());
        let log = ConversationLog::new(&KIND, writer.clone(), |name| name != "quiet");
        assert!(log.begin("quiet", "s0", "a", "b").is_none());
        let mut one = log.begin("in", "s1", "192.0.2.1:25", "192.0.2.7:4000").unwrap();
        one.sent(b"220 hello, you");
        one.received(b"EHLO \"x\"\r\nMAIL");
        one.received_hidden("a password");
        drop(one);
        tokio::time::advance(Duration::from_secs(3600)).await;
        let since = world.env().clock.now();
        let mut two = log.begin("in", "s2", "192.0.2.1:25", "192.0.2.7:4001").unwrap();
        two.note("TLS", "1.3");
        drop(two);
        let find = |query: Query| {
            let rows = read(&writer, &KIND, &query).unwrap();
            rows.iter().map(|row| row[2..].join("|")).collect::<Vec<_>>()
        };
        let all = Query { limit: 100, ..Query::default() };
        let expect = [
            "s1|0|192.0.2.1:25|192.0.2.7:4000|+||",
            "s1|1|192.0.2.1:25|192.0.2.7:4000|>|220 hello, you|",
            r#"s1|2|192.0.2.1:25|192.0.2.7:4000|<|EHLO "x"\r\nMAIL|"#,
            "s1|3|192.0.2.1:25|192.0.2.7:4000|<|*****|a password",
            "s1|4|192.0.2.1:25|192.0.2.7:4000|-||",
            "s2|0|192.0.2.1:25|192.0.2.7:4001|+||",
            "s2|1|192.0.2.1:25|192.0.2.7:4001|*|TLS|1.3",
            "s2|2|192.0.2.1:25|192.0.2.7:4001|-||",
        ];
        assert_eq!(find(all.clone()), expect);
        assert_eq!(find(Query { limit: 2, ..all.clone() }), expect[6..]);
        assert_eq!(find(Query { since: Some(since), ..all.clone() }), expect[5..]);
        let session = vec![("session-id", "S1".to_owned())];
        assert_eq!(find(Query { columns: session, ..all.clone() }), expect[..5]);
        let other = vec![("connector-id", "out".to_owned())];
        assert!(find(Query { columns: other, ..all }).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_that_was_never_written_is_empty() {
        let world = Simulation::new(1);
        let writer = LogWriter::start(&world.env(), "/logs".into());
        assert_eq!(read(&writer, &KIND, &Query::default()).unwrap(), Rows::new());
    }

    /// Whoever carries mail does not wait for a disk that does not answer.
    #[tokio::test(start_paused = true)]
    async fn rows_that_find_no_room_are_dropped() {
        let world = Simulation::new(1);
        let writer = LogWriter::start(&world.env(), "/logs".into());
        world.disk.set_room(Some(0));
        let log = ConversationLog::new(&KIND, writer.clone(), |_| true);
        let mut one = log.begin("in", "s", "a", "b").unwrap();
        (0..50_000).for_each(|_| one.sent(b"250 ok"));
        world.disk.set_room(None);
        writer.flush();
        one.note("still here", "");
        let all = Query { limit: 10, ..Query::default() };
        let rows = read(&writer, &KIND, &all).unwrap();
        assert_eq!(rows.last().unwrap()[7], "still here");
    }
}
