//! One row: fields with commas between them, and nothing in them that could be another row.

use crate::Timestamp;
use crate::telemetry::PrintableLine;
use std::fmt::{Display, Write};

/// A row that is being written.
#[derive(Debug, Default)]
pub struct Row(String);

impl Row {
    /// A row that begins with a time.
    pub fn at(moment: Timestamp) -> Self {
        Self(timestamp(moment))
    }

    /// Adds a field that we made ourselves: numbers, addresses, words without commas.
    #[must_use]
    pub fn plain(mut self, field: impl Display) -> Self {
        // Writing to a string does not fail.
        let _ = write!(self.0, ",{field}");
        self
    }

    /// Adds a field that somebody else may have chosen. Control characters are escaped, what a
    /// spreadsheet would take for a formula is kept from it (attack 62), and it is bounded.
    #[must_use]
    pub fn text(mut self, field: &[u8]) -> Self {
        let text = PrintableLine(field).to_string();
        let formula = text.starts_with(['=', '+', '-', '@']);
        self.0.push(',');
        if formula || text.contains([',', '"']) {
            self.0.push('"');
            if formula {
                self.0.push('\'');
            }
            self.0.push_str(&text.replace('"', "\"\""));
            self.0.push('"');
        } else {
            self.0.push_str(&text);
        }
        self
    }

    /// The row with its line end.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("\r\n");
        self.0
    }
}

/// The fields of a row, as they were before commas and quotes were put around them.
pub(super) fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

/// A time as logs have it: `2026-11-23T04:22:05.123Z`.
pub fn timestamp(moment: Timestamp) -> String {
    let (year, month, day) = date(moment);
    let ms = moment.unix_ms.rem_euclid(86_400_000);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, ms) = (ms / 1_000 % 60, ms % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day of a time in the Gregorian calendar, UTC.
pub(super) fn date(moment: Timestamp) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    // Counted from 1 March of the year 0, so that leap days end a year.
    let days = day_number(moment) + 719_468;
    let (era, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let leap_days = day / 1_460 - day / 36_524 + day / (DAYS_OF_400_YEARS - 1);
    let year = (day - leap_days) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March on have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// Days since 1970.
pub(super) fn day_number(moment: Timestamp) -> i64 {
    moment.unix_ms.div_euclid(86_400_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exchanges() {
        let check = |unix_ms: i64, expect: &str| {
            assert_eq!(timestamp(Timestamp { unix_ms }), expect);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_900_000_000_123, "2030-03-17T17:46:40.123Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(1_735_689_599_000, "2024-12-31T23:59:59.000Z");
    }

    #[test]
    fn attack_68_nobody_can_forge_a_row() {
        let evil = b"MAIL\r\n2026-01-01T00:00:00.000Z,server,1,\"x\",\x1b[2J";
        let row = Row::default().plain("1").text(evil).text(b"=cmd()").text("é\u{202e}".as_bytes());
        let line = row.finish();
        assert_eq!(line.matches(['\r', '\n']).count(), 2, "its own end only: {line}");
        assert!(!line.contains(['\u{1b}', '\u{202e}']), "{line}");
        let fields = fields(line.trim_end());
        assert_eq!(fields.len(), 5, "{line}");
        assert!(fields[2].starts_with(r"MAIL\r\n2026-01-01T00:00:00.000Z,server,1,"), "{line}");
        assert_eq!(&fields[3..], ["'=cmd()", r"é\u{202e}"]);
        let long = Row::default().text(&[b'x'; 100_000]).finish();
        assert!(long.len() < 5_000, "{}", long.len());
    }
}
