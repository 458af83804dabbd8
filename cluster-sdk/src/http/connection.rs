//! One connection: made, used for one request after the other, and closed when it is dropped.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response,
    client::conn::http1::{self, SendRequest},
    header,
    http::response::Parts,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use super::{error::Trouble, options::HttpOptions, tls, url::Url};

/// How long one address of a server is tried alone (RFC 8305): then the next one beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Connection {
    url: Url,
    sender: SendRequest<Full<Bytes>>,
}

// === impl Connection ===

impl Connection {
    /// Connects to the server of an address.
    pub(super) async fn open(url: &Url, options: &HttpOptions) -> Result<Self, Trouble> {
        let stream = connect(url).await?;
        stream.set_nodelay(true).map_err(Trouble::Unreachable)?;
        let sender = if url.is_https() {
            let config = Arc::new(tls::config(options)?);
            let name = ServerName::try_from(url.host().to_owned());
            let name = name.map_err(|err| Trouble::Tls(io::Error::other(err)))?;
            let stream = TlsConnector::from(config).connect(name, stream).await.map_err(Trouble::Tls)?;
            handshake(stream).await
        } else {
            handshake(stream).await
        };
        let sender = sender.map_err(|err| Trouble::of_hyper(&err))?;
        Ok(Self { url: url.clone(), sender })
    }

    /// Whether it leads to the server of another address, and nobody has closed it.
    pub(super) fn is_for(&self, url: &Url) -> bool {
        self.url.is_same_origin(url) && !self.sender.is_closed()
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        body_bytes_max: u64,
    ) -> Result<(Parts, Bytes), Trouble> {
        self.sender.ready().await.map_err(|err| Trouble::of_hyper(&err))?;
        let answer = self.sender.send_request(request).await.map_err(|err| Trouble::of_hyper(&err))?;
        let (parts, body) = answer.into_parts();
        // hyper gives what comes in as large pieces as came; none of that counts on a length that was told.
        let limit = usize::try_from(body_bytes_max).unwrap_or(usize::MAX);
        let body = Limited::new(body, limit).collect().await.map_err(|err| {
            match err.downcast::<hyper::Error>() {
                Ok(err) => Trouble::of_hyper(&err),
                Err(err) if err.is::<LengthLimitError>() => Trouble::TooLarge(body_bytes_max),
                Err(err) => Trouble::Broken(err.to_string()),
            }
        })?;
        let answer = Response::from_parts(parts, body.to_bytes());
        if let Some(encoding) = answer.headers().get(header::CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Err(Trouble::Encoded(String::from_utf8_lossy(encoding.as_bytes()).into_owned()));
        }
        Ok(answer.into_parts())
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> hyper::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends when the sender is dropped and no answer is read any more. What it fails with the sender has as well.
    tokio::spawn(connection);
    Ok(sender)
}

/// Connects to the first address that takes it. One that drops packets holds up nothing.
async fn connect(url: &Url) -> Result<TcpStream, Trouble> {
    let unresolved = |err| Trouble::Unresolved(url.host().to_owned(), err);
    let mut addresses = lookup_host((url.host(), url.port())).await.map_err(unresolved)?;
    let mut tries = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    loop {
        let next = addresses.next();
        let is_more = next.is_some();
        if let Some(address) = next {
            tries.spawn(async move {
                TcpStream::connect(address)
                    .await
                    .map_err(|err| io::Error::new(err.kind(), format!("{address}: {err}")))
            });
        } else if tries.is_empty() {
            return Err(Trouble::Unreachable(last));
        }
        tokio::select! {
            biased;
            Some(done) = tries.join_next() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(err)) => last = err,
                Err(err) => last = io::Error::other(err),
            },
            () = sleep(HEAD_START), if is_more => {}
        }
    }
}
