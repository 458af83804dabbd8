use proptest::prelude::*;

use super::*;

const BYTES: &[u8] = b"some bytes";

fn calls() -> Vec<Call<'static>> {
    vec![
        Call::Ping(u64::MAX),
        Call::Log { level: LevelCode::WARN, target: b"module", message: BYTES },
        Call::ReportBegin {
            kind: ReportCode::APPLY,
            completeness: CompletenessCode::PARTIAL,
            ttl_ms: u64::MAX,
        },
        Call::ReportChunk { section: SectionCode::REMOVALS, records: BYTES },
        Call::ReportCommit,
        Call::Status { health: HealthCode::DENIED, reason: b"", counters: b"{}" },
        Call::Completed { op: 7, outcome: OutcomeCode::KEPT, reason: BYTES },
        Call::Link { generation: 3, node: b"a@h", up: Flag::YES, reason: b"" },
        Call::LinksBegin { generation: 4 },
        Call::LinksChunk { records: BYTES },
        Call::LinksCommit,
        Call::Availability { available: Flag::NO, reason: BYTES },
        Call::Local { node: b"{}" },
        Call::Exited { kind: ExitCode::PANICKED, reason: BYTES },
    ]
}

fn orders() -> Vec<Order<'static>> {
    vec![
        Order::Setup(b"{}"),
        Order::Describe,
        Order::Validate(BYTES),
        Order::Start(BYTES),
        Order::Update(BYTES),
        Order::Stop { reason: StopCode::RESTART, deadline_ms: 2_000 },
        Order::Submit { op: 9, kind: OperationCode::LIST, deadline_ms: 5_000, record: BYTES },
        Order::Cancel { op: 9 },
        Order::Committed(Code::TOO_MANY),
    ]
}

/// The tag and the body of the one frame in these bytes.
fn one(frame: &[u8]) -> (u8, Vec<u8>) {
    let mut incoming = Incoming::new(FRAME_BYTES_MAX);
    incoming.room().extend_from_slice(frame);
    let (tag, body) = incoming.next().unwrap().unwrap();
    let found = (tag, body.to_vec());
    assert_eq!(incoming.next(), Ok(None));
    found
}

/// What is written is what is read; a body that is one byte shorter or longer than its fields is none, unless the last
/// of them is a text.
#[test]
fn round_trips() {
    let mut said: Vec<_> = calls().into_iter().map(Said::Call).collect();
    said.push(Said::Answer { code: Code::INVALID, answer: BYTES });
    for said in said {
        let mut frame = Vec::new();
        said.write(&mut frame);
        let (tag, body) = one(&frame);
        assert_eq!(Said::read(tag, &body), Ok(said));
        assert_ne!(Said::read(tag, &[&body, &b"x"[..]].concat()), Ok(said));
    }
    for order in orders() {
        let (tag, body) = one(&order.to_frame());
        assert_eq!(Order::read(tag, &body), Ok(order));
        assert_ne!(Order::read(tag, &[&body, &b"x"[..]].concat()), Ok(order));
    }
}

/// A length above the limit is refused before anything of it has come, and nothing is kept free for it.
#[test]
fn length_is_not_believed() {
    let mut incoming = Incoming::new(FRAME_BYTES_MAX);
    incoming.room().extend((u32::try_from(FRAME_BYTES_MAX).unwrap() + 1).to_le_bytes());
    let error = incoming.next().unwrap_err();
    assert_eq!(error.to_string(), "a frame of 1048577 bytes where 1048576 are the most");
    let mut incoming = Incoming::new(FRAME_BYTES_MAX);
    incoming.room().extend(u32::try_from(FRAME_BYTES_MAX).unwrap().to_le_bytes());
    assert_eq!(incoming.next(), Ok(None));
    assert!(incoming.room().capacity() < FRAME_BYTES_MAX / 8);
}

/// After a large frame the buffer is small again.
#[test]
fn buffer_shrinks() {
    let mut incoming = Incoming::new(FRAME_BYTES_MAX);
    let records = vec![7; FRAME_BYTES_MAX - 1];
    Said::Call(Call::LinksChunk { records: &records }).write(incoming.room());
    assert!(incoming.next().unwrap().is_some());
    assert!(incoming.room().capacity() <= KEPT_BYTES_MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Frames come out as they went in, wherever the bytes are cut on the way.
    #[test]
    fn any_cuts(picked in prop::collection::vec(0_usize..14, 1..20), cut in 1_usize..64) {
        let picked: Vec<_> = picked.into_iter().map(|index| Said::Call(calls()[index])).collect();
        let mut bytes = Vec::new();
        picked.iter().for_each(|said| said.write(&mut bytes));
        let mut incoming = Incoming::new(FRAME_BYTES_MAX);
        let mut count = 0;
        for part in bytes.chunks(cut) {
            incoming.room().extend_from_slice(part);
            while let Some((tag, body)) = incoming.next().unwrap() {
                prop_assert_eq!(Said::read(tag, body), Ok(picked[count]));
                count += 1;
            }
        }
        prop_assert_eq!(count, picked.len());
    }

    /// Junk is an error or a message, never a panic.
    #[test]
    fn junk(bytes in prop::collection::vec(any::<u8>(), 0..200), tag in any::<u8>()) {
        let _said = Said::read(tag, &bytes);
        let _order = Order::read(tag, &bytes);
        let mut incoming = Incoming::new(FRAME_BYTES_MAX);
        incoming.room().extend_from_slice(&bytes);
        while let Ok(Some((tag, body))) = incoming.next() {
            let _said = Said::read(tag, body);
        }
    }
}
