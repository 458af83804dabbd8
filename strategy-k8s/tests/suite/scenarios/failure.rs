//! The server goes, stands still and comes back: nobody is lost by that.

use cluster_core::Health;
use serde_json::json;
use test_apiserver::objects::slice;

use super::{pod, ready};
use crate::{
    cluster::{Cluster, NAMESPACE, SLICES},
    followed::Followed,
};

/// Killed, it is missed and nobody is taken away; back, what changes at once is known.
pub(super) fn killed(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1", "10.0.0.2"]));
    let followed = Followed::start(cluster, json!({}));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    for (addresses, name) in [(["10.0.0.1", "10.0.0.3"], "10.0.0.2"), (["10.0.0.1", "10.0.0.2"], "10.0.0.3")]
    {
        let before = followed.taken().len();
        cluster.server().kill();
        followed.wait_for_health(Health::Degraded, &["endpointslices in namespace demo"]);
        cluster.start_again();
        cluster.apply(ready(&addresses));
        followed.wait_for(&addresses);
        followed.wait_until_well(&[]);
        assert_eq!(followed.taken()[before..], [format!("myapp@{name}")]);
    }
}

/// Held up, it is noticed, and what was known stands.
pub(super) fn paused(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1"]));
    // A watch is renewed once a minute, and notices only then: that is tested in virtual time.
    let followed = Followed::start(cluster, json!({ "poll": true, "polling_interval": "500ms" }));
    followed.wait_for(&["10.0.0.1"]);
    cluster.server().pause();
    followed.wait_for_health(Health::Degraded, &["no answer within 10s"]);
    cluster.server().resume();
    followed.wait_until_well(&[]);
    cluster.apply(ready(&["10.0.0.1", "10.0.0.2"]));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    assert_eq!(followed.taken(), [""; 0]);
}

/// Where the watch cannot go on, as the server has forgotten what was since, all is listed anew.
pub(super) fn compacted(cluster: &Cluster) {
    cluster.grant(NAMESPACE, &[SLICES]);
    cluster.apply(ready(&["10.0.0.1", "10.0.0.2"]));
    let followed = Followed::start(cluster, json!({}));
    followed.wait_for(&["10.0.0.1", "10.0.0.2"]);
    // Of this the watch is not told, so it stays behind.
    cluster.apply(slice(NAMESPACE, "another").label("app", "another").endpoint(pod("10.0.0.9")));
    cluster.server().kill();
    cluster.server().compact();
    followed.wait_for_health(Health::Degraded, &["endpointslices in namespace demo"]);
    cluster.start_again();
    cluster.apply(ready(&["10.0.0.2", "10.0.0.3"]));
    followed.wait_for(&["10.0.0.2", "10.0.0.3"]);
    followed.wait_until_well(&[]);
    assert_eq!(followed.taken(), ["myapp@10.0.0.1"]);
    assert!(followed.reports().0 > 1, "it was listed anew: {:?}", followed.reports());
}
