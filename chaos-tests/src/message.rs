//! The messages of the workload: each with an id of its own, and bytes that show any damage.

use crate::random::Random;
use bytes::Bytes;
use std::fmt::Write;

/// The header that carries a message's id.
pub const ID_HEADER: &str = "X-Chaos-Id";

/// A message with this id; lines end in CRLF, some begin with a dot.
#[must_use]
pub fn make(id: &str, from: &str, to: &[String], bytes: u64, random: &mut Random) -> Bytes {
    let mut text = format!(
        "From: <{from}>\r\nTo: {}\r\nSubject: chaos {id}\r\nMessage-ID: <{id}@chaos.example>\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n{ID_HEADER}: {id}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
        to.join(", ")
    );
    while (text.len() as u64) < bytes {
        let dots = ".".repeat(random.range(0..3) as usize);
        let _ = write!(text, "{dots}{:016x}{:016x}\r\n", random.next_u64(), random.next_u64());
    }
    Bytes::from(text)
}

/// Mostly a few kilobytes, some hundred, rarely a megabyte: each size takes another way through
/// the store.
pub fn size(random: &mut Random) -> u64 {
    match random.range(0..100) {
        0..70 => random.range(300..6_000),
        70..90 => random.range(6_000..40_000),
        90..99 => random.range(40_000..300_000),
        _ => random.range(1_000_000..1_500_000),
    }
}

/// The id of a message as it was stored.
#[must_use]
pub fn id_of(message: &[u8]) -> Option<String> {
    let wanted = format!("{ID_HEADER}: ");
    let line = message
        .split(|&byte| byte == b'\n')
        .take_while(|line| line.len() > 1)
        .find_map(|line| line.strip_prefix(wanted.as_bytes()))?;
    Some(String::from_utf8_lossy(line.trim_ascii()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_behind_trace_headers_and_only_in_the_header() {
        let mut random = Random::new(1, 1);
        let message = make("a-1", "x@y.example", &["z@y.example".into()], 900, &mut random);
        let stored = [b"Received: from x\r\n\tby y\r\n", &message[..]].concat();
        assert_eq!(id_of(&stored).as_deref(), Some("a-1"));
        assert_eq!(id_of(b"Subject: x\r\n\r\nX-Chaos-Id: no\r\n"), None);
    }
}
