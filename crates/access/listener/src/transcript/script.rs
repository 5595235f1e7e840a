//! The text of a dialogue, as steps, and its patterns.

use std::time::Duration;

/// A parsed dialogue.
#[derive(Clone, Debug)]
pub struct Transcript {
    pub(super) steps: Vec<(usize, Step)>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    Expect(String),
    SkipTo(String),
    Closed,
    Close,
    Tls,
    Shutdown,
    Wait(Duration),
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// A sentence with the number of the line that makes no sense.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let (kind, rest) = line.split_at(line.len().min(2));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let parsed = match kind {
                "C:" => Ok(vec![Step::Send(format!("{rest}\r\n").into_bytes())]),
                "C~" => unescape(rest).map(|bytes| vec![Step::Send(bytes)]),
                "C*" => counted(rest).map(|(count, line)| {
                    let line = |n: usize| line.replace("{}", &n.to_string());
                    let all = (1..=count).map(|n| line(n) + "\r\n").collect::<String>();
                    vec![Step::Send(all.into_bytes())]
                }),
                "S:" => Ok(vec![Step::Expect(rest.to_owned())]),
                "S*" => {
                    counted(rest).map(|(count, line)| vec![Step::Expect(line.to_owned()); count])
                }
                "S?" => Ok(vec![Step::SkipTo(rest.to_owned())]),
                "! " | "!" => command(rest).map(|step| vec![step]),
                _ if line.trim().is_empty() || line.starts_with('#') => Ok(Vec::new()),
                _ => Err("no such kind of line".to_owned()),
            };
            let parsed = parsed.map_err(|error| format!("line {number}: {error}: {line}"))?;
            for step in parsed {
                match (steps.last_mut(), step) {
                    (Some((_, Step::Send(before))), Step::Send(more)) => before.extend(more),
                    (_, step) => steps.push((number, step)),
                }
            }
        }
        Ok(Self { steps })
    }
}

/// `count text`.
fn counted(rest: &str) -> Result<(usize, &str), String> {
    let (count, line) = rest.split_once(' ').ok_or("expected a count and a line")?;
    Ok((count.parse().map_err(|_| "expected a count")?, line))
}

fn command(rest: &str) -> Result<Step, String> {
    match rest.split_once(' ') {
        None if rest == "closed" => Ok(Step::Closed),
        None if rest == "close" => Ok(Step::Close),
        None if rest == "tls" => Ok(Step::Tls),
        None if rest == "shutdown" => Ok(Step::Shutdown),
        Some(("wait", seconds)) => {
            let seconds = seconds.parse().map_err(|_| "expected seconds")?;
            Ok(Step::Wait(Duration::from_secs(seconds)))
        }
        _ => Err("no such command".to_owned()),
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (byte, length) = match rest.as_bytes().get(at + 1) {
            Some(b'r') => (b'\r', 2),
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b'\\') => (b'\\', 2),
            Some(b'x') => {
                let digits = rest.get(at + 2..at + 4).ok_or("two digits after \\x")?;
                (u8::from_str_radix(digits, 16).map_err(|_| "hexadecimal after \\x")?, 4)
            }
            _ => return Err("unknown escape".to_owned()),
        };
        bytes.push(byte);
        rest = &rest[at + length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Whether a line fits a pattern in which each `*` stands for anything.
pub(super) fn fits(pattern: &str, line: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == line;
    };
    let Some(mut rest) = line.strip_prefix(head) else {
        return false;
    };
    let mut pieces = tail.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        for (pattern, line, expect) in [
            ("250 *", "250 ok", true),
            ("*", "", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
            ("a*a", "a", false),
            ("250 ok", "250 ok ", false),
        ] {
            assert_eq!(fits(pattern, line), expect, "{pattern} {line}");
        }
    }
}
