//! The events for who has no server-sent events: an answer that waits until there is one.

use std::{fmt::Display, time::Duration};

use axum::{body::Body, response::Response};
use cluster_core::{Batch, Cursor, Delivery, Epoch, Event, EventLog, Start};
use serde::Serialize;

use super::{
    activity::Follower,
    json,
    problem::Problem,
    routes::{Stopping, answer, bad_request, json_answer},
    stream::{MemberList, Resync, unknown},
};

/// How long an answer may be waited for.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Bytes of events in one answer; the last one may exceed it, and the cursor says where to go on.
const ANSWER_BYTES: usize = 256 * 1024;

/// How long to wait, as `30s`.
pub(super) fn parse(text: &str) -> Result<Duration, Problem> {
    let wrong = |why: &dyn Display| bad_request(format!("wait: {text:?} {why}"));
    let wait = humantime::parse_duration(text).map_err(|_error| wrong(&"is no duration: write it as 30s"))?;
    if wait <= WAIT_MAX {
        Ok(wait)
    } else {
        Err(wrong(&format_args!("is more than {}s", WAIT_MAX.as_secs())))
    }
}

/// What comes after a cursor, as soon as there is something, or nothing after a while or when the server stops. Without a
/// cursor, or after one that the log does not know, it is a resync.
pub(super) async fn events(
    log: &EventLog,
    since: Option<Cursor>,
    wait: Duration,
    mut stopping: Stopping,
    follower: Follower,
) -> Result<Response, Problem> {
    let mut subscription = log.subscribe(since.map_or(Start::Snapshot, Start::After));
    let reason = since.map(|since| unknown(since, log).into());
    let delivery = tokio::select! {
        biased;
        delivery = subscription.next() => delivery,
        _running_dropped = stopping.changed() => None,
        () = tokio::time::sleep(wait) => None,
    };
    drop(follower);
    // That of what was delivered.
    let Cursor { epoch, .. } = subscription.cursor();
    match delivery {
        Some(Delivery::Events(batch)) => written(&batch, epoch),
        Some(Delivery::Resync { revision, snapshot }) => {
            let cursor = Cursor { epoch, revision };
            #[derive(Serialize)]
            struct Shape {
                cursor: String,
                events: [(); 0],
                resync: Resync,
            }
            let shape = Shape { cursor: cursor.to_string(), events: [], resync: Resync::new(cursor, reason) };
            Ok(answer("application/json", MemberList::new(&shape, snapshot).into_body()))
        }
        None => {
            let cursor = subscription.cursor().to_string().into();
            json_answer(&json::EventList { cursor, events: Vec::new(), resync: None })
        }
    }
}

fn written(batch: &Batch<Event>, epoch: Epoch) -> Result<Response, Problem> {
    let (mut events, mut cursor) = (Vec::new(), Cursor { epoch, revision: 0 });
    for (revision, event) in batch.iter() {
        if events.len() >= ANSWER_BYTES {
            break;
        }
        if !events.is_empty() {
            events.push(b',');
        }
        cursor.revision = revision;
        serde_json::to_writer(&mut events, &json::Event::new(cursor, event)).map_err(super::routes::bug)?;
    }
    // The shape of `json::EventList`, in which the events are written one by one.
    let mut body = format!(r#"{{"cursor":"{cursor}","events":["#).into_bytes();
    body.append(&mut events);
    body.extend_from_slice(b"]}");
    Ok(answer("application/json", Body::from(body)))
}
