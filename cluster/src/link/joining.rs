//! The one exchange of a new node, on a connection of its own.

use super::error::{Executed, violation};
use super::frame::{FailureHead, Frame};
use super::handler::JoinHandler;
use super::reading::{FrameReader, broken};
use super::security::{any_name, refused};
use super::settings::LinkSettings;
use crate::pki::{JoinReply, JoinRequest, JoinToken, join_client_config};
use base::env::{Env, Stream};
use base::{Deadline, Kind, Result, with_deadline};
use std::net::SocketAddr;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;

/// The longest answer: a certificate and some roots.
const REPLY_BYTES_MAX: usize = 16 << 10;

/// Asks a node of the cluster to be let in. The node must show a certificate of the authority that
/// the token names before it is told the token's secret. May be repeated with the same request,
/// at any node of the cluster.
///
/// # Errors
/// [`Kind::BadCredentials`] if the token is not good or the answer is not from its cluster,
/// [`Kind::Unavailable`] if the node cannot be reached or is not of that cluster,
/// [`Kind::Timeout`] at the deadline.
pub async fn ask_to_join(
    env: &Env,
    address: SocketAddr,
    token: &JoinToken,
    request: JoinRequest,
    deadline: Deadline,
) -> Result<JoinReply> {
    let connector = TlsConnector::from(join_client_config(token, env.clock.clone())?);
    let settings = LinkSettings::default();
    let exchange = async {
        let stream = env.network.connect(address).await.map_err(broken)?;
        let tls = connector.connect(any_name()?, stream).await.map_err(refused)?;
        let (read, mut write) = tokio::io::split(tls);
        send(&mut write, &Frame::JoinRequest(Box::new(request))).await?;
        let mut frames = FrameReader::new(read, settings.frame_time, deadline.remaining());
        frames.allow(REPLY_BYTES_MAX);
        match frames.next().await? {
            Some(Frame::JoinReply(reply)) => Ok(*reply),
            Some(Frame::Failure(FailureHead { error, .. })) => Err(error),
            Some(_) => Err(violation("no answer to a request to join")),
            None => Err(broken("it was closed")),
        }
    };
    Ok(with_deadline(deadline, exchange).await?.accept(token)?.reply)
}

/// Serves one new node.
pub(super) async fn serve_join(
    stream: Box<dyn Stream>,
    handler: &dyn JoinHandler,
    settings: &LinkSettings,
) -> Result<()> {
    let (read, mut write) = tokio::io::split(stream);
    let mut frames = FrameReader::new(read, settings.frame_time, settings.handshake_time);
    let Some(Frame::JoinRequest(request)) = frames.next().await? else {
        return Err(violation("no request to join"));
    };
    let (token, address) = (request.token_id, request.profile.address.clone());
    let answer = match handler.join(*request).await {
        Ok(reply) => {
            tracing::info!(node = %reply.identity.node, address, "a node has joined");
            Frame::JoinReply(Box::new(reply))
        }
        Err(mut error) => {
            tracing::warn!(token = format!("{token:x}"), address, %error, "a node may not join");
            // Why a token is not good is not for who has no good one.
            if error.kind == Kind::BadCredentials {
                error.detail.clear();
            }
            Frame::Failure(FailureHead { id: 0, executed: Executed::Answered, error })
        }
    };
    send(&mut write, &answer).await?;
    write.shutdown().await.map_err(broken)
}

/// Writes one frame.
pub(super) async fn send(stream: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> Result<()> {
    let bytes = frame.encode()?.to_bytes();
    stream.write_all(&bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}
