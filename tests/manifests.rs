//! `contrib/kubernetes`: manifests that the API server would take, that belong together, and that the host agrees with.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Container, PodSpec, Service, ServiceAccount},
        rbac::v1::{PolicyRule, Role, RoleBinding},
    },
    serde::de::DeserializeOwned,
};
use serde_json::{Value, json};

use crate::{
    host::{EPMD, K8S, Plugins, private_directory},
    kubernetes::rights,
};

const NAMESPACE: &str = "store";
/// Who the Dockerfile's user is.
const USER: i64 = 65_532;

/// The manifests by kind; there is one of each.
struct Manifests(BTreeMap<String, Value>);

// === impl Manifests ===

impl Manifests {
    fn read() -> Self {
        let kustomization = one(&read("contrib/kubernetes/kustomization.yaml"));
        assert_eq!(kustomization["namespace"], NAMESPACE);
        let mut all = BTreeMap::new();
        let resources = kustomization["resources"].as_array().unwrap();
        for file in resources {
            for document in documents(&read(&format!("contrib/kubernetes/{}", file.as_str().unwrap()))) {
                let kind = document["kind"].as_str().unwrap().to_owned();
                assert!(all.insert(kind.clone(), document).is_none(), "two of kind {kind}");
            }
        }
        let files = fs::read_dir(root().join("contrib/kubernetes")).unwrap().count();
        assert_eq!(files, resources.len() + 1, "a file is not in kustomization.yaml");
        Self(all)
    }

    /// One of them, of the type that Kubernetes has for it, which knows each key.
    #[track_caller]
    fn typed<T: DeserializeOwned + k8s_openapi::Resource>(&self) -> T {
        let document = &self.0[T::KIND];
        assert_eq!(document["apiVersion"], T::API_VERSION, "{}", T::KIND);
        typed(document)
    }

