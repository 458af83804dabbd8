use serde_json::json;

use super::*;
use crate::object::Key;

fn object(labels: &serde_json::Value) -> Object {
    let value = json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"namespace": "demo", "name": "a", "labels": labels},
        "spec": {"nodeName": "node-a"}, "status": {"phase": "Running"},
    });
    Object::new(Key::of(&value).unwrap(), value)
}

#[track_caller]
fn check(labels: &str, fields: &str, is_match: bool) {
    let selector = Selector::parse(Kind::Pod, Some("demo"), labels, fields).unwrap();
    let object = object(&json!({"app": "myapp", "tier": "a", "in": "x"}));
    assert_eq!(selector.matches(&object), is_match, "{labels} {fields}");
}

/// Each operator of label selectors says yes and no.
#[test]
fn labels_are_matched() {
    for (labels, is_match) in [
        ("", true),
        ("app=myapp", true),
        ("app==myapp", true),
        (" app = myapp , tier != b ", true),
        ("app=other", false),
        ("app!=myapp", false),
        ("none!=x", true),
        ("tier in (a,b)", true),
        ("tier in (b, c)", false),
        ("tier notin (b)", true),
        ("tier notin (a, b)", false),
        ("none notin (a)", true),
        ("none in (a)", false),
        ("app", true),
        ("none", false),
        ("!app", false),
        ("!none", true),
        ("app=myapp,!none,tier in (a),app", true),
        ("app=myapp,none", false),
        ("app=", false),
        ("app in (myapp,)", true),
        ("in in (x)", true),
        ("in=x", true),
    ] {
        check(labels, "", is_match);
    }
}

/// So does each operator of field selectors.
#[test]
fn fields_are_matched() {
    for (fields, is_match) in [
        ("metadata.name=a", true),
        ("metadata.name==b", false),
        ("metadata.name!=a", false),
        ("metadata.namespace=demo,status.phase=Running", true),
        ("status.phase!=Running", false),
        ("spec.nodeName=node-a", true),
        ("status.podIP=", true),
        ("status.podIP=10.0.0.1", false),
    ] {
        check("", fields, is_match);
    }
}

/// What is no selector is refused, in the words of a real server where they are known.
#[test]
fn nonsense_is_refused() {
    for (labels, problem) in [
        ("app===x!", "unable to parse requirement: found '=', expected: identifier"),
        ("=x", "found '=', expected: !, identifier, or 'end of string'"),
        ("app=x y", "found 'y', expected: ',' or 'end of string'"),
        ("app=x,", "found '', expected: identifier after ','"),
        ("app in x", "unable to parse requirement: found 'x' expected: '('"),
        ("app in (x", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("app is x", &format!("unable to parse requirement: found 'is', expected: {OPERATORS}")),
    ] {
        assert_eq!(Selector::parse(Kind::Pod, None, labels, "").unwrap_err(), problem, "{labels}");
    }
    for labels in ["app in ()", "app in (x))", "app in (x", "app > 1", "app,,x", "app=x!"] {
        assert!(Selector::parse(Kind::Pod, None, labels, "").is_err(), "{labels}");
    }
    for fields in ["status.reason=x", "metadata.name"] {
        assert!(Selector::parse(Kind::Pod, None, "", fields).is_err(), "{fields}");
    }
    assert!(Selector::parse(Kind::EndpointSlice, None, "", "status.phase=Running").is_err());
}
