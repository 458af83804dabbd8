//! The strategy against moto's server, which imitates EC2, IAM and STS, and against imitations of the places that give
//! credentials. `tests/isolated.sh` runs it, where only loopback is; `make ec2` brings what it needs.

mod cloud;
mod credentials;
mod discovery;
mod failures;
mod host;
mod look;
mod server;
mod size;
