use proptest::prelude::*;

use super::*;

/// One term of each type, as `term_to_binary` writes it (without the version byte), and what it is.
const TERMS: &[(&str, &[u8])] = &[
    ("7", &[97, 7]),
    ("70000", &[98, 0, 1, 17, 112]),
    ("1.5", &[70, 63, 248, 0, 0, 0, 0, 0, 0]),
    ("1.5 as text", b"c1.50000000000000000000e+00\0\0\0\0\0"),
    ("ok, Latin-1", &[100, 0, 2, b'o', b'k']),
    ("ok, short Latin-1", &[115, 2, b'o', b'k']),
    ("ok, UTF-8", &[118, 0, 2, b'o', b'k']),
    ("ok, short UTF-8", &[119, 2, b'o', b'k']),
    ("{}", &[104, 0]),
    ("{1, []}", &[104, 2, 97, 1, 106]),
    ("{1} as large tuple", &[105, 0, 0, 0, 1, 97, 1]),
    ("[]", &[106]),
    ("\"ab\"", &[107, 0, 2, b'a', b'b']),
    ("[[1], 2 | 3]", &[108, 0, 0, 0, 2, 108, 0, 0, 0, 1, 97, 1, 106, 97, 2, 97, 3]),
    ("<<\"ab\">>", &[109, 0, 0, 0, 2, b'a', b'b']),
    ("<<5:3>>", &[77, 0, 0, 0, 1, 3, 160]),
    ("1 bsl 40", &[110, 6, 0, 0, 0, 0, 0, 0, 1]),
    ("a large big", &[111, 0, 0, 0, 2, 1, 9, 9]),
    ("#{a => #{}}", &[116, 0, 0, 0, 1, 119, 1, b'a', 116, 0, 0, 0, 0]),
    ("fun a:b/1", &[113, 119, 1, b'a', 119, 1, b'b', 97, 1]),
    ("a fun", &[112, 0, 0, 0, 6, 1, 2]),
    ("a reference", &[101, 119, 1, b'a', 0, 0, 0, 1, 0]),
    ("a port", &[102, 119, 1, b'a', 0, 0, 0, 1, 0]),
    ("a pid", &[103, 119, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 0, 0]),
    ("a new reference", &[114, 0, 2, 119, 1, b'a', 1, 0, 0, 0, 1, 0, 0, 0, 2]),
    ("a new pid", &[88, 119, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("a new port", &[89, 119, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 0]),
    ("a newer reference", &[90, 0, 1, 119, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 1]),
    ("a v4 port", &[120, 119, 1, b'a', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
];

/// Each type of term is skipped to its end exactly, and is an error when cut off anywhere.
#[test]
fn skips_every_type() {
    for (what, term) in TERMS {
        let mut reader = Reader::new(term);
        assert_eq!(reader.skip(), Ok(()), "{what}");
        assert!(reader.bytes.is_empty(), "{what} leaves {:?}", reader.bytes);
        for cut in 0..term.len() {
            assert_eq!(Reader::new(&term[..cut]).skip(), Err(EtfError::Truncated), "{what} cut to {cut}");
        }
    }
}

/// Depth costs no stack, and counts that lie end with the bytes.
#[test]
fn nesting_and_lying_counts_are_harmless() {
    let mut deep = [104, 1].repeat(500_000);
    deep.push(106);
    assert_eq!(Reader::new(&deep).skip(), Ok(()));
    let lie = [116, 255, 255, 255, 255].repeat(1_000);
    assert_eq!(Reader::new(&lie).skip(), Err(EtfError::Truncated));
}

/// What the four atom tags give, and which atoms do not exist.
#[test]
fn atoms() {
    let atom = |bytes: &[u8]| Reader::new(bytes).atom().map(Cow::into_owned);
    assert_eq!(atom(&[100, 0, 2, b'h', 0xf6]), Ok("hö".to_owned()));
    assert_eq!(atom(&[115, 2, b'h', 0xf6]), Ok("hö".to_owned()));
    assert_eq!(atom(&[118, 0, 3, b'h', 0xc3, 0xb6]), Ok("hö".to_owned()));
    assert_eq!(atom(&[119, 3, b'h', 0xc3, 0xb6]), Ok("hö".to_owned()));
    assert_eq!(atom(&[119, 2, b'h', 0xf6]), Err(EtfError::BadAtom));
    assert_eq!(atom(&[109, 0, 0, 0, 1, b'h']), Err(EtfError::UnexpectedTag(109)));
    let mut long = vec![100, 1, 0];
    long.extend([b'a'; 256]);
    assert_eq!(atom(&long), Err(EtfError::BadAtom));
}

/// A compressed term inflates to what it claims within the limit, or is refused before anything is inflated.
#[test]
fn compression_is_bounded() {
    let term = [109, 0, 0, 0, 3, b'a', b'b', b'c'];
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(&term, 6);
    let open = |claimed: u32, max: usize| {
        let mut bytes = vec![VERSION, tag::COMPRESSED];
        bytes.extend(claimed.to_be_bytes());
        bytes.extend(&packed);
        let mut scratch = Vec::new();
        let result = Reader::open(&bytes, &mut scratch, max)
            .and_then(|mut reader| reader.binary().map(<[u8]>::to_vec));
        (result, scratch.capacity())
    };
    assert_eq!(open(8, 8).0, Ok(b"abc".to_vec()));
    assert_eq!(open(8, 7), (Err(EtfError::BadCompression), 0));
    assert_eq!(open(7, 100).0, Err(EtfError::BadCompression));
    assert_eq!(open(9, 100).0, Err(EtfError::BadCompression));
    assert_eq!(open(u32::MAX, 8_192), (Err(EtfError::BadCompression), 0));
}

proptest! {
    /// Whatever the bytes, reading ends with a value or an error.
    #[test]
    fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut scratch = Vec::new();
        let ended = [
            Reader::open(&bytes, &mut scratch, 1_000).and_then(|mut reader| reader.skip()).is_ok(),
            Reader::new(&bytes).skip().is_ok(),
            Reader::new(&bytes).atom().is_ok(),
            Reader::new(&bytes).binary().is_ok(),
        ];
        prop_assert!(ended.len() == 4);
    }

    /// What is written is read back.
    #[test]
    fn round_trip(text in "\\PC{0,255}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut buffer = Vec::new();
        write_atom(&mut buffer, &text);
        write_binary(&mut buffer, &bytes);
        let mut reader = Reader::new(&buffer);
        prop_assert_eq!(reader.atom().unwrap(), text);
        prop_assert_eq!(reader.binary().unwrap(), bytes);
        prop_assert!(reader.bytes.is_empty());
    }
}
