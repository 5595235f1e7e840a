//! rspamd: a POST of the message to `/checkv2`, a JSON document back.
//!
//! The envelope goes in fields of the request. What comes back is read in [`verdict`]; the request
//! is made here, and bounded: so much of an answer is read and no more.

mod verdict;

use crate::message::Message;
use crate::outcome::{Answer, Trouble};
use base::env::Stream;
use bytes::Bytes;
use contract_transport::scanner::OnFound;
use contract_transport::scanner::scanning::{Facts, plain};
use futures::TryStreamExt;
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::sync::Arc;

/// The largest answer that is read: with all symbols of a large message it is some 50 kB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How many recipients are told: each is a field of the request.
const RECIPIENTS_MAX: usize = 100;

/// Shows it a message. `host` is what it is called in the request.
pub(crate) async fn scan(
    stream: Box<dyn Stream>,
    message: &Message<'_>,
    (host, on_found): (&str, OnFound),
) -> Result<Answer, Trouble> {
    // What of the message cannot be read shows as a request that breaks off.
    let unread: Arc<Mutex<Option<Trouble>>> = Arc::default();
    let noted = unread.clone();
    let body = message.read().map_ok(Frame::data).inspect_err(move |error| {
        *noted.lock() = Some(Trouble::Own(error.text.clone().into_owned()));
    });
    let body = StreamBody::new(body);
    let request = request(message, host, body)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Trouble::Nonsense(plain(&error.to_string())))?;
        Ok((status, body.to_bytes()))
    };
    let driving = async {
        // An answer may still be on its way through what is done with it.
        let _seen_by_asking = connection.await;
        std::future::pending::<()>().await;
    };
    let answered = tokio::select! {
        biased;
        answered = asking => answered,
        () = driving => Err(Trouble::Ended),
    };
    if let Some(own) = unread.lock().take() {
        return Err(own);
    }
    let (status, body) = answered?;
    match status.as_u16() {
        200 => verdict::read(&body, (message.front(), message.header()), on_found),
        413 => Err(Trouble::TooLarge),
        other => Err(Trouble::Failed(format!("HTTP status {other}"))),
    }
}

fn broken(error: &hyper::Error) -> Trouble {
    match error.is_parse() {
        true => Trouble::Nonsense("this is no HTTP".to_owned()),
        false => Trouble::Ended,
    }
}

fn request<B>(message: &Message<'_>, host: &str, body: B) -> Result<Request<B>, Trouble> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = hyper::Uri::from_static("/checkv2");
    let headers = request.headers_mut();
    let length = HeaderValue::from(message.size_bytes());
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(HOST, text(host).unwrap_or(HeaderValue::from_static("rspamd")));
    for (name, value) in facts(message.facts()) {
        // What cannot be a field's value is worth no failure: rspamd goes without it.
        if let Some(value) = text(&value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    Ok(request)
}

fn text(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// The envelope, as rspamd wants it said.
fn facts(facts: &Facts) -> Vec<(&'static str, String)> {
    let mut said = vec![
        ("pass", "all".to_owned()),
        ("queue-id", facts.queue.to_string()),
        ("ip", facts.peer.ip().to_canonical().to_string()),
        ("helo", facts.helo.clone()),
        ("from", facts.sender.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("mta-name", facts.host_name.clone()),
    ];
    said.extend(facts.recipients.iter().take(RECIPIENTS_MAX).map(|to| ("rcpt", to.to_string())));
    said.extend(facts.user.clone().map(|user| ("user", user)));
    if let Some((version, cipher)) = &facts.tls {
        said.push(("tls-version", version.clone()));
        said.push(("tls-cipher", cipher.clone()));
    }
    said
}

/// Asks whether it is there.
pub(crate) async fn ping(stream: Box<dyn Stream>, host: &str) -> Result<String, Trouble> {
    let mut request = Request::new(http_body_util::Empty::<Bytes>::new());
    *request.uri_mut() = hyper::Uri::from_static("/ping");
    let host = text(host).unwrap_or(HeaderValue::from_static("rspamd"));
    request.headers_mut().insert(HOST, host);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    let asking = async {
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| Trouble::Nonsense(plain(&error.to_string())))?;
        match status.is_success() {
            true => Ok(plain(&String::from_utf8_lossy(&body.to_bytes()))),
            false => Err(Trouble::Failed(format!("HTTP status {}", status.as_u16()))),
        }
    };
    let driving = async {
        let _seen_by_asking = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        answered = asking => answered,
        () = driving => Err(Trouble::Ended),
    }
}
