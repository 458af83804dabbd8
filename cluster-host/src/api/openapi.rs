//! Makes `openapi.json` of the shapes, and holds it against the routes. `UPDATE_EXPECT=1` writes it anew.

use std::collections::BTreeSet;

use cluster_core::{NODE_NAME_CHARS_MAX, NodeName};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{
    Limits, json as shapes,
    problem::Kind,
    routes,
    stream::Resync,
    testing::{Fake, Server, bare_member},
    tests::{contract, raw},
};

/// What [`NodeName`] accepts, up to its length.
const NODE_NAME: &str = r"^[^@\s\u0000-\u001f\u007f-\u009f]+@[^@\s\u0000-\u001f\u007f-\u009f]+$";

/// The description of the API.
fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = Schemas(settings.into_generator());
    let paths = paths(&mut schemas);
    let mut components = schemas.0.take_definitions(true);
    let kinds: Vec<String> =
        Kind::ALL.iter().map(|kind| format!("urn:problem-type:cluster-host:{}", kind.as_str())).collect();
    components["Problem"]["properties"]["type"]["enum"] = json!(kinds);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "cluster-host",
            "version": "1",
            "summary": "Who is in the cluster, and what happens to it.",
            "description": "Shapes grow by added keys only. Times are RFC 3339 in UTC with microseconds. A cursor is \
                            EPOCH:REVISION; who folds the events after a cursor into what there was at it has what there is.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "security": [{}, { "token": [] }, { "certificate": [] }],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Where [api] token_file is set, over a port." },
                "certificate": { "type": "mutualTLS", "description": "Where [api.tls] client_ca is set." },
            },
        },
    })
}

struct Schemas(schemars::SchemaGenerator);

impl Schemas {
    fn json<T: JsonSchema>(&mut self) -> Value {
        json!({ "application/json": { "schema": self.0.subschema_for::<T>() } })
    }

    /// One operation, with what it answers and the problems that it may answer with instead.
    fn operation(&mut self, id: &str, summary: &str, parameters: &Value, content: &Value) -> Value {
        json!({
            "operationId": id,
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "200": { "description": "Done.", "content": content },
                "default": {
                    "description": "A problem, as RFC 9457 has it.",
                    "content": {
                        "application/problem+json": { "schema": self.0.subschema_for::<shapes::Problem<'_>>() },
                    },
                },
            },
        })
    }
}

fn query(name: &str, schema: &Value, description: &str) -> Value {
    json!({ "name": name, "in": "query", "schema": schema, "description": description })
}

fn paths(schemas: &mut Schemas) -> Value {
    let text = || json!({ "type": "string" });
    let name = json!([{
        "name": "name", "in": "path", "required": true,
        "schema": {
            "type": "string", "pattern": NODE_NAME, "maxLength": NODE_NAME_CHARS_MAX, "examples": ["app@10.0.0.7"],
        },
        "description": "The node's name: name@host.",
    }]);
    let none = json!([]);
    let mut paths = json!({});
    let mut content = schemas.json::<shapes::Members<'_>>();
    content["text/plain"] = json!({ "schema": { "type": "string", "description": "STATE NAME of each, a line each; \
                                    the cursor is in the header x-cursor." } });
    let format = query("format", &json!({ "enum": ["json", "text"] }), "Overrules the header accept.");
    paths["/v1/members"]["get"] = schemas.operation("members", "The members.", &json!([format]), &content);
    let content = schemas.json::<shapes::Explanation<'_>>();
    paths["/v1/members/{name}"]["get"] =
        schemas.operation("explain", "Why a node is a member, or why it is not.", &name, &content);
    let content = schemas.json::<shapes::Forgotten<'_>>();
    paths["/v1/members/{name}/forget"]["post"] =
        schemas.operation("forget", "Let a node go that no source names any more.", &name, &content);
    paths["/v1/events"]["get"] = events(schemas);
    let content = schemas.json::<shapes::Topologies<'_>>();
    paths["/v1/topologies"]["get"] =
        schemas.operation("topologies", "The topologies, and how they do.", &none, &content);
    let content = schemas.json::<shapes::Hooks<'_>>();
    paths["/v1/hooks"]["get"] =
        schemas.operation("hooks", "The hooks, and how far each is.", &none, &content);
    let content = schemas.json::<shapes::Plugins<'_>>();
    paths["/v1/plugins"]["get"] = schemas.operation(
        "plugins",
        "The plugins, what they offer, or why they are refused.",
        &none,
        &content,
    );
    let parameters = json!([
        query(
            "port",
            &json!({ "type": "integer", "minimum": 0, "maximum": 65_535 }),
            "Takes the place of the address's own."
        ),
        query("topology", &text(), "Only the members that it vouches for."),
        query(
            "state",
            &json!({ "enum": ["up", "discovered", "down", "leaving", "any"], "default": "up" }),
            "Only members in it."
        ),
    ]);
    let content = schemas.json::<Vec<shapes::Target<'_>>>();
    paths["/v1/prometheus/targets"]["get"] = schemas.operation(
        "targets",
        "The members, for http_sd_configs of Prometheus.",
        &parameters,
        &content,
    );
    let dry_run = query(
        "dry_run",
        &json!({ "type": "boolean", "default": false }),
        "Change nothing, tell what would change.",
    );
    let content = schemas.json::<shapes::Reload<'_>>();
    paths["/v1/reload"]["post"] = schemas.operation(
        "reload",
        "Read the configuration and the plugins again.",
        &json!([dry_run]),
        &content,
    );
    let content = json!({ "application/json": { "schema": { "type": "object" } } });
    paths["/v1/openapi.json"]["get"] = schemas.operation("openapi", "This description.", &none, &content);
    paths
}

