//! A strategy that asks a server, by a clock that the test turns.

use std::time::Duration;

use cluster_sdk::{
    Context, Discover, Node, Result, View,
    http::{Http, Url},
    schemars::JsonSchema,
    serde::Deserialize,
    serde_json::json,
    testing::Setting,
};
use test_httpserver::{Reply, Server};

#[derive(Deserialize, JsonSchema)]
#[serde(crate = "cluster_sdk::serde")]
#[schemars(crate = "cluster_sdk::schemars")]
struct Config {
    url: Url,
    http: Http,
}

struct Cloud;

impl Discover for Cloud {
    const NAME: &'static str = "cloud";
    type Config = Config;
    const INTERVAL: Duration = Duration::from_secs(3600);

    async fn discover(config: &Config, _: &Context) -> Result<View> {
        let names: Vec<String> = config.http.get(&config.url).json().await?;
        Ok(View::complete(names.iter().map(|name| Node::try_new(name)).collect::<Result<Vec<_>, _>>()?))
    }
}

/// Requests take no time, and hours between them pass at once; the connection is kept from one to the next.
#[test]
fn hours() {
    let server = Server::http(|_| Reply::ok(r#"["a@h"]"#));
    let config = json!({ "url": server.url("/"), "http": { "timeout": "1s" } });
    let host = Setting::with_fake_clock().discover::<Cloud>(config).unwrap();
    host.next_view().unwrap();
    assert_eq!(host.elapsed(), Duration::ZERO);
    for _ in 0..5 {
        let before = host.elapsed();
        assert_eq!(host.next_view().unwrap().nodes.len(), 1);
        let apart = host.elapsed().checked_sub(before).unwrap();
        assert!(apart > Duration::from_secs(3200) && apart < Duration::from_secs(4000), "{apart:?}");
    }
    assert!(server.asked().iter().all(|asked| asked.connection == 1), "{:?}", server.asked());
}
