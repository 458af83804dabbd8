//! End to end: real `cluster-host` processes with real `.so` files, real sockets, real network namespaces and a real
//! BEAM. Nothing here knows the inside of the host: what is relied on is its command line, its API and its wire.
//!
//! `lab::` needs network namespaces, `beam::` and `erlang::` need Erlang, a few of these Elixir, `dns::` needs Knot DNS,
//! `minisign::` minisign, `browser::` Chromium, `prometheus::` Prometheus, `packaging::` shells and systemd, `authoring::`
//! Cargo and a minute, `guide::` most of these and two; where they are missing these tests fail and say so, and `make
//! check` leaves them out. The rest needs loopback only.
#![cfg(test)]

mod access;
mod api;
mod authoring;
mod basic;
mod beam;
mod browser;
mod c_strategy;
mod contract;
mod discover;
mod dns;
mod doctor;
mod erlang;
mod exits;
mod faults;
mod formation;
mod gossip_wire;
mod guide;
mod hooks;
mod host;
mod isolation;
mod kubernetes;
mod lab;
mod lan;
mod links;
mod manifests;
mod metrics;
mod notify;
mod packaging;
mod pins;
mod plugins_dir;
mod presence;
mod probes;
mod reload;
mod state;
mod subscribers;
mod watching;
