use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::symlink,
    path::Path,
};

use cluster_sdk::{
    Completeness,
    serde_json::{Value, json},
    testing::TestHost,
};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::testing::{check_config, check_failure, names, view, wait_healthy, wait_names, wait_reason, with};

/// The strategy on a file; it is looked at once an hour, so that what is noticed was told by the system.
fn follow(path: &Path, options: Value) -> TestHost {
    TestHost::strategy::<File>(with(json!({ "path": path, "interval": "1h" }), options)).unwrap()
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Puts a file in place as one should.
fn put(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// Written in place, replaced, gone and back: each is noticed. What is missing or broken takes nobody away.
#[test]
fn changes() {
    let directory = directory();
    let path = directory.path().join("nodes");
    fs::write(&path, "a@h\n").unwrap();
    let host = follow(&path, json!({}));
    assert_eq!(names(&view(&host)), ["a@h"]);
    put(&path, r#"[{ "name": "b@h", "addresses": ["h:1"] }]"#);
    let found = wait_names(&host, &["b@h"]);
    assert_eq!(
        found.nodes.iter().next().unwrap().to_node().unwrap().addresses().collect::<Vec<_>>(),
        ["h:1"]
    );
    fs::write(&path, "c@h\n").unwrap();
    wait_names(&host, &["c@h"]);
    fs::remove_file(&path).unwrap();
    let reason = wait_reason(&host);
    assert_eq!(
        reason,
        format!("{}: it does not exist; write an empty one where nobody is there", path.display())
    );
    put(&path, "d@h\nnonsense\n");
    host.wait_for_status(|status| status.reason.as_ref().is_some_and(|reason| reason.contains("line 2")))
        .unwrap();
    assert_eq!(host.reports(), []);
    put(&path, "d@h\n");
    wait_names(&host, &["d@h"]);
    wait_healthy(&host);
    put(&path, "");
    assert_eq!(wait_names(&host, &[]).completeness, Completeness::Complete);
}

/// A file that comes later, and its directory too.
#[test]
fn comes_later() {
    let directory = directory();
    let path = directory.path().join("etc/cluster/nodes");
    let host = follow(&path, json!({}));
    check_failure(&host, &format!("{}: it does not exist", path.display()), "");
    fs::create_dir(directory.path().join("etc")).unwrap();
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "a@h").unwrap();
    wait_names(&host, &["a@h"]);
    wait_healthy(&host);
    let moved = directory.path().join("old");
    fs::rename(directory.path().join("etc"), &moved).unwrap();
    assert!(wait_reason(&host).contains("does not exist"));
    put(&moved.join("cluster/nodes"), "b@h");
    fs::rename(&moved, directory.path().join("etc")).unwrap();
    wait_names(&host, &["b@h"]);
}

/// A mounted `ConfigMap`: the file is a link into `..data`, and that is a link that is exchanged.
#[test]
fn config_map() {
    let directory = directory();
    let root = directory.path();
    let write = |version: &str, text: &str| {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("nodes"), text).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    write("..1", "a@h");
    symlink("..data/nodes", root.join("nodes")).unwrap();
    let host = follow(&root.join("nodes"), json!({}));
    assert_eq!(names(&view(&host)), ["a@h"]);
    for (version, text) in [("..2", "b@h"), ("..3", "c@h")] {
        write(version, text);
        wait_names(&host, &[text]);
    }
    fs::remove_dir_all(root.join("..1")).unwrap();
    // Exchanged itself, and what it leads to elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    put(&elsewhere.path().join("list"), "d@h");
    symlink(elsewhere.path().join("list"), root.join("tmp")).unwrap();
    fs::rename(root.join("tmp"), root.join("nodes")).unwrap();
    wait_names(&host, &["d@h"]);
    fs::write(elsewhere.path().join("list"), "e@h").unwrap();
    wait_names(&host, &["e@h"]);
}

/// A file that is written bit by bit is read when it is whole.
#[test]
fn written_slowly() {
    let directory = directory();
    let path = directory.path().join("nodes");
    put(&path, "a@h\n");
    let host = follow(&path, json!({}));
    wait_names(&host, &["a@h"]);
    // Judged is a time when this thread was not held up, so that the pieces came soon after each other.
    loop {
        let begin = Instant::now();
        let mut file = OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        // Nobody is told of what is written before the file is closed; whoever looks then is told of an attribute.
        for piece in ["b@h", "\nc@h", "\nd@h"] {
            file.write_all(piece.as_bytes()).unwrap();
            file.set_permissions(fs::metadata(&path).unwrap().permissions()).unwrap();
        }
        drop(file);
        if begin.elapsed() < SETTLE / 2 {
            assert_eq!(names(&view(&host)), ["b@h", "c@h", "d@h"]);
            return;
        }
        wait_names(&host, &["b@h", "c@h", "d@h"]);
        put(&path, "a@h\n");
        wait_names(&host, &["a@h"]);
    }
}

/// Without being told the file is looked at.
#[test]
fn looked_at() {
    let directory = directory();
    let path = directory.path().join("nodes");
    put(&path, "a@h");
    let followed = Followed { path: path.clone(), bytes_max: 1_000, interval: Duration::from_millis(50) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let first = followed.stamp().await.unwrap();
        let waiting = followed.changed(None, first);
        put(&path, "bb@h");
        waiting.await.unwrap();
        assert_ne!(followed.stamp().await.unwrap(), first);
    });
}

/// What is no list of nodes is told with the file and the line.
#[test]
fn failures() {
    let directory = directory();
    let path = directory.path().join("nodes");
    let shown = path.display();
    for (text, options, reason) in [
        ("a@h\n\nb", json!({}), "line 3: node name \"b\" is not of the form name@host"),
        ("[\"a@h\",\n", json!({}), "it is no JSON: EOF while parsing a value at line 2 column 0"),
        ("[\"a@h\", 5]", json!({}), "item 2: it is a number: nodes are texts or objects"),
        (
            "a@h\nb@h",
            json!({ "file_bytes_max": 6 }),
            "it has more than 6 bytes: raise file_bytes_max, or is it the right file?",
        ),
    ] {
        put(&path, text);
        check_failure(&follow(&path, options), &format!("{shown}: {reason}"), "");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    check_failure(&follow(&path, json!({})), &format!("{shown}: it is not a regular file"), "");
    symlink("round", directory.path().join("round")).unwrap();
    let round = directory.path().join("round");
    check_failure(
        &follow(&round, json!({})),
        &format!("{}: it cannot be read: Too many levels", round.display()),
        "",
    );
}

/// What makes no sense is told with its place.
#[test]
fn options() {
    check_config::<File>(json!({ "path": "/etc/nodes", "name_template": "app@{value}" }), &[]);
    check_config::<File>(
        json!({ "path": "nodes", "interval": "10d", "file_bytes_max": 0 }),
        &["interval: \"10d\" is not a duration"],
    );
    check_config::<File>(
        json!({ "path": "nodes", "interval": "48h", "file_bytes_max": 0 }),
        &["interval: 48h is not between", "path: \"nodes\" is relative", "file_bytes_max: 0 is not between"],
    );
}
