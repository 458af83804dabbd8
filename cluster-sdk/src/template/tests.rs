use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::*;

#[derive(Debug)]
struct Machine;

impl Placeholders for Machine {
    const POSSIBLE: &'static [&'static str] = &["basename", "id", "ip", "tag."];
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How nodes are named
    name: NameTemplate<Machine>,
    region: String,
}

fn parse(text: &str) -> Result<NameTemplate<Machine>, String> {
    text.parse().map_err(|error: NameTemplateError| error.to_string())
}

/// A template gives the same name for the same values, wherever these come from.
#[test]
fn names() {
    let pairs = [("basename", "app"), ("ip", "10.0.0.7"), ("tag.Name", "web"), ("tag.a.b/c", "x")];
    let sorted: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let hashed: HashMap<_, _> = sorted.clone().into_iter().collect();
    let json = json!({ "basename": "app", "ip": "10.0.0.7", "tag": { "Name": "web" }, "tag.a.b/c": "x" });
    for (text, expected) in [
        ("{basename}@{ip}", "app@10.0.0.7"),
        ("{tag.Name}-{tag.a.b/c}@host.{ip}", "web-x@host.10.0.0.7"),
        ("fixed@{ip}", "fixed@10.0.0.7"),
    ] {
        let template = parse(text).unwrap();
        let values: [&dyn TemplateValues; 5] = [&pairs, &pairs.to_vec(), &sorted, &hashed, &json];
        for values in values {
            assert_eq!(template.name(values).unwrap().as_str(), expected);
        }
        assert_eq!((template.as_str(), template.to_string().as_str()), (text, text));
    }
    let whole: NameTemplate = "{node}".parse().unwrap();
    assert_eq!(whole.name(&[("node", "a@h")]).unwrap().as_str(), "a@h");
    let numbers: NameTemplate = "n{id}@{up}".parse().unwrap();
    assert_eq!(numbers.name(&json!({ "id": 7, "up": true })).unwrap().as_str(), "n7@true");
}

/// A node without a value that is needed, or with one that makes no name, is told apart from a wrong template.
#[test]
fn unnamed() {
    let check = |text: &str, values: &dyn TemplateValues, reason: &str| {
        let template: NameTemplate = text.parse().unwrap();
        assert_eq!(template.name(values).unwrap_err().to_string(), reason);
    };
    check("{a}@{ip}", &[("a", "x")], r#"it has no `ip`, which its name "{a}@{ip}" needs"#);
    check("{a}@{ip}", &[("a", ""), ("ip", "h")], r#"it has no `a`, which its name "{a}@{ip}" needs"#);
    check("{a.b}@h", &json!({ "a": { "b": [1] } }), r#"it has no `a.b`, which its name "{a.b}@h" needs"#);
    check("{a}@h", &[("a", "x@y")], r#"node name "x@y@h" is not of the form name@host"#);
    check("{a}@h", &[("a", "x y")], r#"node name "x y@h" has white space or a control character"#);
    check("{a}", &[("a", "x")], r#"node name "x" is not of the form name@host"#);
}

/// What makes no names is refused when it is read, with what to write in its place.
#[test]
fn wrong() {
    let possible = "possible: `{basename}`, `{id}`, `{ip}`, `{tag.NAME}`";
    for (text, reason) in [
        ("", format!(r#""" has no placeholder, so all nodes would have one name; {possible}"#)),
        (
            "app@host",
            format!(r#""app@host" has no placeholder, so all nodes would have one name; {possible}"#),
        ),
        (
            "{basname}@{ip}",
            format!(
                r#""{{basname}}@{{ip}}" has an unknown placeholder `{{basname}}`; did you mean `{{basename}}`? {possible}"#
            ),
        ),
        (
            "{tags.Name}@{ip}",
            format!(
                r#""{{tags.Name}}@{{ip}}" has an unknown placeholder `{{tags.Name}}`; did you mean `{{tag.Name}}`? {possible}"#
            ),
        ),
        (
            "{tag.}@{ip}",
            format!(
                r#""{{tag.}}@{{ip}}" has an unknown placeholder `{{tag.}}`; did you mean `{{tag.NAME}}`? {possible}"#
            ),
        ),
        (
            "{basename}-{ip}",
            r#""{basename}-{ip}" has no @: nodes are named NAME@HOST, as in "app@{ip}""#.to_owned(),
        ),
        (
            "@{ip}",
            r#""@{ip}" makes no names of nodes: node name "@x" is not of the form name@host"#.to_owned(),
        ),
        (
            "a b@{ip}",
            r#""a b@{ip}" makes no names of nodes: node name "a b@x" has white space or a control character"#
                .to_owned(),
        ),
    ] {
        assert_eq!(parse(text).unwrap_err(), reason);
    }
    for text in ["{ip", "ip}@{ip}", "a@{}", "a@{{ip}}", "a@{ip}}"] {
        let reason =
            format!("{text:?} has a brace that opens no placeholder or closes none: write one as {{ip}}");
        assert_eq!(parse(text).unwrap_err(), reason);
    }
    assert!("{whatever.there:is}@{x}".parse::<NameTemplate>().is_ok());
}

/// In a config a wrong template is one error among all the others, and the schema tells the placeholders.
#[test]
fn in_a_config() {
    let errors = config::parse::<Config>(json!({ "name": "{ipp}@{ip}", "regoin": "eu" })).unwrap_err();
    let errors: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(errors, ["name", "regoin"]);
    let schema = schemars::schema_for!(Config);
    let name = &schema.as_value()["properties"]["name"];
    assert_eq!(name["title"], "template of {basename} {id} {ip} {tag.NAME}");
    assert_eq!(name["description"], "How nodes are named");
    let config: Config = config::parse(json!({ "name": name["examples"][0], "region": "eu" })).unwrap();
    assert_eq!((config.name.to_string().as_str(), config.region.as_str()), ("app@{basename}", "eu"));
}

/// A default that is written in the program and wrong is told at once.
#[test]
#[should_panic(expected = "bug: \"app@{pi}\" has an unknown placeholder `{pi}`")]
fn wrong_in_the_program() {
    let _never: NameTemplate<Machine> = NameTemplate::from_static("app@{pi}");
}
