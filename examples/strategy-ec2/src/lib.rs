//! The strategy `ec2`: nodes are found among the instances of Amazon EC2.
//!
//! The AWS SDK for Rust has the credentials and the signature, `cluster-sdk` says when to ask, how often to try, and what a
//! failure means. What is left is here: one request, and what is read of its answer.

mod config;

use std::time::{Duration, SystemTime};

use aws_config::Region;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::{
    http_request::{SignableBody::Bytes, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use cluster_sdk::{
    Context, Discover, Node, Result, View,
    anyhow::{Context as _, ensure},
    export_plugin,
};
use form_urlencoded::Serializer;
use roxmltree::{Document, Node as Element};

pub use config::{Config, Ec2};

/// As for EC2 itself: rustls with ring.
const TLS: Provider = Provider::Rustls(CryptoMode::Ring);
/// Instances that are looked at, at most: more than any topology takes.
const INSTANCES_MAX: usize = 1_000_000;
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const ENDPOINT: &str = "https://ec2.{region}.amazonaws.com";
/// What is asked; those that are about to stop, or have, are nobody's nodes.
const QUERY: &str =
    "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-state-name&Filter.1.Value.1=running";
/// The elements that have the addresses, by [`config::Address`], and what else is told of an instance.
const ADDRESSES: [&str; 3] = ["privateIpAddress", "ipAddress", "ipv6Address"];
const FACTS: [(&str, &str); 3] =
    [("id", "instanceId"), ("type", "instanceType"), ("zone", "availabilityZone")];
const NO_REGION: &str = "no region: set `regions`, or AWS_REGION, or `region` in the profile";
const NO_CREDENTIALS: &str = "no AWS credentials: tried AWS_ACCESS_KEY_ID, the profile in ~/.aws, \
     AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI, the instance's metadata";

export_plugin!(discover: [Ec2]);

impl Discover for Ec2 {
    const NAME: &'static str = "ec2";
    type Config = Config;

    fn interval(config: &Config) -> Duration {
        config.polling_interval.into()
    }

    async fn discover(config: &Config, ctx: &Context) -> Result<View> {
        let aws = aws_config::from_env().http_client(Builder::new().tls_provider(TLS).build_https());
        // One that is written down need not be found out.
        let region = config.regions.iter().flatten().take(1).cloned().map(Region::new);
        let aws = region.fold(aws, |aws, region| aws.region(region)).load().await;
        let provider = aws.credentials_provider().context(NO_CREDENTIALS)?;
        let identity = provider.provide_credentials().await.context(NO_CREDENTIALS)?.into();
        let regions = config.regions.clone().or_else(|| Some(vec![aws.region()?.to_string()]));
        let endpoint = config.endpoint.as_deref().or(aws.endpoint_url()).unwrap_or(ENDPOINT);
        let (mut nodes, mut failed) = (Vec::new(), None);
        for region in regions.context(NO_REGION)? {
            let (url, mut next) = (endpoint.replace("{region}", &region), Some(String::new()));
            // One page after the other; what came before a failure stays.
            let found = async {
                while let Some(token) = next.take() {
                    ensure!(nodes.len() <= INSTANCES_MAX, "more than {INSTANCES_MAX} instances");
                    let form = form(config, &token);
                    let signing = SigningParams::builder().identity(&identity).region(&region).name("ec2");
                    let signing = signing.time(SystemTime::now()).settings(SigningSettings::default());
                    let request = SignableRequest::new("POST", &url, [].into_iter(), Bytes(form.as_bytes()))?;
                    let (signed, _) = sign(request, &signing.build()?.into())?.into_parts();
                    let request = config.http.post(&url).headers(signed.headers()).body(FORM, form);
                    let answer = request.repeatable().send().await?;
                    let document = Document::parse(answer.text()?).map_err(|err| answer.unexpected(&err))?;
                    let ids = document.descendants().filter(|element| element.has_tag_name("instanceId"));
                    nodes.extend(ids.filter_map(|id| node(config, ctx, id.parent()?)));
                    next = Some(text(document.root(), "nextToken").to_owned()).filter(|new| !new.is_empty());
                }
                Ok(())
            };
            failed = failed.or(found.await.with_context(|| format!("region {region}")).err());
        }
        ctx.found(nodes, failed)
    }
}

fn form(config: &Config, token: &str) -> String {
    let mut form = Serializer::new(format!("{QUERY}&MaxResults={}", config.page_size));
    for (n, (name, values)) in (2..).zip(&config.filters) {
        form.append_pair(&format!("Filter.{n}.Name"), name);
        form.extend_pairs((1..).zip(values).map(|(m, value)| (format!("Filter.{n}.Value.{m}"), value)));
    }
    form.extend_pairs(Some(("NextToken", token)).filter(|_| !token.is_empty())).finish()
}

fn node(config: &Config, ctx: &Context, instance: Element<'_, '_>) -> Option<Node> {
    let ip = text(instance, ADDRESSES[config.address as usize]);
    let facts = FACTS.into_iter().map(|(name, tag)| (name.to_owned(), text(instance, tag)));
    let keys = instance.descendants().filter(|element| element.has_tag_name("key"));
    let tags = keys.filter_map(|key| Some((format!("tag.{}", key.text()?), text(key.parent()?, "value"))));
    let facts: Vec<_> = facts.chain(tags).chain([("ip".to_owned(), ip)]).collect();
    let name = config.name.name(&facts).map_err(|e| ctx.healthy_but(&format!("{}: {e}", facts[0].1))).ok()?;
    let node = Node::new(name).with_attributes(facts.iter().map(|(name, value)| (name.as_str(), *value)));
    Some(if ip.is_empty() { node } else { node.address(ip) })
}

/// The text of the first element of that name, those at the top before those further down.
fn text<'a>(at: Element<'a, '_>, name: &str) -> &'a str {
    at.children().chain(at.descendants()).find(|e| e.has_tag_name(name)).and_then(|e| e.text()).unwrap_or("")
}
