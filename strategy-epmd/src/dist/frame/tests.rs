use proptest::prelude::*;

use super::*;

fn fed(bytes: &[u8], chunk: usize) -> Result<Vec<Frame>, FrameError> {
    let (mut frames, mut found) = (Frames::default(), Vec::new());
    for bytes in bytes.chunks(chunk.max(1)) {
        frames.buffer().extend_from_slice(bytes);
        while let Some(frame) = frames.next()? {
            found.push(frame);
        }
    }
    Ok(found)
}

fn recorded(file: &str) -> Vec<u8> {
    let path =
        format!("{}/../tests/fixtures/libcluster/dist-handshake/{file}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first frames of two real nodes. They had agreed on an atom cache, which we do not offer: an error for us, not a
/// panic, wherever it is cut.
#[test]
fn recordings() {
    for file in ["6-fxb-to-fxa-first-message", "7-fxa-to-fxb-first-message"] {
        let bytes = recorded(file);
        assert_eq!(fed(&bytes, bytes.len()), Err(FrameError::Kind(131)), "{file}");
        for end in 0..bytes.len() {
            assert_eq!(fed(&bytes[..end], end).map(|frames| frames.len()), Ok(0), "{file} until {end}");
        }
    }
}

/// However the bytes are cut, the frames are the same.
#[test]
fn cut_anywhere() {
    let pid = Term::atom("someone");
    let control = super::super::control::send(pid.clone());
    let payload = Term::Tuple(vec![Term::Integer(1), Term::text("x")]);
    let bytes = [&TICK[..], &encode(&control, Some(&payload)), &TICK, &encode(&control, None)].concat();
    let frames = fed(&bytes, bytes.len()).unwrap();
    assert_eq!(frames.len(), 4);
    assert_eq!(frames[0], Frame::Tick);
    let Frame::Message { control, payload: Some(found) } = &frames[1] else { panic!("{frames:?}") };
    assert_eq!((control, found.decode()), (&Control::Send { to: pid }, Ok(payload)));
    for chunk in 1..bytes.len() {
        assert_eq!(fed(&bytes, chunk).as_ref(), Ok(&frames), "in pieces of {chunk}");
    }
}

/// A length of 4 GiB is refused as soon as it is read, and nothing is allocated for it.
#[test]
fn too_long() {
    let mut frames = Frames::default();
    frames.buffer().extend_from_slice(&[255; 4]);
    assert_eq!(frames.next(), Err(FrameError::TooLong(0xffff_ffff)));
    assert!(frames.buffer().capacity() < 1024);
}

proptest! {
    /// Junk never panics.
    #[test]
    fn junk(body in prop::collection::vec(any::<u8>(), 0..200), chunk in 1_usize..50) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let _frames = fed(&[&length[..], &body].concat(), chunk);
    }
}
