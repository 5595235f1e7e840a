//! A client that reads the drill's mailbox (RFC 9051) over TLS.

use super::places::Places;
use super::talk::Talk;
use crate::cli::DrillArguments;
use base::{Error, Kind, Result};

/// The folder that mail arrives in.
const FOLDER: &str = "INBOX";

/// How many messages one command removes.
const REMOVED_AT_ONCE: usize = 100;

/// A session that has signed in.
pub(super) struct Reader {
    talk: Talk,
    tags: u32,
}

/// A message of this drill, as the mailbox shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) uid: u32,
    /// Without `@drill.invalid`.
    pub(super) id: String,
}

impl Reader {
    /// Connects and signs in.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] without a server, [`Kind::Overloaded`] if it refuses for a while,
    /// [`Kind::Denied`] if for good.
    pub(super) async fn connect(
        places: &Places,
        arguments: &DrillArguments,
        place: usize,
    ) -> Result<Self> {
        let talk = Talk::connect(places, &places.all[place].imap).await?;
        let mut reader = Self { talk, tags: 0 };
        let greeting = reader.talk.line().await?;
        if !greeting.starts_with("* OK") {
            return Err(Error::new(Kind::Unavailable, greeting));
        }
        let (name, password) = (quoted(&arguments.mailbox), quoted(&arguments.password));
        reader.command(&format!("LOGIN {name} {password}")).await?;
        Ok(reader)
    }

    /// Asks the mailbox's owner for something that only it knows.
    ///
    /// # Errors
    /// As [`Reader::connect`].
    pub(super) async fn look(&mut self) -> Result<()> {
        self.command(&format!("STATUS {FOLDER} (MESSAGES UIDNEXT)")).await.map(|_| ())
    }

    /// The UID that the next message gets.
    ///
    /// # Errors
    /// As [`Reader::connect`].
    pub(super) async fn uid_next(&mut self) -> Result<u32> {
        let lines = self.command(&format!("STATUS {FOLDER} (UIDNEXT)")).await?;
        let found = lines.iter().find_map(|line| number_after(line, "UIDNEXT "));
        found.ok_or_else(|| Error::corrupt("no UIDNEXT"))
    }

    /// All messages of a drill from a UID on.
    ///
    /// # Errors
    /// As [`Reader::connect`].
    pub(super) async fn find(&mut self, run: &str, first_uid: u32) -> Result<Vec<Found>> {
        self.command(&format!("SELECT {FOLDER}")).await?;
        let lines = self.command(&format!("UID FETCH {first_uid}:* (UID ENVELOPE)")).await?;
        Ok(scan(&lines, run))
    }

    /// Removes messages that [`Reader::find`] has found.
    ///
    /// # Errors
    /// As [`Reader::connect`].
    pub(super) async fn remove(&mut self, found: &[Found]) -> Result<()> {
        for some in found.chunks(REMOVED_AT_ONCE) {
            let uids: Vec<String> = some.iter().map(|found| found.uid.to_string()).collect();
            let uids = uids.join(",");
            self.command(&format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)")).await?;
            self.command(&format!("UID EXPUNGE {uids}")).await?;
        }
        Ok(())
    }

    /// Sends a command; gives the lines before its tagged one.
    async fn command(&mut self, text: &str) -> Result<Vec<String>> {
        self.tags += 1;
        let tag = format!("drill{}", self.tags);
        self.talk.send(format!("{tag} {text}\r\n").as_bytes()).await?;
        let mut lines = Vec::new();
        loop {
            let line = self.talk.line().await?;
            let Some(answer) = line.strip_prefix(&tag) else {
                lines.push(line);
                continue;
            };
            let answer = answer.trim_start();
            if answer.starts_with("OK") {
                return Ok(lines);
            }
            // RFC 5530 §3.
            let is_temporary = ["[UNAVAILABLE]", "[LIMIT]", "[INUSE]", "[SERVERBUG]"];
            let is_temporary = is_temporary.iter().any(|code| answer.contains(code));
            let kind = if is_temporary { Kind::Overloaded } else { Kind::Denied };
            return Err(Error::new(kind, answer.to_owned()));
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn number_after(line: &str, word: &str) -> Option<u32> {
    let (_, rest) = line.split_once(word)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Finds the drill's ids. A message whose envelope has literals is spread over several lines.
fn scan(lines: &[String], run: &str) -> Vec<Found> {
    let (mut found, mut uid) = (Vec::new(), 0);
    let start = format!("<drill-{run}-");
    for line in lines {
        if line.starts_with("* ")
            && let Some(number) = number_after(line, "UID ")
        {
            uid = number;
        }
        if let Some((_, rest)) = line.split_once(&start)
            && let Some((number, _)) = rest.split_once("@drill.invalid>")
        {
            found.push(Found { uid, id: format!("drill-{run}-{number}") });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_drill_are_told_from_others() {
        let lines = [
            r#"* 1 FETCH (UID 7 ENVELOPE ("d" "Rialto drill" NIL "<drill-ab-0-1@drill.invalid>"))"#,
            r#"* 2 FETCH (UID 8 ENVELOPE ("d" "x" NIL "<drill-cd-0-1@drill.invalid>"))"#,
            r#"* 3 FETCH (UID 9 ENVELOPE ("d" {3}"#,
            r#"UID 4 NIL "<drill-ab-1-2@drill.invalid>"))"#,
            r#"* 4 EXISTS"#,
        ];
        let found = scan(&lines.map(str::to_owned), "ab");
        let found: Vec<_> = found.iter().map(|found| (found.uid, found.id.as_str())).collect();
        assert_eq!(found, [(7, "drill-ab-0-1"), (9, "drill-ab-1-2")]);
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(number_after("* STATUS INBOX (UIDNEXT 42)", "UIDNEXT "), Some(42));
    }
}
