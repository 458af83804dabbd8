//! Names that are not there, and servers that are not.

use expect_test::expect;

use super::{DNS, Knot, Plugins, RECORDS};
use crate::doctor::Patient;

fn patient(knot: &Knot, plugins: &Plugins, query: &str) -> Patient {
    let config = format!(
        "[topologies.t]\nstrategy = \"dns\"\nconnect = \"none\"\n[topologies.t.config]\nquery = \"{query}\"\n\
         node_basename = \"app\"\nnameservers = [\"{}\"]\ntimeout = \"500ms\"\nattempts = 2\n",
        knot.address()
    );
    Patient::new(&config, plugins.path())
}

/// The name does not exist; with the right one all is well; without its server there is no answer.
#[test]
fn names_and_servers() {
    let (mut knot, plugins) = (Knot::start(&[("example.", RECORDS)]), Plugins::with(&[DNS]));
    let address = knot.address();
    let port = address.rsplit(':').next().unwrap().to_owned();
    patient(&knot, &plugins, "app.example").examine().check_well();
    patient(&knot, &plugins, "ap.example").examine().hide(&port, "PORT").check(&expect![[r#"
        fail discovery [t] ap.example. at 127.0.0.1:PORT: NXDOMAIN, there is no such name
          fix: is it misspelt? A headless Service has none while no pod is ready, unless publishNotReadyAddresses is true
        broken at discovery (t): ap.example. at 127.0.0.1:PORT: NXDOMAIN, there is no such name; to mend it: is it misspelt? A headless Service has none while no pod is ready, unless publishNotReadyAddresses is true.
    "#]]);
    knot.kill();
    patient(&knot, &plugins, "app.example").examine().hide(&port, "PORT").check(&expect![[r#"
        fail discovery [t] app.example. (A, AAAA) at 127.0.0.1:PORT: no answer within 500ms
          fix: is it there, and is port PORT open for UDP?
        broken at discovery (t): app.example. (A, AAAA) at 127.0.0.1:PORT: no answer within 500ms; to mend it: is it there, and is port PORT open for UDP?
    "#]]);
}
