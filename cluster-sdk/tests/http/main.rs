//! The HTTP client against a real server on loopback, which answers as it is told or misbehaves.
#![cfg(test)]

mod connections;
mod fake_clock;
mod pages;
mod requests;
mod retries;
mod tls;

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

use cluster_sdk::{
    http::{Http, HttpOptions},
    serde_json::{Value, from_value},
};

/// A client with these options.
fn client(options: Value) -> Http {
    let options: HttpOptions = from_value(options).unwrap();
    assert_eq!(options.errors(), []);
    Http::new(options)
}

/// Reads a request, which has no body, and answers with these bytes.
fn answer(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.push(byte[0]);
    }
    stream.write_all(bytes)
}

/// The text begins and ends like this.
#[track_caller]
fn check(err: &dyn std::fmt::Display, begin: &str, end: &str) {
    let text = err.to_string();
    assert!(text.starts_with(begin) && text.ends_with(end), "{text}");
}