fn events(schemas: &mut Schemas) -> Value {
    let mut content = schemas.json::<shapes::EventList<'_>>();
    let event = schemas.0.subschema_for::<shapes::Event<'_>>();
    let resync = schemas.0.subschema_for::<Resync>();
    content["text/event-stream"] = json!({
        "schema": { "type": "string", "description": "Server-sent events: id is the cursor, event the type, data the \
                    event as JSON." },
        "x-data": { "oneOf": [event, resync] },
    });
    let parameters = json!([
        query("since", &json!({ "type": "string", "examples": ["0192a5c7d1e8f402:17"] }), "A cursor, or a revision of the \
              current epoch: the next event comes first, or a resync where the cursor is not known any more. Without it a \
              resync comes first."),
        query("follow", &json!({ "type": "boolean", "default": true }), "false: what there is, and no waiting."),
        query("wait", &json!({ "type": "string", "examples": ["30s"] }), "In place of a stream one answer with what comes, as \
              soon as something does, at most after this long (60s at most)."),
        { "name": "last-event-id", "in": "header", "schema": { "type": "string" }, "description": "As since, which it overrules." },
    ]);
    schemas.operation("events", "What happens.", &parameters, &content)
}

/// The document is made of the shapes, and is what the daemon carries.
#[test]
fn is_made_of_the_shapes() {
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    expect_test::expect_file!["openapi.json"].assert_eq(&text);
}

/// A client that heeds the description asks for no name that would be refused, and for each that would not.
#[test]
fn names_are_described() {
    let schema = &contract::document()["paths"]["/v1/members/{name}"]["get"]["parameters"][0]["schema"];
    let longest = format!("{}@h", "é".repeat(NODE_NAME_CHARS_MAX - 2));
    for name in [
        "a@h",
        "app-1@10.0.0.7",
        "a@::1",
        "é@h",
        &longest,
        &format!("{longest}h"),
        "",
        "a",
        "@",
        "a@",
        "@h",
        "a@b@c",
        "a b@h",
        "a@h\n",
        "a\u{85}@h",
        "a\u{a0}@h",
        "a@\u{2028}",
        "\u{7f}@h",
        "\0@h",
    ] {
        assert_eq!(jsonschema::is_valid(schema, &json!(name)), NodeName::check(name).is_ok(), "{name:?}");
    }
}

/// Every route is described with each of its methods, and nothing is described that there is not. The daemon gives the
/// description away.
#[tokio::test]
async fn is_of_the_routes() {
    const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let fake = Fake::new(7, [bare_member("n1@h", cluster_core::MemberState::Up)]);
    let server = Server::start(fake, Limits::default());
    let mut served = BTreeSet::new();
    for (path, _) in routes::routes() {
        for method in METHODS {
            let line = format!("{method} {} HTTP/1.0", path.replace("{name}", "n1@h"));
            let wait =
                if path == "/v1/events" { line.replace("events", "events?follow=false") } else { line };
            if !raw(&server, &[&wait]).await.starts_with("HTTP/1.0 405 ") {
                served.insert(format!("{method} {path}"));
            }
        }
    }
    let paths = contract::document()["paths"].as_object().unwrap();
    let described = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    assert_eq!(served, described.collect());
    let answer = raw(&server, &["GET /v1/openapi.json HTTP/1.0"]).await;
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(&serde_json::from_str::<Value>(body).unwrap(), contract::document());
}
