//! Who is found, and what is told of each.

use serde_json::json;

use crate::{
    cloud::{Cloud, texts},
    look::{KEYS, Look, refused},
    server::Server,
};

/// The options that all tests have.
fn config(region: &str, more: serde_json::Value) -> serde_json::Value {
    let mut config = json!({
        "filters": { "tag:cluster": ["shop"] },
        // moto gives some addresses twice.
        "name": "{id}@{ip}",
        "regions": [region],
        "endpoint": Cloud::shared().url(),
        "polling_interval": "100ms",
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

/// Hundreds of instances come in many pages, all that fit and no others; those that have stopped or are gone are left out.
#[test]
fn pages_filters_and_states() {
    let (cloud, region) = (Cloud::shared(), "eu-west-1");
    let tags = [("cluster", "shop"), ("role", "front & back"), ("empty", "")];
    let ids: Vec<_> = (0..60).flat_map(|_| cloud.run_tagged(region, 5, &tags)).collect();
    cloud.run_tagged(region, 7, &[("cluster", "other")]);
    cloud.run(region, 3, &[]);
    let proxy = Server::start(|request| request.forward(Cloud::shared().port()));
    let more = json!({
        "filters": { "tag:cluster": ["shop", "store"], "tag:role": ["front & back"] },
        "page_size": 7,
        "endpoint": proxy.url(),
    });
    let look = Look::start(&config(region, more), &KEYS);

    let view = look.view();
    assert!(view.is_complete);
    assert_eq!(view.nodes.len(), 300);
    assert_eq!(proxy.asked().iter().filter(|request| request.value("NextToken").is_none()).count(), 1);
    assert!(proxy.asked().len() >= 9, "{} pages", proxy.asked().len());

    cloud.change(region, "StopInstances", &ids[..10]);
    cloud.change(region, "TerminateInstances", &ids[10..30]);
    let view = look.view_where(|view| view.nodes.len() == 270);
    assert!(view.is_complete);

    let node = view.nodes.values().find(|node| node["attributes"]["id"] == ids[30].as_str()).unwrap();
    let attributes = &node["attributes"];
    assert_eq!(attributes["tag.role"], "front & back");
    assert_eq!(attributes["tag.empty"], "");
    assert_eq!(attributes["zone"], "eu-west-1a");
    assert_eq!(attributes["ip"], node["address"]);
    cloud.change(region, "StartInstances", &ids[..10]);
    look.view_where(|view| view.nodes.len() == 280);
}

/// Each kind of address, each region, and names by tags; who has not what a name needs is left out, and that is told.
#[test]
fn addresses_regions_and_names() {
    let (cloud, region) = (Cloud::shared(), "us-east-2");
    let vpc = [("CidrBlock", "10.9.0.0/16"), ("AmazonProvidedIpv6CidrBlock", "true")];
    let vpc = &texts(&cloud.ask("ec2", region, "CreateVpc", &vpc).body, "vpcId")[0];
    let described = cloud.ask("ec2", region, "DescribeVpcs", &[("VpcId.1", vpc)]);
    let block = texts(&described.body, "ipv6CidrBlock").remove(0).replace("/56", "/64");
    let subnet = [("VpcId", vpc.as_str()), ("CidrBlock", "10.9.1.0/24"), ("Ipv6CidrBlock", &block)];
    let subnet = &texts(&cloud.ask("ec2", region, "CreateSubnet", &subnet).body, "subnetId")[0];
    let public = [("SubnetId", subnet.as_str()), ("MapPublicIpOnLaunch.Value", "true")];
    cloud.ask("ec2", region, "ModifySubnetAttribute", &public);
    let interface = [
        ("SubnetId", subnet.as_str()),
        ("Ipv6AddressCount", "1"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "cluster"),
        ("TagSpecification.1.Tag.1.Value", "shop"),
        ("TagSpecification.1.Tag.2.Key", "Name"),
        ("TagSpecification.1.Tag.2.Value", "blue"),
    ];
    let id = cloud.run(region, 1, &interface).remove(0);
    for (address, is_of_kind) in [
        ("private", (|ip| ip.starts_with("10.9.1.")) as fn(&str) -> bool),
        ("public", |ip| ip.contains('.') && !ip.starts_with("10.")),
        ("ipv6", |ip| ip.contains(':')),
    ] {
        let look = Look::start(&config(region, json!({ "address": address, "name": "shop@{ip}" })), &KEYS);
        let view = look.view();
        let (name, node) = view.nodes.iter().next().unwrap();
        let ip = node["address"].as_str().unwrap();
        assert!(is_of_kind(ip), "{address}: {ip}");
        assert_eq!(*name, format!("shop@{ip}"));
    }

    let other = "us-west-2";
    let nameless = cloud.run_tagged(other, 1, &[("cluster", "shop")]).remove(0);
    let more = json!({ "regions": [region, other], "name": "{tag.Name}-{zone}@{id}" });
    let look = Look::start(&config(region, more), &KEYS);
    let view = look.view();
    let name = view.names()[0];
    assert!(name.starts_with("blue-us-east-2") && name.ends_with(&format!("@{id}")), "{name}");
    let said =
        format!("{nameless}: it has no `tag.Name`, which its name \"{{tag.Name}}-{{zone}}@{{id}}\" needs");
    assert_eq!(look.health("running"), said);
}

/// What is wrong with a config is told before anything is asked.
#[test]
fn mistakes() {
    let said = refused(&json!({ "filter": {}, "name": "shop@{tags.Name}", "address": "elastic" }));
    for part in ["filters", "did you mean `{tag.Name}`", "address", "private"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
