//! What can be written in the config.

use std::collections::BTreeMap;

use cluster_sdk::{ConfigDuration, NameTemplate, Placeholders, http::Http};
use schemars::JsonSchema;
use serde::Deserialize;

/// The strategy.
pub struct Ec2;

/// Finds nodes among the running instances of Amazon EC2.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which instances: filters of `DescribeInstances`, each with the values that are possible, as
    /// `{ "tag:cluster" = ["shop"], vpc-id = ["vpc-0a1b2c"] }`. All must fit. `{}` takes every instance that is running.
    pub(crate) filters: BTreeMap<String, Vec<String>>,
    /// How nodes are named, as "shop@{ip}": from `ip`, `id`, `type`, `zone`, and `tag.NAME` for each tag. An instance that
    /// has not all that its name needs is left out.
    pub(crate) name: NameTemplate<Ec2>,
    /// Which address counts: "private", "public" or "ipv6". Default "private".
    #[serde(default)]
    pub(crate) address: Address,
    /// Regions to look in, as `["eu-west-1", "eu-central-1"]`. Default: that of the AWS settings (`AWS_REGION`, the
    /// profile, the instance that this runs on).
    pub(crate) regions: Option<Vec<String>>,
    /// Time between two look-ups, as "30s" or in milliseconds, give or take a tenth. Default 30s: EC2 throttles who asks
    /// much more often.
    #[serde(default = "default_polling_interval")]
    pub(crate) polling_interval: ConfigDuration,
    /// Instances in one page of an answer, 5 to 1000. Default 1000.
    #[serde(default = "default_page_size")]
    pub(crate) page_size: u16,
    /// Where the API is, as "https://ec2-fips.{region}.amazonaws.com". Default: `AWS_ENDPOINT_URL`, else
    /// "https://ec2.{region}.amazonaws.com".
    pub(crate) endpoint: Option<String>,
    /// How the API is asked: timeout, retries, limits.
    #[serde(default)]
    pub(crate) http: Http,
}

/// Which address of an instance counts.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Address {
    #[default]
    Private,
    Public,
    Ipv6,
}

fn default_polling_interval() -> ConfigDuration {
    ConfigDuration::from_secs(30)
}

fn default_page_size() -> u16 {
    1000
}

impl Placeholders for Ec2 {
    const POSSIBLE: &'static [&'static str] = &["ip", "id", "type", "zone", "tag."];
}
