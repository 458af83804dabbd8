//! Objects are made and changed over HTTP, and watches are told.

use serde_json::{Value, json};
use test_apiserver::ApiServer;
use test_apiserver::objects::pod;

use crate::client::{PODS, Watch, get, send};

/// Each verb does what it does on a real server.
#[tokio::test(start_paused = true)]
async fn objects_are_changed() {
    let server = ApiServer::new();
    let mut watch = Watch::open(&server, &format!("{PODS}?")).await;
    let uri = format!("{PODS}/a");
    let object = Value::from(pod("demo", "a").label("app", "myapp").node("node-a"));
    let (status, made) = send(&server, "POST", PODS, &object).await;
    assert_eq!((status, &made["metadata"]["resourceVersion"]), (201, &json!("1")));
    assert_eq!(send(&server, "POST", PODS, &object).await.0, 409);
    assert_eq!(get(&server, &uri).await.json(), made);

    let patch = json!({"metadata": {"labels": {"app": null, "tier": "x"}}, "status": {"podIP": "10.0.0.1"}});
    let (status, patched) = send(&server, "PATCH", &format!("{uri}/status"), &patch).await;
    assert_eq!((status, &patched["metadata"]["labels"]), (200, &json!({"tier": "x"})));
    assert_eq!(patched["spec"]["nodeName"], json!("node-a"));
    assert_eq!(patched["metadata"]["uid"], made["metadata"]["uid"]);

    assert_eq!(send(&server, "PUT", &uri, &made).await.0, 409);
    assert_eq!(send(&server, "PUT", &uri, &patched).await.0, 200);
    let elsewhere = Value::from(pod("demo", "b"));
    assert_eq!(send(&server, "PUT", &uri, &elsewhere).await.0, 400);

    // A pod on a machine is given time to end.
    let (status, ending) = send(&server, "DELETE", &uri, &Value::Null).await;
    assert_eq!((status, &ending["metadata"]["deletionGracePeriodSeconds"]), (200, &json!(30)));
    let now = format!("{uri}?gracePeriodSeconds=0");
    assert_eq!(send(&server, "DELETE", &now, &Value::Null).await.0, 200);
    assert_eq!(send(&server, "DELETE", &now, &Value::Null).await.0, 404);
    assert_eq!(send(&server, "PATCH", PODS, &patch).await.0, 405);
    for event in ["ADDED a", "MODIFIED a", "MODIFIED a", "MODIFIED a", "DELETED a"] {
        assert_eq!(watch.event().await, event);
    }
}
