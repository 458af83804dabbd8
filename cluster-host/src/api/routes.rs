//! What is answered where.

use std::{fmt::Display, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{
        Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{
        HeaderMap, HeaderValue, Method, Uri,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use cluster_core::{Cursor, NodeName, TopologyName};
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};

use super::{
    activity::Activity,
    json,
    pieces::Pieces,
    problem::{Kind, Problem},
    source::Source,
    stream::{End, EventStream, KeepAlive, MemberList},
    targets::Wanted,
    waiting,
};
use crate::reload::ReloadError;

/// The description of this API, made by a test of the shapes.
const OPENAPI: &str = include_str!("openapi.json");
const LAST_EVENT_ID: &str = "last-event-id";
/// The cursor of an answer that is text: events after it are what happened since.
const X_CURSOR: &str = "x-cursor";

/// What the handlers share.
pub(super) struct Shared {
    pub(super) source: Arc<dyn Source>,
    /// One permit per event stream.
    pub(super) subscribers: Arc<Semaphore>,
    pub(super) pieces: Arc<Pieces>,
    pub(super) stopping: Stopping,
    pub(super) keep_alive_interval: Duration,
}

/// Nothing is ever sent: that the other end is dropped means that the server stops.
pub(super) type Stopping = watch::Receiver<()>;

/// The routes and the methods that each has. The description of the API is checked against them.
pub(super) fn routes() -> [(&'static str, MethodRouter<Arc<Shared>>); 10] {
    [
        ("/v1/members", get(members)),
        ("/v1/members/{name}", get(member)),
        ("/v1/members/{name}/forget", post(forget)),
        ("/v1/events", get(events)),
        ("/v1/topologies", get(topologies)),
        ("/v1/hooks", get(hooks)),
        ("/v1/plugins", get(plugins)),
        ("/v1/prometheus/targets", get(targets)),
        ("/v1/reload", post(reload)),
        ("/v1/openapi.json", get(openapi)),
    ]
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let routes = routes().into_iter();
    let router = routes.fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    router.fallback(unknown_path).method_not_allowed_fallback(method_not_allowed).with_state(shared)
}

/// With what is around all that is answered: to be added last.
pub(super) fn finished(router: Router, activity: &Arc<Activity>) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::clone(activity), finish))
}

#[derive(Debug, Deserialize)]
struct MembersQuery {
    format: Option<MembersFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MembersFormat {
    Json,
    Text,
}

async fn members(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<MembersQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(MembersQuery { format }) = query.map_err(|error| bad_request(error.body_text()))?;
    let source = &shared.source;
    match format.unwrap_or_else(|| MembersFormat::accepted(&headers)) {
        MembersFormat::Json => {
            let list = MemberList::of_log(source.log(), source.node().as_ref());
            Ok(answer("application/json", list.into_body()))
        }
        MembersFormat::Text => {
            let (cursor, snapshot) = source.log().latest();
            let cursor = HeaderValue::try_from(cursor.to_string()).map_err(bug)?;
            let list = MemberList::as_text(snapshot);
            let mut answer = answer("text/plain; charset=utf-8", list.into_body());
            answer.headers_mut().insert(X_CURSOR, cursor);
            Ok(answer)
        }
    }
}

// === impl MembersFormat ===

impl MembersFormat {
    /// Text for who asks for text and not for JSON as well.
    fn accepted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let types: Vec<_> = accepted
            .flat_map(|list| list.split(','))
            .filter_map(|range| range.split(';').next())
            .map(str::trim)
            .collect();
        let is_named = |name: &str| types.iter().any(|range| range.eq_ignore_ascii_case(name));
        if is_named("text/plain") && !is_named("application/json") { Self::Text } else { Self::Json }
    }
}

async fn member(
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let name = node_name(name)?;
    let known = shared.source.explain(name.clone()).await;
    let known = known.filter(|known| {
        known.member.is_some()
            || !(known.vouches.is_empty() && known.links.is_empty() && known.dead.is_empty())
    });
    let known = known.ok_or_else(|| unknown_node(&name))?;
    json_answer(&json::Explanation::from(&known))
}

async fn forget(
    State(shared): State<Arc<Shared>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let name = node_name(name)?;
    let forgotten = shared.source.forget(name.clone()).await.ok_or_else(|| unknown_node(&name))?;
    let stays = |kind, why: String| Err(Problem::of(kind, format!("{name} stays a member: {why}")));
    if !forgotten.topologies.is_empty() || !forgotten.dead.is_empty() {
        json_answer(&json::Forgotten::new(&name, &forgotten))
    } else if forgotten.is_self {
        stays(Kind::OwnNode, "it is the node that this host runs beside".to_owned())
    } else if forgotten.named_by.is_empty() {
        Err(unknown_node(&name))
    } else {
        let named_by: Vec<_> = forgotten.named_by.iter().map(TopologyName::as_str).collect();
        let (named_by, source) =
            (named_by.join(", "), if named_by.len() == 1 { "source" } else { "sources" });
        stays(
            Kind::StillNamed,
            format!(
                "the {source} of {named_by} still named it at last, and it goes when it is not named there any more"
            ),
        )
    }
}

