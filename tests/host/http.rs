//! As little HTTP as it takes to read from the API. Version 1.0, in which an answer ends with its connection.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::Value;

use crate::contract;

/// The JSON at a path.
pub(crate) fn get(socket: &Path, path: &str) -> io::Result<Value> {
    let mut body = String::new();
    open(socket, path)?.read_to_string(&mut body)?;
    contract::check_answer("GET", path, 200, "application/json", body.as_bytes());
    Ok(serde_json::from_str(&body)?)
}

/// The body at a path, as it comes.
pub(crate) fn open(socket: &Path, path: &str) -> io::Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(socket)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    let mut header = String::new();
    while answer.read_line(&mut header)? > 2 {
        header.clear();
    }
    if status.split(' ').nth(1) == Some("200") { Ok(answer) } else { Err(io::Error::other(status)) }
}
