//! `docs/from-libcluster.md` has every option of every strategy of libcluster 3.5.0, and what it says is here is here.

use std::{collections::BTreeSet, fs};

use super::repository;

/// The modules `Cluster.Strategy.…` with all that they read of their `config`.
const LIBCLUSTER: &[(&str, &[&str])] = &[
    (
        "Gossip",
        &["port", "if_addr", "multicast_if", "multicast_addr", "multicast_ttl", "broadcast_only", "secret"],
    ),
    ("Epmd", &["hosts", "timeout"]),
    ("LocalEpmd", &[]),
    ("ErlangHosts", &["timeout"]),
    (
        "Kubernetes",
        &[
            "kubernetes_node_basename",
            "kubernetes_selector",
            "kubernetes_namespace",
            "kubernetes_service_account_path",
            "kubernetes_master",
            "kubernetes_cluster_name",
            "kubernetes_ip_lookup_mode",
            "kubernetes_use_cached_resources",
            "mode",
            "kubernetes_service_name",
            "polling_interval",
        ],
    ),
    ("Kubernetes.DNS", &["service", "application_name", "polling_interval", "resolver"]),
    ("Kubernetes.DNSSRV", &["service", "namespace", "application_name", "polling_interval", "resolver"]),
    ("DNSPoll", &["query", "node_basename", "polling_interval", "resolver"]),
];

/// What stands under a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let after =
        page.split_once(&format!("\n### {heading}\n")).unwrap_or_else(|| panic!("no ### {heading}")).1;
    after.split("\n#").next().unwrap_or(after)
}

/// The words in code in the first column of the tables.
fn options(section: &str) -> BTreeSet<&str> {
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// Nothing of libcluster's is missing, and no option is told that there is not.
#[test]
fn all_options() {
    let read = |name: &str| fs::read_to_string(repository().join("docs").join(name)).unwrap();
    let (page, reference) = (read("from-libcluster.md"), read("configuration.md"));
    for (module, theirs) in LIBCLUSTER {
        let heading = page
            .lines()
            .find_map(|line| line.strip_prefix(&format!("### Cluster.Strategy.{module}: `")))
            .unwrap_or_else(|| panic!("{module} is not there"));
        let strategy = heading.trim_end_matches('`');
        let told = options(section(&page, &format!("Cluster.Strategy.{module}: `{strategy}`")));
        let ours = options(section(&reference, &format!("`{strategy}`")));
        for option in *theirs {
            assert!(told.contains(option), "{module}: nothing is said of {option}");
        }
        for option in told {
            assert!(ours.contains(option), "{module}: {strategy} has no option {option}");
        }
    }
}
