//! How a request is answered.

use std::future::pending;
use std::time::Duration;

use http::header::{CONTENT_TYPE, WARNING};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Bytes};
use tokio::time::sleep;

use crate::body::{Body, BoxError, json};
use crate::fault::Fault;
use crate::kind::Verb;
use crate::list::List;
use crate::query::Target;
use crate::request::SeenRequest;
use crate::rest;
use crate::roles::{ADMIN, Roles};
use crate::selector::Selector;
use crate::server::ApiServer;
use crate::status::Status;
use crate::watch::{Lines, Torn};

/// How long a watch stays open whose client does not say.
const WATCH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1_800);
/// What is at `/version`.
const VERSION: &str = include_str!("../../fixtures/kubernetes/version.json");
/// What a proxy says that has nothing to do with it.
const GARBAGE: &str = "<html><body>it works</body></html>";

/// Answers a request, or fails as it was told to.
pub(crate) async fn answer<B>(server: ApiServer, request: Request<B>) -> Result<Response<Body>, BoxError>
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let request = SeenRequest::new(&parts);
    let number = server.change(|state| state.record(request.clone()));
    let fault = server.change(|state| state.faults.take(request.verb));
    let response = match fault {
        Some(Fault::Hang) => pending().await,
        Some(Fault::Reset) => return Err(Torn.into()),
        Some(Fault::Status(code, retry_after)) => Status::trouble(code, retry_after).response(),
        Some(Fault::Garbage) => garbage(),
        fault => {
            let has_body = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
            let body = match has_body {
                true => body.collect().await.map_err(Into::into)?.to_bytes(),
                false => Bytes::new(),
            };
            respond(&server, &request, &body, fault).unwrap_or_else(|status| status.response())
        }
    };
    server.change(|state| state.record_status(number, response.status().as_u16()));
    Ok(match fault {
        Some(Fault::SlowBytes { bytes, every }) => response.map(|body| body.slowly(bytes, every)),
        _ => response,
    })
}

/// Answers a request that is to be answered.
fn respond(
    server: &ApiServer,
    request: &SeenRequest,
    body: &Bytes,
    fault: Option<Fault>,
) -> Result<Response<Body>, Status> {
    if request.path == "/version" {
        // Everybody may ask, but not with a token that is none.
        server.state().access.authenticate(request.token())?;
        return Ok(json(200, Body::whole(VERSION)));
    }
    if request.path == "/readyz" {
        return Ok(json(200, Body::whole("ok")));
    }
    if let Some(answer) = change_roles(server, request, body) {
        return answer;
    }
    let target = request.target.as_ref().filter(|target| server.state().access.has(target.kind));
    let target = target.ok_or_else(Status::unknown_path)?;
    let verb = request.verb.ok_or_else(Status::bad_method)?;
    admit(server, request, verb, target)?;
    let response = match verb {
        Verb::List | Verb::Watch => {
            let (labels, fields) = (request.query.text("labelSelector"), request.query.text("fieldSelector"));
            let selector = Selector::parse(target.kind, target.namespace.as_deref(), labels, fields)
                .map_err(|problem| Status::bad_request(&problem))?;
            match verb {
                Verb::Watch => watch(server, (request, target), selector, fault)?,
                _ => list(server, (request, target), &selector, fault)?,
            }
        }
        Verb::Get | Verb::Create | Verb::Update | Verb::Patch | Verb::Delete => {
            let (code, bytes) =
                server.change(|state| rest::answer(state, verb, (target, &request.query), body))?;
            json(code, Body::whole(bytes))
        }
    };
    Ok(with_warning(response, target))
}

/// Answers what is asked of Roles and namespaces, where there are any.
fn change_roles(
    server: &ApiServer,
    request: &SeenRequest,
    body: &Bytes,
) -> Option<Result<Response<Body>, Status>> {
    if !Roles::has(&request.path) {
        return None;
    }
    server.change(|state| {
        let user = state.access.authenticate(request.token()).map(str::to_owned);
        let roles = state.access.roles.as_mut()?;
        Some(user.and_then(|user| {
            if user != ADMIN {
                return Err(Status::forbidden_path(&user, &request.path));
            }
            let (code, object) = roles.answer(&request.method, &request.path, body)?;
            Ok(json(code, Body::whole(object.to_string())))
        }))
    })
}

/// Whether the request may be made at all.
fn admit(server: &ApiServer, request: &SeenRequest, verb: Verb, target: &Target) -> Result<(), Status> {
    let state = server.state();
    let user = state.access.authenticate(request.token())?;
    state.access.authorize(user, verb, target)
}

fn list(
    server: &ApiServer,
    (request, target): (&SeenRequest, &Target),
    selector: &Selector,
    fault: Option<Fault>,
) -> Result<Response<Body>, Status> {
    let is_emptied = fault == Some(Fault::EmptyList);
    let list = List { target, query: &request.query, selector, form: request.form(), is_emptied };
    let bytes = list.answer(&server.state().store)?;
    Ok(json(200, Body::whole(bytes)))
}

fn watch(
    server: &ApiServer,
    (request, target): (&SeenRequest, &Target),
    selector: Selector,
    fault: Option<Fault>,
) -> Result<Response<Body>, Status> {
    let timeout = request.query.number("timeoutSeconds").map_or(WATCH_TIMEOUT_DEFAULT, Duration::from_secs);
    let watch = server.change(|state| state.open_watch((request, target), selector, fault))?;
    Ok(json(200, Body::lines(Lines::new(server.clone(), watch, sleep(timeout)))))
}

fn garbage() -> Response<Body> {
    let mut response = json(200, Body::whole(GARBAGE));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

fn with_warning(mut response: Response<Body>, target: &Target) -> Response<Body> {
    if let Some(warning) = target.kind.warning() {
        response.headers_mut().insert(WARNING, HeaderValue::from_static(warning));
    }
    response
}
