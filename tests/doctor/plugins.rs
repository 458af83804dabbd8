//! Plugins that are missing, or are not loaded.

use std::fs;

use expect_test::expect;

use super::Patient;
use crate::host::{FAULTY, Plugins, built, copy};

const CONFIG: &str =
    "[topologies.t]\nstrategy = \"fixed\"\nconnect = \"none\"\nconfig = { nodes = [\"a@127.0.0.1\"] }\n";

/// With the plugin in its place all is well.
#[test]
fn in_place() {
    let plugins = Plugins::with(&[FAULTY]);
    Patient::new(CONFIG, plugins.path()).examine().check_well();
}

/// Nobody offers the strategy; or nearly.
#[test]
fn missing() {
    let plugins = Plugins::with(&[]);
    Patient::new(CONFIG, plugins.path()).examine().check(&expect![[r#"
        fail plugin [] DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixed"; there is no strategy at all (plugin directory PLUGINS)
          fix: put the file of the plugin that offers it there, or name its directory with --plugins
        broken at plugin: DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixed"; there is no strategy at all (plugin directory PLUGINS); to mend it: put the file of the plugin that offers it there, or name its directory with --plugins.
    "#]]);
    let plugins = Plugins::with(&[FAULTY]);
    Patient::new(&CONFIG.replace("fixed", "fixd"), plugins.path()).examine().check(&expect![[r#"
        fail plugin [] DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixd"
          fix: did you mean "fixed"?; there is breaks, fails, finishes, fixed, lies_empty, measures, noisy, panics, slow, static_list, stuck, too_many (plugin directory PLUGINS)
        broken at plugin: DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixd"; to mend it: did you mean "fixed"?; there is breaks, fails, finishes, fixed, lies_empty, measures, noisy, panics, slow, static_list, stuck, too_many (plugin directory PLUGINS).
    "#]]);
}

/// It was built for another generation of hosts, or its file can be written by everyone.
#[test]
fn refused() {
    let plugins = Plugins::with(&[]);
    let mut bytes = fs::read(built(FAULTY)).unwrap();
    let symbol = b"libcluster_plugin_v1__";
    let places: Vec<usize> =
        (0..bytes.len() - symbol.len()).filter(|at| bytes[*at..].starts_with(symbol)).collect();
    for at in places {
        bytes[at + symbol.len() - 3] = b'9';
    }
    let other = plugins.path().join("other");
    fs::write(&other, &bytes).unwrap();
    copy(&other, &plugins.path().join("libstale.so"));
    fs::remove_file(other).unwrap();
    Patient::new(CONFIG, plugins.path()).examine().check(&expect![[r#"
        fail plugin [] DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixed"; refused: PLUGINS/libstale.so: plugin_faulty needs ABI 9.x, this host has 1.0
          fix: take the plugin's version for this host
        broken at plugin: DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixed"; refused: PLUGINS/libstale.so: plugin_faulty needs ABI 9.x, this host has 1.0; to mend it: take the plugin's version for this host.
    "#]]);

    let plugins = Plugins::with(&[FAULTY]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    fs::set_permissions(plugins.path().join(FAULTY), mode).unwrap();
    Patient::new(CONFIG, plugins.path()).examine().check(&expect![[r#"
        fail plugin [] DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixed"; refused: PLUGINS/libplugin_faulty.so: world-writable (mode 0666)
          fix: run chmod go-w PLUGINS/libplugin_faulty.so
        broken at plugin: DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixed"; refused: PLUGINS/libplugin_faulty.so: world-writable (mode 0666); to mend it: run chmod go-w PLUGINS/libplugin_faulty.so.
    "#]]);
}

/// It is not among those that the configuration pins.
#[test]
fn unpinned() {
    let plugins = Plugins::with(&[FAULTY]);
    let pinned = "[plugins.sha256]\nplugin-other = [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n";
    let diagnosis = Patient::new(&format!("{CONFIG}{pinned}"), plugins.path()).examine();
    diagnosis.check(&expect![[r#"
        fail plugin [] DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixed"; refused: PLUGINS/libplugin_faulty.so: not pinned
          fix: if you trust it, run cluster-host plugins lock --add --plugins PLUGINS --output plugins.lock, and set lock in [plugins]
        broken at plugin: DIR/host.toml:2: topologies.t.strategy: no plugin offers a strategy "fixed"; refused: PLUGINS/libplugin_faulty.so: not pinned; to mend it: if you trust it, run cluster-host plugins lock --add --plugins PLUGINS --output plugins.lock, and set lock in [plugins].
    "#]]);
}

/// Mistakes in the configuration are told with their lines, before anything else.
#[test]
fn mistakes() {
    let plugins = Plugins::with(&[FAULTY]);
    Patient::new(&CONFIG.replace("nodes", "node"), plugins.path()).examine().check(&expect![[r#"
        fail config [] DIR/host.toml:4: topologies.t.config.node: unknown key
          fix: did you mean `nodes`? possible: `error`, `nodes`, `partial`, `ttl`
        broken at config: DIR/host.toml:4: topologies.t.config.node: unknown key; to mend it: did you mean `nodes`? possible: `error`, `nodes`, `partial`, `ttl`.
    "#]]);
    Patient::new(&CONFIG.replace("connect", "conect"), plugins.path()).examine().check(&expect![[r#"
        fail config [] DIR/host.toml:3: topologies.t.conect: unknown key
          fix: did you mean `connect`? possible: `config`, `connect`, `members_max`, `opts`, `prune`, `strategy`
        broken at config: DIR/host.toml:3: topologies.t.conect: unknown key; to mend it: did you mean `connect`? possible: `config`, `connect`, `members_max`, `opts`, `prune`, `strategy`.
    "#]]);
}
