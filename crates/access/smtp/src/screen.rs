//! The check of who a message is from, beside its arrival: its header is held until it is whole,
//! since fields of it may have to be left out before anything of it is stored.

use crate::scan;
use crate::session::{Draft, Session};
use bytes::{Bytes, BytesMut};
use codec_mime::header;
use contract_transport::authentication::{Checked, Client, SenderCheck};
use parking_lot::Mutex;

/// A message that is being checked.
pub(crate) struct Screen {
    /// Checks are not `Sync`, and a session must be; nobody ever locks this.
    check: Option<Mutex<Box<dyn SenderCheck>>>,
    /// Scanners will see it: what strangers say in their name is left out.
    is_scanned: bool,
    /// What has come of the header; `None` once all of it has been passed on.
    header: Option<BytesMut>,
}

impl Screen {
    /// Mail of people who signed in and of our own servers is taken as it is; that of devices that
    /// may relay is not checked, but nor does it tell of checks of ours.
    pub(crate) fn begin(session: &Session, draft: &Draft, is_scanned: bool) -> Option<Self> {
        let authentication = session.shared.authentication.get().filter(|_| !session.is_of_us());
        let client = || Client {
            ip: session.connection.peer().ip(),
            helo: session.client.as_ref().map(|client| client.name.clone()).unwrap_or_default(),
            sender: draft.sender.clone(),
            is_trusted: session.may_relay(),
        };
        let check = authentication.map(|checks| Mutex::new(checks.begin(client())));
        let is_scanned = is_scanned && !session.may_relay();
        let is_needed = check.is_some() || is_scanned;
        is_needed.then(|| Self { check, is_scanned, header: Some(BytesMut::new()) })
    }

    /// Takes the next bytes, and gives what may be stored now: the header, and what stands behind.
    pub(crate) fn take(&mut self, piece: Bytes) -> (Bytes, Bytes) {
        let Some(held) = &mut self.header else {
            self.body(&piece);
            return (Bytes::new(), piece);
        };
        let (mut header, mut body) = (Bytes::new(), Bytes::new());
        if held.is_empty() {
            // Nearly always all of the header comes at once, and is not copied.
            match header::length(&piece, 0) {
                Some(length) => (header, body) = (piece.slice(..length), piece.slice(length..)),
                None => held.extend_from_slice(&piece),
            }
        } else {
            let before = held.len();
            held.extend_from_slice(&piece);
            if let Some(length) = header::length(held, before) {
                header = held.split_to(length).freeze();
                body = piece.slice(length - before..);
            }
        }
        if header.is_empty() {
            return (header, body);
        }
        self.header = None;
        let header = self.passed(header);
        self.body(&body);
        (header, body)
    }

    /// What of a header may be stored.
    fn passed(&mut self, header: Bytes) -> Bytes {
        let header = match &mut self.check {
            Some(check) => check.get_mut().header(header),
            None => header,
        };
        if self.is_scanned { scan::without_claims(header) } else { header }
    }

    fn body(&mut self, piece: &[u8]) {
        if let Some(check) = &mut self.check {
            check.get_mut().body(piece);
        }
    }

    /// How much of the header is held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.header.as_ref().map_or(0, BytesMut::len)
    }

    /// The header of a message that has nothing else.
    pub(crate) fn rest(&mut self) -> Bytes {
        match self.header.take() {
            Some(held) => self.passed(held.freeze()),
            None => Bytes::new(),
        }
    }

    /// The message has come to its end.
    pub(crate) async fn finish(self) -> Checked {
        match self.check {
            Some(check) => check.into_inner().finish().await,
            None => Checked::default(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::Arc;

    /// Writes down what it is given.
    #[derive(Default)]
    struct Heard(Arc<Mutex<(Vec<u8>, Vec<u8>)>>);

    #[async_trait]
    impl SenderCheck for Heard {
        fn header(&mut self, header: Bytes) -> Bytes {
            self.0.lock().0.extend_from_slice(&header);
            header
        }

        fn body(&mut self, piece: &[u8]) {
            self.0.lock().1.extend_from_slice(piece);
        }

        async fn finish(self: Box<Self>) -> Checked {
            Checked::default()
        }
    }

    #[test]
    fn header_and_body_are_parted_wherever_the_pieces_end() {
        let check = |message: &str, header: &str| {
            for size in 1..=message.len() {
                let heard = Heard::default();
                let seen = heard.0.clone();
                let check = Mutex::new(Box::new(heard) as Box<dyn SenderCheck>);
                let header_held = Some(BytesMut::new());
                let mut screen =
                    Screen { check: Some(check), is_scanned: false, header: header_held };
                let mut stored = Vec::new();
                for piece in message.as_bytes().chunks(size) {
                    let (first, second) = screen.take(Bytes::copy_from_slice(piece));
                    stored.extend_from_slice(&first);
                    stored.extend_from_slice(&second);
                }
                stored.extend_from_slice(&screen.rest());
                assert_eq!(stored, message.as_bytes(), "{message:?} by {size}");
                let seen = seen.lock();
                assert_eq!(seen.0, header.as_bytes(), "{message:?} by {size}");
                assert_eq!(seen.1, message.as_bytes()[header.len()..], "{message:?} by {size}");
            }
        };
        check("a: b\r\nc: d\r\n\r\nbody\r\n\r\nmore\r\n", "a: b\r\nc: d\r\n\r\n");
        check("\r\nbody\r\n", "\r\n");
        check("a: b\r\n\r\n", "a: b\r\n\r\n");
        check("a: b\r\n c\r\n", "a: b\r\n c\r\n");
    }
}
