//! Credentials, by each way of the chain; and the signature, which moto checks.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::{
    cloud::{Cloud, texts},
    look::{KEYS, Look},
    server::{Reply, Server},
};

fn config(endpoint: &str) -> Value {
    json!({ "filters": {}, "name": "{id}@{ip}", "endpoint": endpoint, "polling_interval": "100ms" })
}

/// Nothing is given by any way.
const NOTHING: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

/// An EC2 that has nobody, and remembers whom it was asked by.
fn empty() -> Server {
    Server::start(|_| {
        Reply::new(200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>")
    })
}

/// Waits for a look-up, and gives the access key, the region and the token that it was signed with.
fn signed_with(look: &Look, ec2: &Server) -> (String, String, Option<String>) {
    assert!(look.view().is_complete);
    let request = ec2.asked().remove(0);
    let scope = request.headers["authorization"].split_once("Credential=").unwrap().1.to_owned();
    let mut scope = scope.split('/').map(str::to_owned);
    let (key, region) = (scope.next().unwrap(), scope.nth(1).unwrap());
    (key, region, request.headers.get("x-amz-security-token").cloned())
}

fn expiry() -> &'static str {
    "2099-01-01T00:00:00Z"
}

fn of_role(key: &str) -> String {
    let (token, expiry) = (format!("token of {key}"), expiry());
    json!({ "Code": "Success", "AccessKeyId": key, "SecretAccessKey": "s", "Token": token, "Expiration": expiry }).to_string()
}

/// Without any the error says what was tried, and no view is reported.
#[test]
fn none() {
    let ec2 = empty();
    let look = Look::start(&config(&ec2.url()), &[NOTHING, ("AWS_REGION", "eu-north-1")]);
    let reason = look.health("degraded");
    for part in ["no AWS credentials", "AWS_ACCESS_KEY_ID", "~/.aws", "WEB_IDENTITY", "CONTAINER", "metadata"]
    {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert!(ec2.asked().is_empty());

    let look = Look::start(&config(&ec2.url()), &[NOTHING, KEYS[0], KEYS[1]]);
    assert!(look.health("degraded").starts_with("no region: set `regions`"));
}

/// Those of the environment, with the region of the environment, and where the API is.
#[test]
fn environment() {
    let ec2 = empty();
    let url = ec2.url();
    let mut config = config("");
    config.as_object_mut().unwrap().remove("endpoint");
    let environment = [
        KEYS[0],
        KEYS[1],
        ("AWS_SESSION_TOKEN", "t"),
        ("AWS_REGION", "eu-north-1"),
        ("AWS_ENDPOINT_URL", &url),
    ];
    let look = Look::start(&config, &environment);
    let expected = ("AKIATEST".to_owned(), "eu-north-1".to_owned(), Some("t".to_owned()));
    assert_eq!(signed_with(&look, &ec2), expected);
}

/// With keys and regions at hand nobody is asked for either: away from EC2 there is no metadata service.
#[test]
fn nothing_to_find_out() {
    let (ec2, metadata) = (empty(), Server::start(|_| Reply::new(500, "")));
    let mut config = config(&ec2.url());
    config["regions"] = json!(["eu-north-1"]);
    let look =
        Look::start(&config, &[KEYS[0], KEYS[1], ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url())]);
    assert_eq!(signed_with(&look, &ec2), ("AKIATEST".to_owned(), "eu-north-1".to_owned(), None));
    assert!(metadata.asked().is_empty());
}

/// Those of a profile, with its region.
#[test]
fn profile() {
    let ec2 = empty();
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".aws")).unwrap();
    fs::write(home.path().join(".aws/config"), "[profile shop]\nregion = eu-south-1\n").unwrap();
    let keys = "[default]\naws_access_key_id = A\naws_secret_access_key = s\n\
                [shop]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = s\n";
    fs::write(home.path().join(".aws/credentials"), keys).unwrap();
    let look = Look::with_home(home, &config(&ec2.url()), &[NOTHING, ("AWS_PROFILE", "shop")]);
    assert_eq!(signed_with(&look, &ec2), ("AKIAPROFILE".to_owned(), "eu-south-1".to_owned(), None));
}

/// Those of the instance that it runs on, by version 2 of its metadata service alone: the token first. Its region too.
#[test]
fn instance_metadata() {
    let ec2 = empty();
    let metadata = Server::start(|request| {
        let token = request.headers.get("x-aws-ec2-metadata-token").map(String::as_str);
        match (request.method.as_str(), request.path.as_str()) {
            ("PUT", "/latest/api/token") => {
                let ttl = request.headers["x-aws-ec2-metadata-token-ttl-seconds"].clone();
                Reply {
                    headers: vec![("x-aws-ec2-metadata-token-ttl-seconds", ttl)],
                    ..Reply::new(200, "secret-token")
                }
            }
            _ if token != Some("secret-token") => Reply::new(401, ""),
            (_, "/latest/meta-data/placement/region") => Reply::new(200, "ap-east-1"),
            (_, path) if path.trim_end_matches('/').ends_with("/iam/security-credentials") => {
                Reply::new(200, "shop-role")
            }
            (_, path) if path.ends_with("/shop-role") => Reply::new(200, of_role("ASIAINSTANCE")),
            _ => Reply::new(404, ""),
        }
    });
    let look = Look::start(&config(&ec2.url()), &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url())]);
    let token = Some("token of ASIAINSTANCE".to_owned());
    assert_eq!(signed_with(&look, &ec2), ("ASIAINSTANCE".to_owned(), "ap-east-1".to_owned(), token));
    assert_eq!(metadata.asked()[0].method, "PUT");
}

