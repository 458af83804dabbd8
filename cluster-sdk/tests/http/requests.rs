//! What is sent, and what comes back.

use std::fs;

use cluster_sdk::{
    Secret,
    serde_json::{Value, json},
};
use test_httpserver::{Reply, Server};

use super::{check, client};

/// The query, headers and secrets arrive; a secret in a file is read anew each time.
#[tokio::test]
async fn sent() {
    let server = Server::http(|asked| Reply::ok(json!({ "line": asked.line }).to_string()));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "first\n").unwrap();
    let http = client(json!({ "headers": { "X-Token": { "file": file } }, "bearer": "general" }));
    let get = || http.get(server.url("/v1/nodes?a=b")).query("tag", "a b&c").headers([("x-more", "1")]);
    let body: Value = get().json().await.unwrap();
    assert_eq!(body["line"], "GET /v1/nodes?a=b&tag=a%20b%26c");
    fs::write(&file, "second\n").unwrap();
    get().bearer(&Secret::inline("special")).send().await.unwrap();
    http.post(server.url("/v1")).body_json(&json!({ "a": 1 })).send().await.unwrap();
    let [first, second, third] = &server.asked()[..] else { panic!("three requests") };
    for (asked, token, authorization) in [
        (first, "first", "Bearer general"),
        (second, "second", "Bearer special"),
        (third, "second", "Bearer general"),
    ] {
        assert_eq!(
            (asked.headers["x-token"].as_str(), asked.headers["authorization"].as_str()),
            (token, authorization)
        );
        assert_eq!(format!("http://{}", asked.headers["host"]), server.url(""));
        assert!(!asked.headers.contains_key("accept-encoding"));
    }
    assert_eq!((first.headers["x-more"].as_str(), third.headers.contains_key("x-more")), ("1", false));
    assert_eq!((third.line.as_str(), third.body.as_str()), ("POST /v1", r#"{"a":1}"#));
    assert_eq!(third.headers["content-type"], "application/json");
}

/// An error says what was asked, the status and what to do. No secret is in it, though the server says it back, and no
/// value of the query.
#[tokio::test]
async fn refused() {
    let server = Server::http(|asked| {
        let token = asked.headers.get("authorization").cloned().unwrap_or_default();
        Reply::new(403, json!({ "message": format!("{token} may not") }).to_string())
    });
    let http = client(json!({ "bearer": "hunter2" }));
    let err = http.get(server.url("/v1?key=hunter3")).send().await.unwrap_err();
    assert!(err.is_denied() && !err.is_temporary() && server.asked().len() == 1);
    check(
        &err,
        &format!(
            "GET {}: 403 Forbidden, it says \"{{\\\"message\\\":\\\"Bearer *** may not",
            server.url("/v1?…")
        ),
        "give the token the right to read this",
    );
    assert!(!format!("{err:?} {http:?}").contains("hunter"), "{err:?} {http:?}");
}

/// What cannot be sent is told without asking anybody.
#[tokio::test]
async fn unsendable() {
    let http = client(json!({}));
    let err = http.get("me:hunter2@api/").send().await.unwrap_err();
    check(&err, "GET: \"…@api/\" is not an address: write it whole", "before it");
    let server = Server::http(|_| Reply::ok("{}"));
    let url = server.url("/");
    let missing = Secret::inline("");
    let err = http.get(&url).secret("x-token", &missing).send().await.unwrap_err();
    check(&err, &format!("GET {url}: header x-token: secret in the config is empty"), "");
    let err = http.get(&url).header("x-token", "a\nb").send().await.unwrap_err();
    check(&err, &format!("GET {url}: header x-token in the config has a character"), "line break");
    assert_eq!(server.asked(), []);
}

/// What is no JSON, is of another type, or is compressed says so.
#[tokio::test]
async fn unexpected() {
    let server = Server::http(|asked| match asked.line.as_str() {
        "GET /html" => Reply::ok("<html>"),
        "GET /deep" => Reply::ok("[".repeat(100_000)),
        "GET /zip" => Reply::ok("…").header("content-encoding", "gzip"),
        _ => Reply::ok(r#"{ "nodes": 5 }"#),
    });
    let http = client(json!({}));
    for (path, begin) in [
        ("/html", "the answer is not as expected: expected value at line 1 column 1"),
        ("/deep", "the answer is not as expected: recursion limit exceeded"),
        ("/zip", "the answer is encoded as \"gzip\""),
        ("/other", "the answer is not as expected: invalid type: map"),
    ] {
        let url = server.url(path);
        let request = http.get(&url);
        let err = match path {
            "/other" => request.json::<Vec<String>>().await.unwrap_err(),
            _ => request.json::<Value>().await.unwrap_err(),
        };
        check(&err, &format!("GET {url}: {begin}"), "");
    }
}

/// On the same server redirects are followed; elsewhere headers would be shown to others.
#[tokio::test]
async fn redirects() {
    let other = Server::http(|_| Reply::ok("{}"));
    let elsewhere = other.url("/v1?key=hunter2");
    let server = Server::http(move |asked| match asked.line.as_str() {
        "GET /old" => Reply::new(301, "").header("location", "/new?a=b"),
        "GET /round" => Reply::new(302, "").header("location", "/round"),
        "GET /away" => Reply::new(307, "").header("location", &elsewhere),
        "GET /nowhere" => Reply::new(302, "").header("location", "http://a b/"),
        "POST /old" => Reply::new(303, "").header("location", "/new"),
        "GET /bare" => Reply::new(304, ""),
        _ => Reply::ok("{}"),
    });
    let http = client(json!({ "bearer": "hunter2" }));
    http.get(server.url("/old")).send().await.unwrap();
    assert_eq!(server.asked()[1].line, "GET /new?a=b");
    for (path, reason) in [
        ("/round", "more than 5 redirects, do they go round?".to_owned()),
        (
            "/away",
            format!(
                "307 Temporary Redirect to {}, which is another server: not followed, as headers may be secret; write that \
                 address",
                other.url("/v1?…")
            ),
        ),
        (
            "/nowhere",
            "it points to what is no address: \"http://a b/\" is not an address: invalid uri character"
                .to_owned(),
        ),
        (
            "/bare",
            "304 Not Modified; it says where to look only in part: write the address that is meant"
                .to_owned(),
        ),
    ] {
        let err = http.get(server.url(path)).send().await.unwrap_err();
        assert_eq!(err.to_string(), format!("GET {}: {reason}", server.url(path)));
    }
    let err = http.post(server.url("/old")).send().await.unwrap_err();
    assert_eq!(err.status().unwrap(), 303);
    assert_eq!(other.asked(), []);
}

/// With a tag an answer is asked for only if it has changed, and the one that is kept is given.
#[tokio::test]
async fn revalidated() {
    let server = Server::http(|asked| {
        let tag = if asked.headers.contains_key("x-new") { "\"b\"" } else { "\"a\"" };
        if asked.headers.get("if-none-match").is_some_and(|have| have == tag) {
            return Reply::new(304, "");
        }
        Reply::ok(format!("[{tag}]")).header("etag", tag)
    });
    let http = client(json!({}));
    let mut seen = Vec::new();
    for is_new in [false, false, true, true, false] {
        let request = http.get(server.url("/")).revalidated();
        let request = if is_new { request.header("x-new", "1") } else { request };
        let answer = request.send().await.unwrap();
        seen.push((answer.json::<Vec<String>>().unwrap().remove(0), answer.is_unchanged()));
    }
    let expected = [("a", false), ("a", true), ("b", false), ("b", true), ("a", false)];
    assert_eq!(seen, expected.map(|(tag, is_unchanged)| (tag.to_owned(), is_unchanged)));
    http.get(server.url("/")).send().await.unwrap();
    assert!(!server.asked().last().unwrap().headers.contains_key("if-none-match"));
}
