//! Fetching a policy of MTA-STS over HTTPS (RFC 8461 §3.3), from whoever the domain's owner says.

use crate::exchangers::is_local;
use crate::told::Fault;
use base::env::{Env, Stream};
use bytes::Bytes;
use contract_transport::reports::tls::TlsFault;
use futures::future::{Either, select};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// The largest policy, in bytes (RFC 8461 §3.2 asks for nothing near).
const POLICY_BYTES_MAX: usize = 64 * 1024;

/// The largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// One address of the host.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How many addresses are tried.
const ADDRESSES_MAX: usize = 4;

const PATH: &str = "/.well-known/mta-sts.txt";

const PORT: u16 = 443;

/// The bytes of a domain's policy. `client` must check the certificate and the name; with
/// `is_closed_network` the host may be in it. It takes `time` in all at most.
///
/// # Errors
/// Why it cannot be had.
pub(super) async fn fetch(
    env: &Env,
    client: Arc<ClientConfig>,
    is_closed_network: bool,
    domain: &str,
    time: Duration,
) -> Result<Bytes, Fault> {
    let host = format!("mta-sts.{domain}");
    let failed = |why: String| (TlsFault::StsPolicyFetchError, why);
    let work = Box::pin(async {
        let stream = connect(env, is_closed_network, &host).await.map_err(failed)?;
        let name = ServerName::try_from(host.clone()).map_err(|error| failed(error.to_string()))?;
        let handshake = TlsConnector::from(client).connect(name, stream);
        let stream = Box::pin(handshake).await.map_err(|error| refused(&error))?;
        ask(stream, &host).await.map_err(failed)
    });
    let fetched = tokio::time::timeout(time, work).await;
    fetched.unwrap_or_else(|_| Err(failed("it took too long".to_owned()))).map_err(
        |(fault, why)| {
            let why: String = why.chars().filter(|c| !c.is_control()).collect();
            (fault, format!("https://{host}{PATH}: {why}"))
        },
    )
}

/// Why a handshake failed.
fn refused(error: &std::io::Error) -> Fault {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let fault = match inner {
        Some(rustls::Error::InvalidCertificate(_)) => TlsFault::StsWebpkiInvalid,
        _ => TlsFault::StsPolicyFetchError,
    };
    (fault, error.to_string())
}

async fn connect(
    env: &Env,
    is_closed_network: bool,
    host: &str,
) -> Result<Box<dyn Stream>, String> {
    let found = env.dns.addresses(host).await.map_err(|error| error.to_string())?;
    // Nobody may aim us at our own network with it (attack 19).
    let outside = |ip: &std::net::IpAddr| is_closed_network || !is_local(*ip);
    let mut why = "it has only addresses of closed networks".to_owned();
    for ip in found.records.into_iter().filter(outside).take(ADDRESSES_MAX) {
        let connecting = env.network.connect(SocketAddr::new(ip, PORT));
        match tokio::time::timeout(CONNECT_TIME, connecting).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => why = format!("[{ip}]: {error}"),
            Err(_) => why = format!("[{ip}]: no answer"),
        }
    }
    Err(why)
}

/// One request. An answer that leads elsewhere is none (RFC 8461 §3.3).
async fn ask(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    host: &str,
) -> Result<Bytes, String> {
    let io = TokioIo::new(stream);
    let handshake = http1::Builder::new().max_buf_size(HEAD_BYTES_MAX).handshake(io);
    let (mut sender, connection) = handshake.await.map_err(|error| error.to_string())?;
    let request = Request::get(PATH)
        .header(header::HOST, host)
        .header(header::USER_AGENT, "Rialto")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("text/plain") {
            return Err("the answer is no text/plain".to_owned());
        }
        let body = Limited::new(answer.into_body(), POLICY_BYTES_MAX).collect().await;
        Ok(body.map_err(|error| error.to_string())?.to_bytes())
    };
    // The connection moves the bytes of the exchange; it may end first.
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, exchange)) => exchange.await,
    }
}