/// Those of an ECS task or an EKS pod, by the address and the token of the environment.
#[test]
fn container() {
    let ec2 = empty();
    let agent = Server::start(|request| match request.headers.get("authorization").map(String::as_str) {
        Some("pod-token") if request.path == "/v1/credentials" => Reply::new(200, of_role("ASIACONTAINER")),
        _ => Reply::new(401, ""),
    });
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("token");
    fs::write(&file, "pod-token").unwrap();
    let environment = [
        NOTHING,
        ("AWS_REGION", "eu-west-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", agent.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap()),
    ];
    let look = Look::with_home(home, &config(&ec2.url()), &environment);
    let token = Some("token of ASIACONTAINER".to_owned());
    assert_eq!(signed_with(&look, &ec2), ("ASIACONTAINER".to_owned(), "eu-west-1".to_owned(), token));
}

/// Those that STS gives for a token of Kubernetes; the STS is moto's.
#[test]
fn web_identity() {
    let ec2 = empty();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("token");
    fs::write(&file, "a.jwt.token").unwrap();
    let sts = Server::start(|request| request.forward(Cloud::shared().port()));
    let environment = [
        NOTHING,
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/shop"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ENDPOINT_URL_STS", &sts.url()),
    ];
    let look = Look::with_home(home, &config(&ec2.url()), &environment);
    let (key, region, token) = signed_with(&look, &ec2);
    assert!(key.starts_with("ASIA") && region == "eu-west-1" && token.is_some(), "{key} {region}");
    let asked = &sts.asked()[0];
    assert_eq!(asked.value("Action").unwrap(), "AssumeRoleWithWebIdentity");
    assert_eq!(asked.value("WebIdentityToken").unwrap(), "a.jwt.token");
}

/// Credentials that have expired are an error that says so; with new ones it is well again, without a restart.
#[test]
fn expired() {
    let given = AtomicUsize::new(0);
    let agent = Server::start(move |_| {
        let key = format!("ASIA{}", given.fetch_add(1, Ordering::SeqCst));
        Reply::new(200, of_role(&key))
    });
    let ec2 = Server::start(|request| {
        let is_old = request.headers["authorization"].contains("ASIA0/");
        let old = "<Response><Errors><Error><Code>RequestExpired</Code><Message>Expired.</Message></Error></Errors></Response>";
        if is_old {
            Reply::new(400, old)
        } else {
            Reply::new(200, "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>")
        }
    });
    let address = format!("{}/", agent.url());
    let environment =
        [NOTHING, ("AWS_REGION", "eu-west-1"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address)];
    let look = Look::start(&config(&ec2.url()), &environment);
    let reason = look.health("degraded");
    assert!(reason.contains("RequestExpired Expired."), "{reason}");
    assert!(look.view().is_complete);
    assert_eq!(look.health("running"), "");
}

/// moto computes each signature and looks up each right by itself: with the policy of the README it lets the look-up pass,
/// with a wrong secret or without the right it does not.
#[test]
fn signature_and_rights() {
    let cloud = Cloud::start(&[("INITIAL_NO_AUTH_ACTION_COUNT", "6")]);
    let policy =
        include_str!("../../README.md").split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    cloud.run("eu-west-1", 3, &[]);
    let user = |name: &str| {
        cloud.ask("iam", "us-east-1", "CreateUser", &[("UserName", name)]);
        let keys = cloud.ask("iam", "us-east-1", "CreateAccessKey", &[("UserName", name)]).body;
        [texts(&keys, "AccessKeyId").remove(0), texts(&keys, "SecretAccessKey").remove(0)]
    };
    let (shop, guest) = (user("shop"), user("guest"));
    let policy = [("UserName", "shop"), ("PolicyName", "find"), ("PolicyDocument", policy)];
    cloud.ask("iam", "us-east-1", "PutUserPolicy", &policy);
    // These were the six actions that moto lets pass without asking.
    let look = |key: &str, secret: &str| {
        let environment = [
            NOTHING,
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ];
        let config = json!({ "filters": { "instance-type": ["m1.small", "a b+c/d&e=f"] }, "name": "{id}@{ip}", "endpoint": cloud.url() });
        Look::start(&config, &environment)
    };
    let view = look(&shop[0], &shop[1]).view();
    assert_eq!((view.is_complete, view.nodes.len()), (true, 3));
    let reason = look(&shop[0], "wrong").health("degraded");
    assert!(reason.contains("401 Unauthorized, it says \"AuthFailure"), "{reason}");
    let reason = look(&guest[0], &guest[1]).health("degraded");
    assert!(reason.contains("ec2:DescribeInstances"), "{reason}");
}