    fn pod(&self) -> PodSpec {
        self.typed::<Deployment>().spec.unwrap().template.spec.unwrap()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn one(yaml: &str) -> Value {
    let documents = documents(yaml);
    assert_eq!(documents.len(), 1, "{yaml}");
    documents.into_iter().next().unwrap()
}

/// A key that the type does not have is a mistake, as with `kubectl apply --validate=strict`.
#[track_caller]
fn typed<T: DeserializeOwned>(document: &Value) -> T {
    let mut unknown = Vec::new();
    let value = serde_ignored::deserialize(document, |path| unknown.push(path.to_string()));
    assert!(unknown.is_empty(), "no such keys in {}: {unknown:?}", document["kind"]);
    value.unwrap_or_else(|error| panic!("{}: {error}", document["kind"]))
}

fn variables(container: &Container) -> BTreeMap<String, String> {
    let variables = container.env.iter().flatten();
    variables.map(|variable| (variable.name.clone(), variable.value.clone().unwrap_or_default())).collect()
}

/// Every key is one that Kubernetes has; a wrong one would be found.
#[test]
fn typed_by_kubernetes() {
    let manifests = Manifests::read();
    let Manifests(all) = &manifests;
    let kinds = [
        manifests.typed::<ConfigMap>().metadata.name,
        manifests.typed::<Deployment>().metadata.name,
        manifests.typed::<Role>().metadata.name,
        manifests.typed::<RoleBinding>().metadata.name,
        manifests.typed::<Service>().metadata.name,
        manifests.typed::<ServiceAccount>().metadata.name,
    ];
    assert_eq!(kinds.len(), all.len(), "there is another kind: {:?}", all.keys());
    let mut wrong = all["Deployment"].clone();
    wrong["spec"]["template"]["spec"]["initContainers"][0]["restartpolicy"] = json!("Always");
    let mut unknown = Vec::new();
    let _deployment: Deployment =
        serde_ignored::deserialize(&wrong, |path| unknown.push(path.to_string())).unwrap();
    assert_eq!(unknown.len(), 1, "{unknown:?}");
}

/// What names something else names what is there.
#[test]
fn names_belong_together() {
    let manifests = Manifests::read();
    let (account, role) = (manifests.typed::<ServiceAccount>(), manifests.typed::<Role>());
    let binding: RoleBinding = manifests.typed();
    assert_eq!(Some(&binding.role_ref.name), role.metadata.name.as_ref());
    assert_eq!(
        (binding.role_ref.kind.as_str(), binding.role_ref.api_group.as_str()),
        ("Role", "rbac.authorization.k8s.io")
    );
    let subjects = binding.subjects.unwrap();
    let subject = &subjects[0];
    assert_eq!((subjects.len(), subject.kind.as_str()), (1, "ServiceAccount"));
    assert_eq!(
        (Some(&subject.name), subject.namespace.as_deref()),
        (account.metadata.name.as_ref(), Some(NAMESPACE))
    );

    let deployment = manifests.typed::<Deployment>().spec.unwrap();
    let labels = deployment.template.metadata.unwrap().labels.unwrap();
    assert_eq!(deployment.selector.match_labels.as_ref(), Some(&labels));
    let service: Service = manifests.typed();
    let picked = service.spec.unwrap();
    assert_eq!(picked.cluster_ip.as_deref(), Some("None"), "headless");
    assert_eq!(picked.selector.as_ref(), Some(&labels));

    let pod = manifests.pod();
    assert_eq!(pod.service_account_name, account.metadata.name);
    let config: ConfigMap = manifests.typed();
    let volumes = pod.volumes.unwrap();
    let mounted = volumes.iter().find_map(|volume| volume.config_map.as_ref()).unwrap();
    assert_eq!(Some(&mounted.name), config.metadata.name.as_ref());
    let containers: Vec<&Container> = pod.init_containers.iter().flatten().chain(&pod.containers).collect();
    let names: Vec<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    for container in &containers {
        for mount in container.volume_mounts.iter().flatten() {
            assert!(names.contains(&mount.name.as_str()), "{} mounts {}", container.name, mount.name);
        }
        let ports: Vec<&str> =
            container.ports.iter().flatten().filter_map(|port| port.name.as_deref()).collect();
        let probes = [&container.startup_probe, &container.liveness_probe, &container.readiness_probe];
        for probe in probes.into_iter().flatten() {
            let asked = json!(probe.http_get.as_ref().unwrap().port);
            assert!(ports.contains(&asked.as_str().unwrap()), "{}: {asked}", container.name);
        }
    }
    let toml = &config.data.unwrap()["cluster.toml"];
    assert!(
        toml.contains(&format!("kubernetes_service_name = \"{}\"", service.metadata.name.unwrap())),
        "{toml}"
    );
}

/// The host is a native sidecar that can change nothing: not root, no rights, a root that is only read; it is asked at the
/// port that it is told to answer at, and the secret is the same one for both containers.
#[test]
fn the_sidecar() {
    let pod = Manifests::read().pod();
    let hosts = pod.init_containers.unwrap();
    let [host] = hosts.as_slice() else { panic!("one sidecar") };
    assert_eq!(host.restart_policy.as_deref(), Some("Always"));
    let security = pod.security_context.unwrap();
    assert_eq!((security.run_as_non_root, security.run_as_user), (Some(true), Some(USER)));
    assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
    for container in hosts.iter().chain(&pod.containers) {
        let security = container.security_context.clone().unwrap();
        assert_eq!(security.allow_privilege_escalation, Some(false), "{}", container.name);
        assert_eq!(security.read_only_root_filesystem, Some(true), "{}", container.name);
        assert_eq!(security.capabilities.unwrap().drop, Some(vec!["ALL".to_owned()]), "{}", container.name);
        assert!(security.privileged.is_none() && security.run_as_user.is_none(), "{}", container.name);
    }
    let args = host.args.clone().unwrap();
    let [option, address] = args.as_slice() else { panic!("{args:?}") };
    let port = host.ports.as_ref().unwrap()[0].container_port;
    assert_eq!((option.as_str(), address), ("--probe-listen", &format!("0.0.0.0:{port}")));
    let path = |probe: &Option<k8s_openapi::api::core::v1::Probe>| {
        probe.as_ref().unwrap().http_get.as_ref().unwrap().path.clone().unwrap()
    };
    assert_eq!(path(&host.startup_probe), "/healthz");
    assert_eq!(path(&host.liveness_probe), "/healthz");
    assert_eq!(path(&host.readiness_probe), "/ready");
    let cookie = |container: &Container| {
        let found =
            container.env.iter().flatten().find(|variable| variable.name == "RELEASE_COOKIE").cloned();
        found.unwrap().value_from.unwrap().secret_key_ref.unwrap()
    };
    assert_eq!(cookie(host), cookie(&pod.containers[0]));
    assert_eq!(variables(&pod.containers[0])["RELEASE_NODE"], "shop@$(POD_IP)");
    // The Dockerfile's places are where the volumes are.
    let dockerfile = read("Dockerfile");
    for mount in host.volume_mounts.iter().flatten() {
        assert!(dockerfile.contains(&mount.mount_path), "{}", mount.mount_path);
    }
    assert!(dockerfile.contains(&format!("\nUSER {USER}:{USER}\n")));
}

/// The Role is the one that the documentation has and the one that a host asks for which lacks it.
#[test]
fn the_role_is_the_one_that_is_asked_for() {
    let rules = |document: &Value| -> Vec<PolicyRule> { typed::<Role>(document).rules.unwrap() };
    let here = rules(&Manifests::read().0["Role"]);
    let role = |yaml: &str| documents(yaml).into_iter().find(|document| document["kind"] == "Role").unwrap();
    assert_eq!(here, rules(&role(rights::ALL)));
    let page = read("docs/kubernetes.md");
    let block = page.split("```yaml\n").find(|block| block.contains("kind: Role\n")).unwrap();
    assert_eq!(here, rules(&role(block.split("```").next().unwrap())));
}

/// The host takes the configuration, with the variables that the manifest gives it, and has nothing to remark.
#[test]
fn the_configuration_passes_check() {
    let manifests = Manifests::read();
    let config: ConfigMap = manifests.typed();
    let directory = private_directory();
    let file = directory.path().join("cluster.toml");
    fs::write(&file, &config.data.unwrap()["cluster.toml"]).unwrap();
    let plugins = Plugins::with(&[K8S, EPMD]);
    let pod = manifests.pod();
    let given = variables(&pod.init_containers.unwrap()[0]);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cluster-host"));
    command.args(["check", "--config"]).arg(&file).arg("--plugins").arg(plugins.path()).env_clear();
    for name in given.keys() {
        command.env(name, if name == "POD_IP" { "10.1.0.7" } else { "x" });
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        (text(&output.stdout), text(&output.stderr)),
        ("ok: 1 topology, strategies: kubernetes, connectors: erlang\n".to_owned(), String::new())
    );
}