fn node_name(name: Result<Path<String>, PathRejection>) -> Result<NodeName, Problem> {
    let Path(name) = name.map_err(|error| bad_request(error.body_text()))?;
    name.parse().map_err(|error| bad_request(format!("{error}")))
}

fn unknown_node(name: &NodeName) -> Problem {
    Problem::of(Kind::UnknownNode, format!("nothing is known of a node {name}"))
}

async fn plugins(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let (registry, uses) = shared.source.plugins().await;
    json_answer(&json::Plugins::new(&registry, Some(&uses)))
}

async fn topologies(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let topologies = shared.source.topologies();
    let (cursor, snapshot) = shared.source.log().latest();
    json_answer(&json::Topologies::new(cursor, &topologies, &snapshot))
}

async fn hooks(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let log = shared.source.log();
    let cursor = Cursor { epoch: log.epoch(), revision: log.revision() };
    json_answer(&json::Hooks::new(cursor, &shared.source.hooks()))
}

#[derive(Debug, Deserialize)]
struct ReloadQuery {
    #[serde(default)]
    dry_run: bool,
}

async fn reload(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<ReloadQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(ReloadQuery { dry_run }) = query.map_err(|error| bad_request(error.body_text()))?;
    match shared.source.reload(dry_run).await {
        Ok(reloaded) => json_answer(&json::Reload::new(dry_run, &reloaded)),
        Err(error) => {
            let kind = match &error {
                ReloadError::Problems(_) | ReloadError::Plugin(_) => Kind::ConfigurationRefused,
                ReloadError::Fixed(_) => Kind::NeedsRestart,
                ReloadError::NoFile => Kind::NoConfiguration,
                ReloadError::Stopping => Kind::Stopping,
                ReloadError::Check(_) => Kind::Bug,
            };
            Err(Problem::of(kind, error.to_string()))
        }
    }
}

#[derive(Debug, Deserialize)]
struct EventsQuery {
    since: Option<String>,
    follow: Option<bool>,
    /// For how long an event is waited for, in place of a stream.
    wait: Option<String>,
}

async fn events(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(EventsQuery { since, follow, wait }) = query.map_err(|error| bad_request(error.body_text()))?;
    let log = shared.source.log();
    // A browser that connects anew repeats the address that it was given first, and adds the header.
    let resumed = match headers.get(LAST_EVENT_ID) {
        Some(id) => {
            Some(id.to_str().map_err(|_not_text| bad_request(format!("{LAST_EVENT_ID} is not text")))?)
        }
        None => None,
    };
    let since = resumed.filter(|id| !id.is_empty()).or(since.as_deref());
    let since = since.map(|text| Cursor::parse(text, log.epoch())).transpose();
    let since = since.map_err(|error| bad_request(error.to_string()))?;
    let wait = wait.as_deref().map(waiting::parse).transpose()?;
    if wait.is_some() && follow.is_some() {
        return Err(bad_request(
            "follow is of a stream of events, and wait of an answer with some: ask for one of them"
                .to_owned(),
        ));
    }
    let place = Arc::clone(&shared.subscribers).try_acquire_owned().map_err(|_none_left| {
        Problem::of(Kind::TooManySubscribers, "too many subscribers: try again when others have gone")
    })?;
    let at = since.map_or(u64::MAX, |since| since.revision).min(log.revision());
    let follower = shared.source.activity().follow(at, place);
    if let Some(wait) = wait {
        return waiting::events(log, since, wait, shared.stopping.clone(), follower).await;
    }
    let end = match follow {
        Some(false) => End::At(log.revision()),
        None | Some(true) => End::WhenStopping {
            stopping: shared.stopping.clone(),
            keep_alive: KeepAlive::new(shared.keep_alive_interval),
        },
    };
    Ok(answer("text/event-stream", EventStream::new(log, since, end, &shared.pieces, follower).into_body()))
}

async fn targets(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wanted) = query.map_err(|error| bad_request(error.body_text()))?;
    let (_, snapshot) = shared.source.log().snapshot();
    json_answer(&wanted.of(&snapshot))
}

async fn openapi() -> Response {
    answer("application/json", Body::from(OPENAPI))
}

/// Counts what becomes of a request, and tells of a problem what was asked for.
async fn finish(State(activity): State<Arc<Activity>>, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.answer(Some(uri.path()));
    }
    activity.count(response.status());
    response
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::of(Kind::UnknownPath, format!("there is no {}: /v1/openapi.json has what there is", uri.path()))
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::of(Kind::MethodNotAllowed, format!("{method} is not possible on {}", uri.path()))
}

pub(super) fn bad_request(detail: String) -> Problem {
    Problem::of(Kind::BadRequest, detail)
}

pub(super) fn bug(error: impl Display) -> Problem {
    Problem::of(Kind::Bug, format!("bug: {error}"))
}

pub(super) fn json_answer<T: serde::Serialize>(shape: &T) -> Result<Response, Problem> {
    let body = serde_json::to_vec(shape).map_err(bug)?;
    Ok(answer("application/json", body.into()))
}

pub(super) fn answer(content_type: &'static str, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}
