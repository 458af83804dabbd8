//! A server that answers by UDP whatever a test wants, and has no TCP.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{RData, Record, RecordType, rdata::A},
};
use test_ports::lasting_port;

/// It ends when this is dropped.
pub(super) struct Liar {
    port: u16,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

// === impl Liar ===

impl Liar {
    /// Starts one that makes its answers of a question and of an answer that repeats it.
    pub(super) fn start(lie: impl Fn(&Message, &mut Message) + Send + 'static) -> Self {
        let port = lasting_port();
        let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let mut buffer = [0; 4096];
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        let question = Message::from_vec(&buffer[..length]).unwrap();
                        let mut answer = Message::response(question.metadata.id, OpCode::Query);
                        answer.queries.clone_from(&question.queries);
                        lie(&question, &mut answer);
                        socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
                    }
                    Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(err) => panic!("{err}"),
                }
            }
        });
        Self { port, is_over, thread: Some(thread) }
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it panicked with has been shown.
            let _end = thread.join();
        }
    }
}

/// The type that is asked for.
pub(super) fn kind(question: &Message) -> RecordType {
    question.queries[0].query_type()
}

/// Adds a record to an answer: the name that is asked for has the address 10.0.0.`last`.
pub(super) fn add_address(answer: &mut Message, last: u8) {
    let data = RData::A(A(Ipv4Addr::new(10, 0, 0, last)));
    answer.answers.push(Record::from_rdata(answer.queries[0].name().clone(), 60, data));
}

/// Makes the answer an error.
pub(super) fn fail(answer: &mut Message, code: ResponseCode) {
    answer.metadata.response_code = code;
}
