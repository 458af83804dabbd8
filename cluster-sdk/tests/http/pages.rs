//! Lists that come in pages.

use cluster_sdk::{
    http::Next,
    serde_json::{Value, json},
};
use test_httpserver::{Asked, Reply, Server};

use super::{check, client};

/// Which page of a list of three is asked for.
fn page(asked: &Asked) -> usize {
    let (_, page) = asked.line.rsplit_once("page=").unwrap_or(("", "1"));
    page.parse().unwrap()
}

/// Answers with a page of a list, and with what comes after it as `next` says.
fn list(next: impl Fn(usize) -> (Value, Option<(&'static str, String)>) + Send + Sync + 'static) -> Server {
    Server::http(move |asked| {
        let number = page(asked);
        let (body, header) = if number < 3 { next(number + 1) } else { (Value::Null, None) };
        let body = json!({ "items": [number], "meta": { "next": body } }).to_string();
        header.iter().fold(Reply::ok(body), |reply, (name, value)| reply.header(name, value))
    })
}

fn token() -> Next {
    Next::Token { pointer: "/meta/next".to_owned(), query: "page".to_owned() }
}

/// Every way to say where the next page is leads to all of them, with what else was asked for.
#[tokio::test]
async fn all() {
    let header = Next::Header { header: "X-Next".to_owned(), query: "page".to_owned() };
    for (server, next) in [
        (
            list(|next| (Value::Null, Some(("link", format!("</l?a=b&page={next}>; rel=\"next\""))))),
            Next::Link,
        ),
        (list(|next| (json!(format!("?a=b&page={next}")), None)), Next::Url("/meta/next".to_owned())),
        (list(|next| (json!(next), None)), token()),
        (list(|next| (json!(next.to_string()), None)), token()),
        (list(|next| (Value::Null, Some(("x-next", next.to_string())))), header),
    ] {
        let request = client(json!({ "bearer": "hunter2" })).get(server.url("/l?a=b"));
        assert_eq!(request.list::<usize>("/items", next.clone()).await.unwrap(), [1, 2, 3], "{next:?}");
        let lines: Vec<_> = server.asked().into_iter().map(|asked| asked.line).collect();
        assert_eq!(lines, ["GET /l?a=b", "GET /l?a=b&page=2", "GET /l?a=b&page=3"]);
        assert!(server.asked().iter().all(|asked| asked.headers["authorization"] == "Bearer hunter2"));
    }
}

/// A page that fails ends the list with an error; what was before it has been given.
#[tokio::test]
async fn failing() {
    let server = Server::http(|asked| match page(asked) {
        1 => Reply::ok(r#"{ "items": [1], "meta": { "next": 2 } }"#),
        _ => Reply::new(500, ""),
    });
    let http = client(json!({ "retries": 0 }));
    let mut pages = http.get(server.url("/l")).pages(token());
    assert!(pages.next().await.unwrap().is_some());
    check(&pages.next().await.unwrap_err(), &format!("GET {}: 500 Internal", server.url("/l?…")), "");
    assert!(pages.next().await.unwrap().is_none());
    assert!(http.get(server.url("/l")).list::<usize>("/items", token()).await.is_err());
    let err = http.get(server.url("/l")).list::<usize>("/itms", token()).await.unwrap_err();
    check(&err, "", "it has nothing at \"/itms\"; is it the right address?");
}

/// Pages that lead elsewhere, or have no end, are errors.
#[tokio::test]
async fn astray() {
    let other = Server::http(|_| Reply::ok("[]"));
    let elsewhere = other.url("/?page=2");
    let server = Server::http(move |asked| {
        let next = match asked.line.as_str() {
            "GET /away" => json!(elsewhere),
            "GET /self" => json!("/self"),
            "GET /list" => json!([1]),
            line => json!(format!("/on?page={}", line.len() + page(asked))),
        };
        Reply::ok(json!({ "items": [], "next": next }).to_string())
    });
    let http = client(json!({ "bearer": "hunter2" }));
    for (path, reason) in [
        ("/away", "which is another server: not followed, as headers may be secret"),
        ("/self", "the page names itself as the next one; is it the right address?"),
        ("/list", "/next is neither a text nor a number; is it the right address?"),
        ("/on", "more than 1000 pages, do they go round?"),
    ] {
        let request = http.get(server.url(path));
        let err = request.list::<usize>("/items", Next::Url("/next".to_owned())).await.unwrap_err();
        check(&err, "GET ", reason);
    }
    assert_eq!(other.asked(), []);
}
