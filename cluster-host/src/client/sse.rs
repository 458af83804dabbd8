//! Reading server-sent events, sans-io: bytes in, events out.

/// One server-sent event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// Its `id`: the cursor.
    pub(crate) id: String,
    /// Its `event`: the type.
    pub(crate) kind: String,
    /// Its `data`.
    pub(crate) data: String,
}

/// Takes a stream apart. A line may be as long as it likes (a resync is one line) and is searched once.
#[derive(Debug, Default)]
pub(super) struct Parser {
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that were used already.
    used: usize,
    /// Bytes of the buffer that have been searched for the end of a line.
    searched: usize,
    event: SseEvent,
}

impl Parser {
    /// Adds bytes as they came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.searched = self.searched.saturating_sub(self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole event among what was added.
    pub(super) fn next_event(&mut self) -> Option<SseEvent> {
        loop {
            let unsearched = self.buffer.get(self.searched..)?;
            let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                return None;
            };
            let end = self.searched.saturating_add(end);
            let line = String::from_utf8_lossy(self.buffer.get(self.used..end)?);
            let line = line.strip_suffix('\r').unwrap_or(&line);
            let dispatch = line.is_empty();
            read_line(&mut self.event, line);
            self.used = end.saturating_add(1);
            self.searched = self.used;
            if dispatch {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() {
                    return Some(event);
                }
            }
        }
    }
}

fn read_line(event: &mut SseEvent, line: &str) {
    let (field, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.strip_prefix(' ').unwrap_or(value);
    match field {
        "id" => value.clone_into(&mut event.id),
        "event" => value.clone_into(&mut event.kind),
        "data" => {
            if !event.data.is_empty() {
                event.data.push('\n');
            }
            event.data.push_str(value);
        }
        // A comment, or a field of a later version.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events come out whole, however the bytes are cut; comments and unknown fields are passed over.
    #[test]
    fn any_cut() {
        let stream = ":\n\nid: e:1\nevent: node_up\ndata: {\"a\":\"ä: b\"}\n\nretry: 5\n\ndata:x\r\ndata: y\r\n\r\nid: e:3\ndata: cut";
        let expected = [
            SseEvent { id: "e:1".into(), kind: "node_up".into(), data: "{\"a\":\"ä: b\"}".into() },
            SseEvent { id: String::new(), kind: String::new(), data: "x\ny".into() },
        ];
        for cut in 1..=stream.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for bytes in stream.as_bytes().chunks(cut) {
                parser.push(bytes);
                events.extend(std::iter::from_fn(|| parser.next_event()));
            }
            assert_eq!(events, expected, "cut every {cut} bytes");
        }
    }
}
