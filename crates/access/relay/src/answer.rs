//! Replies, and what stands for them, as the queue sees them.

use crate::limits::ANSWER_TEXT_MAX;
use codec_smtp::Reply;
use contract_transport::courier::Answer;

/// What a host said.
pub(crate) fn said(reply: &Reply, host: &str) -> Answer {
    let class = reply.code() / 100;
    let status = match reply.enhanced() {
        Some(enhanced) => enhanced.to_string(),
        // A 354 where it does not belong has no class of its own.
        None if matches!(class, 2 | 4 | 5) => format!("{class}.0.0"),
        None => "4.5.0".to_owned(),
    };
    let words: Vec<&str> =
        reply.lines().iter().map(AsRef::as_ref).filter(|line| !line.is_empty()).collect();
    let mut text = words.join(" ");
    // A reply's text is ASCII, so any byte is a boundary.
    text.truncate(ANSWER_TEXT_MAX);
    Answer { code: reply.code(), status, text, host: Some(host.to_owned()) }
}

/// Our own judgement.
pub(crate) fn judged(code: u16, status: &str, text: impl Into<String>) -> Answer {
    let text: String = text.into();
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text = printable.take(ANSWER_TEXT_MAX).collect();
    Answer { code, status: status.to_owned(), text, host: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codec_smtp::EnhancedCode;

    #[test]
    fn answers() {
        let reply = Reply::new(550, Some(EnhancedCode::new(5, 1, 1)), "no").with_line("such user");
        let answer = said(&reply, "mx [192.0.2.1]");
        assert_eq!((answer.code, answer.status.as_str()), (550, "5.1.1"));
        assert_eq!(
            (answer.text.as_str(), answer.host.as_deref()),
            ("no such user", Some("mx [192.0.2.1]"))
        );
        assert_eq!(said(&Reply::new(451, None, ""), "mx").status, "4.0.0");
        let long = Reply::new(451, None, "x".repeat(480)).with_line("y".repeat(480));
        assert_eq!(said(&long, "mx").text.len(), ANSWER_TEXT_MAX);
        assert_eq!(judged(0, "4.4.1", "a\r\nb").text, "a  b");
    }
}
