//! One question to one server: by UDP, and by TCP where the answer did not fit in a datagram.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::{
    net::{
        NetError,
        runtime::TokioRuntimeProvider,
        tcp::TcpClientStream,
        udp::UdpClientStream,
        xfer::{DnsExchange, DnsHandle as _, FirstAnswer as _},
    },
    proto::{
        op::{DnsRequest, DnsRequestOptions, Message, Query, ResponseCode},
        rr::{Name, RecordType},
    },
};

use crate::{
    answer::{self, Answer},
    failure::Fault,
};

/// Asks servers. What it runs beside the question ends with it.
#[derive(Clone)]
pub(crate) struct Exchange {
    provider: TokioRuntimeProvider,
    /// How long one datagram, and one connection, may take.
    timeout: Duration,
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { provider: TokioRuntimeProvider::new(), timeout }
    }

    /// Asks a server for the records of a name.
    pub(crate) async fn ask(
        &self,
        server: SocketAddr,
        name: &Name,
        kind: RecordType,
    ) -> Result<Answer, Fault> {
        let query = Query::query(name.clone(), kind);
        let message = match self.message(server, &query, true).await? {
            message if is_puzzled(message.metadata.response_code) => {
                self.message(server, &query, false).await?
            }
            message => message,
        };
        answer::read(&message, name, kind)
    }

    /// The whole answer of a server; `is_extended` asks for datagrams longer than 512 bytes (EDNS).
    async fn message(&self, server: SocketAddr, query: &Query, is_extended: bool) -> Result<Message, Fault> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = is_extended;
        let request = DnsRequest::from_query(query.clone(), options);
        // Who asks again, and whom, is decided by the resolver.
        let udp = UdpClientStream::builder(server, self.provider.clone())
            .with_timeout(Some(self.timeout))
            .with_max_retries(1)
            .exchange();
        let message = self.send(udp, &request).await.map_err(|err| self.fault(server, &err))?;
        if !message.metadata.truncation {
            return Ok(message);
        }
        let no_tcp = |err: NetError| Fault::NoTcp(self.words(&err), server.port());
        let tcp = TcpClientStream::exchange(server, None, self.timeout, None, self.provider.clone());
        let message = self.send(tcp.await.map_err(no_tcp)?, &request).await.map_err(no_tcp)?;
        if message.metadata.truncation { Err(Fault::Truncated) } else { Ok(message) }
    }

    async fn send(
        &self,
        exchange: DnsExchange<TokioRuntimeProvider>,
        request: &DnsRequest,
    ) -> Result<Message, NetError> {
        Ok(exchange.send(request.clone()).first_answer().await?.into_message())
    }

    fn fault(&self, server: SocketAddr, err: &NetError) -> Fault {
        match err {
            NetError::Timeout => Fault::Silent { within: self.timeout, port: server.port() },
            err => Fault::Unreachable(self.words(err)),
        }
    }

    fn words(&self, err: &NetError) -> String {
        match err {
            NetError::Timeout => format!("no answer within {}ms", self.timeout.as_millis()),
            NetError::Io(err) => err.to_string(),
            err => err.to_string(),
        }
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// Whether a server may not have understood that longer datagrams are welcome.
fn is_puzzled(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS)
}
