//! The stream of events, followed for as long as somebody listens, through the end of the daemon and its return.

use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::mpsc;

use crate::client::{Client, ClientError, EventStream};

/// How long it is waited before the first try to find the daemon again,
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// and, as each failure doubles that, at most.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What comes of the daemon.
#[derive(Debug)]
pub(super) enum News {
    /// An event, as JSON.
    Event(String),
    /// Why nothing is heard of the daemon. It is told for each try.
    Lost(String),
    /// The answer to a question beside the stream.
    Topologies(Result<Bytes, ClientError>),
}

/// Follows a stream, and the next one from where the last one ended. Ends when nobody takes the news any more.
pub(super) async fn follow(client: Client, stream: EventStream, news: mpsc::Sender<News>) {
    let mut stream = Ok(stream);
    let mut cursor: Option<String> = None;
    let mut wait = RETRY_FIRST;
    loop {
        let ended = match stream {
            Ok(stream) => {
                wait = RETRY_FIRST;
                let Some(ended) = pass_on(stream, &mut cursor, &news).await else { return };
                ended
            }
            Err(error) => Err(error),
        };
        let why =
            ended.map_or_else(|error: ClientError| error.to_string(), |()| "the daemon stopped".to_owned());
        if news.send(News::Lost(why)).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
        stream = client.events(cursor.as_deref(), true).await;
    }
}

/// Says how the stream ended, or nothing where nobody listens.
async fn pass_on(
    mut stream: EventStream,
    cursor: &mut Option<String>,
    news: &mpsc::Sender<News>,
) -> Option<Result<(), ClientError>> {
    loop {
        match stream.next_event().await {
            Ok(Some(event)) => {
                *cursor = Some(event.id);
                news.send(News::Event(event.data)).await.ok()?;
            }
            Ok(None) => return Some(Ok(())),
            Err(error) => return Some(Err(error)),
        }
    }
}
