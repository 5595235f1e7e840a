//! clamd: INSTREAM with the message, one line back.
//!
//! ```text
//! > zINSTREAM\0  (length, bytes)…  0        < stream: OK\0
//!                                           < stream: Eicar-Signature FOUND\0
//!                                           < INSTREAM size limit exceeded. ERROR\0
//! ```
//!
//! It may answer, and close, before it has all of the message.

use crate::message::{Message, own};
use crate::outcome::{Answer, Trouble};
use base::env::Stream;
use bytes::{BufMut, Bytes, BytesMut};
use contract_transport::scanner::OnFound;
use contract_transport::scanner::scanning::plain;
use futures::TryStreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The longest answer: a path and a signature's name.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

/// What it says to a stream that is longer than its `StreamMaxLength`.
const TOO_LARGE: &str = "INSTREAM size limit exceeded.";

/// Shows it a message.
pub(crate) async fn scan(
    stream: Box<dyn Stream>,
    message: &Message<'_>,
    on_found: OnFound,
) -> Result<Answer, Trouble> {
    let (mut input, mut output) = tokio::io::split(stream);
    let answering = answer(&mut input);
    let sending = async {
        let sent = send(&mut output, message).await;
        match sent {
            // Whoever has answered need not read the rest; whether it has is seen by reading.
            Err(Trouble::Ended) | Ok(()) => std::future::pending::<Trouble>().await,
            Err(trouble) => trouble,
        }
    };
    let line = tokio::select! {
        biased;
        line = answering => line?,
        trouble = sending => return Err(trouble),
    };
    read(&line, on_found)
}

/// Asks it something that has one word: `PING`, `VERSION`.
pub(crate) async fn command(stream: Box<dyn Stream>, word: &str) -> Result<String, Trouble> {
    let (mut input, mut output) = tokio::io::split(stream);
    output.write_all(format!("z{word}\0").as_bytes()).await?;
    output.flush().await?;
    answer(&mut input).await
}

async fn send(
    output: &mut (impl AsyncWrite + Unpin),
    message: &Message<'_>,
) -> Result<(), Trouble> {
    output.write_all(b"zINSTREAM\0").await?;
    let mut pieces = message.read();
    while let Some(piece) = pieces.try_next().await.map_err(fault)? {
        output.write_all(&framed(&piece)?).await?;
    }
    output.write_all(&[0; 4]).await?;
    Ok(output.flush().await?)
}

fn fault(error: base::Error) -> Trouble {
    own(Err(error)).err().unwrap_or(Trouble::Ended)
}

/// A chunk with its length. An empty one would end the message.
fn framed(piece: &Bytes) -> Result<Bytes, Trouble> {
    let length = u32::try_from(piece.len()).map_err(|_| Trouble::TooLarge)?;
    let mut framed = BytesMut::with_capacity(4 + piece.len());
    framed.put_u32(length);
    framed.extend_from_slice(piece);
    Ok(framed.freeze())
}

/// What it says, up to its NUL or the end.
async fn answer(input: &mut (impl AsyncRead + Unpin)) -> Result<String, Trouble> {
    let mut said = Vec::new();
    loop {
        if let Some(end) = said.iter().position(|byte| *byte == 0) {
            said.truncate(end);
            break;
        }
        if said.len() > ANSWER_BYTES_MAX {
            return Err(Trouble::Nonsense(format!("more than {ANSWER_BYTES_MAX} bytes")));
        }
        let more = input.read_buf(&mut said).await?;
        if more == 0 && said.is_empty() {
            return Err(Trouble::Ended);
        }
        if more == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&said).trim().to_owned())
}

/// What its line means.
fn read(line: &str, on_found: OnFound) -> Result<Answer, Trouble> {
    if line.starts_with(TOO_LARGE) {
        return Err(Trouble::TooLarge);
    }
    if let Some(what) = line.strip_suffix(" ERROR") {
        return Err(Trouble::Failed(plain(what)));
    }
    let said = line.strip_prefix("stream: ");
    match said.and_then(|said| said.strip_suffix(" FOUND").or((said == "OK").then_some(""))) {
        Some("") => Ok(Answer::clean()),
        Some(name) => {
            let name = plain(name);
            let told = format!("the message contains {name}");
            Ok(Answer::found(on_found, &told, format!("clamd found {name}")))
        }
        None => Err(Trouble::Nonsense(plain(line))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;
    use proptest::prelude::*;

    #[test]
    fn lines_mean_what_clamd_means() {
        let check = |line: &str, expect: Result<Option<&str>, Trouble>| {
            let found = read(line, OnFound::Refuse).map(|answer| match answer.verdict {
                Verdict::Clean => None,
                Verdict::Refused(reply) => Some((reply.code, reply.text, answer.text)),
                other => panic!("{other:?}"),
            });
            let told = |name: &str| {
                (550, format!("the message contains {name}"), format!("clamd found {name}"))
            };
            assert_eq!(found, expect.map(|name| name.map(told)), "{line:?}");
        };
        check("stream: OK", Ok(None));
        check("stream: Eicar-Test-Signature FOUND", Ok(Some("Eicar-Test-Signature")));
        check("stream: Win.Trojan FOUND FOUND", Ok(Some("Win.Trojan FOUND")));
        check("stream: a\r\nb\u{e9} FOUND", Ok(Some("a??b?")));
        check("INSTREAM size limit exceeded. ERROR", Err(Trouble::TooLarge));
        check("INSTREAM size limit exceeded.", Err(Trouble::TooLarge));
        let failed = |what: &str| Err(Trouble::Failed(what.to_owned()));
        check("stream: Can't allocate memory ERROR", failed("stream: Can't allocate memory"));
        for nonsense in ["", "OK", "stream:", "stream: ", "stream: ok", "PONG", "250 OK", "FOUND"] {
            check(nonsense, Err(Trouble::Nonsense(nonsense.trim().to_owned())));
        }
    }

    #[test]
    fn what_is_found_goes_where_it_is_to_go() {
        let check = |choice, expect: &Verdict| {
            let found = read("stream: X FOUND", choice).unwrap();
            assert_eq!((&found.verdict, found.text.as_str()), (expect, "clamd found X"));
        };
        check(OnFound::Discard, &Verdict::Discarded);
        check(OnFound::Junk, &Verdict::Junk);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_answer_is_too_odd_or_too_long(said in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = futures::executor::block_on(answer(&mut &said[..]));
            match line {
                Ok(line) => {
                    prop_assert!(line.len() <= 3 * said.len());
                    let _any = read(&line, OnFound::Refuse);
                }
                Err(trouble) => {
                    prop_assert!(said.is_empty(), "{trouble:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn attack_an_endless_answer_is_cut_off() {
        let endless = tokio::io::repeat(b'x');
        let found = answer(&mut endless.take(1 << 30)).await;
        assert!(matches!(found, Err(Trouble::Nonsense(_))), "{found:?}");
    }
}
