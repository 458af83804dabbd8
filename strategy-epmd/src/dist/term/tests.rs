use proptest::prelude::*;

use super::*;

fn encoded(term: &Term) -> Vec<u8> {
    let mut bytes = Vec::new();
    term.encode_versioned(&mut bytes);
    bytes
}

#[track_caller]
fn decoded(bytes: &[u8]) -> Term {
    let (term, rest) = decode(bytes).unwrap();
    assert!(rest.is_empty(), "{rest:?} is left");
    term
}

fn terms() -> impl Strategy<Value = Term> {
    let leaf = prop_oneof![
        "\\PC{0,80}".prop_map(Term::Atom),
        any::<i64>().prop_map(Term::Integer),
        prop::collection::vec(any::<u8>(), 1..300).prop_map(Term::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Term::Binary),
        ("[a-z]{1,9}@h", any::<u32>(), any::<u32>(), any::<u32>())
            .prop_map(|(node, id, serial, creation)| Term::Pid(Pid { node, id, serial, creation })),
        ("[a-z]{1,9}@h", any::<u32>(), prop::collection::vec(any::<u32>(), 1..=5))
            .prop_map(|(node, creation, words)| Term::Reference(Reference { node, creation, words })),
        any::<u64>().prop_map(|bits| Term::Other([&[70_u8][..], &bits.to_be_bytes()].concat())),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Term::Tuple),
            prop::collection::vec(inner.clone(), 0..8).prop_map(Term::List),
            (prop::collection::vec(inner, 1..8), "[a-z]{1,9}")
                .prop_map(|(elements, tail)| Term::Improper(elements, Box::new(Term::Atom(tail)))),
        ]
    })
}

proptest! {
    /// What is written is read as the same.
    #[test]
    fn round_trip(term in terms()) {
        prop_assert_eq!(decoded(&encoded(&term)), term);
    }

    /// A term that is cut anywhere is an error.
    #[test]
    fn cut_anywhere(term in terms(), at in any::<prop::sample::Index>()) {
        let bytes = encoded(&term);
        prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
    }

    /// Junk never panics.
    #[test]
    fn junk(mut bytes in prop::collection::vec(any::<u8>(), 0..600), versioned in any::<bool>()) {
        if versioned {
            bytes.insert(0, VERSION);
        }
        if let Ok((term, _)) = decode(&bytes) {
            prop_assert!(term.to_string().chars().count() <= TEXT_CHARS_MAX + 1);
        }
    }
}

/// Atoms of all four tags are one atom.
#[test]
fn atoms() {
    for bytes in [
        &[131, 100, 0, 1, 0xf6][..],
        &[131, 115, 1, 0xf6],
        &[131, 118, 0, 2, 0xc3, 0xb6],
        &[131, 119, 2, 0xc3, 0xb6],
    ] {
        assert_eq!(decoded(bytes), Term::atom("ö"));
    }
    assert_eq!(decode(&[131, 119, 1, 0xf6]), Err(TermError::Malformed));
}

/// Types that are only passed on keep their bytes: map, fun, export, big, port.
#[test]
fn passed_on() {
    let cases: [&[u8]; 5] = [
        &[116, 0, 0, 0, 1, 97, 1, 97, 2],
        &[112, 0, 0, 0, 6, 1, 2],
        &[113, 119, 1, b'm', 119, 1, b'f', 97, 1],
        &[110, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        &[120, 119, 1, b'n', 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1],
    ];
    for bytes in cases {
        let versioned = [&[VERSION], bytes].concat();
        assert_eq!(decoded(&versioned), Term::Other(bytes.to_vec()), "{bytes:?}");
        assert_eq!(encoded(&decoded(&versioned)), versioned);
    }
}

/// What took other decoders down: counts of four thousand million, two million nested tuples, references to a cache.
#[test]
fn hostile() {
    for tag in [105, 108, 109, 111, 116] {
        assert_eq!(decode(&[131, tag, 255, 255, 255, 255, 1]), Err(TermError::Truncated), "tag {tag}");
    }
    let mut nested = vec![VERSION];
    nested.extend([104, 1].repeat(2_000_000));
    assert_eq!(decode(&nested), Err(TermError::TooDeep));
    let mut maps = vec![VERSION];
    maps.extend([116, 0, 0, 0, 1].repeat(1_000_000));
    assert_eq!(decode(&maps), Err(TermError::TooDeep));
    assert_eq!(decode(&[131, 82, 0]), Err(TermError::Tag(82)));
    let mut many = vec![VERSION, 108];
    many.extend(u32::try_from(TERMS_MAX + 1).unwrap().to_be_bytes());
    many.extend([106].repeat(TERMS_MAX + 2));
    assert_eq!(decode(&many), Err(TermError::TooMany));
}

/// Texts for people are short, whatever the term.
#[test]
fn shown() {
    let reason = Term::Tuple(vec![Term::atom("badrpc"), Term::List(vec![Term::Integer(1), Term::text("x")])]);
    assert_eq!(reason.to_string(), "{badrpc,[1,\"x\"]}");
    let long = Term::List(vec![Term::atom("abcdefghij"); 100_000]);
    assert_eq!(long.to_string().chars().count(), TEXT_CHARS_MAX + 1);
}
