use std::net::Ipv4Addr;

use hickory_resolver::proto::{
    op::OpCode,
    rr::rdata::{A, CNAME, NS, SOA},
};
use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(owner: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(name(owner), ttl, data)
}

fn a(owner: &str, ttl: u32, last: u8) -> Record {
    record(owner, ttl, RData::A(A(Ipv4Addr::new(10, 0, 0, last))))
}

fn cname(owner: &str, ttl: u32, target: &str) -> Record {
    record(owner, ttl, RData::CNAME(CNAME(name(target))))
}

fn message(code: ResponseCode, answers: Vec<Record>, authorities: Vec<Record>) -> Message {
    let mut message = Message::response(1, OpCode::Query);
    message.metadata.response_code = code;
    message.answers = answers;
    message.authorities = authorities;
    message
}

/// What a message with these answers says of the A records of `a.`.
fn said(code: ResponseCode, answers: Vec<Record>, authorities: Vec<Record>) -> Result<Answer, Fault> {
    read(&message(code, answers, authorities), &name("a."), RecordType::A)
}

fn found(lasts: &[u8], ttl: u32) -> Result<Answer, Fault> {
    let data = lasts.iter().map(|last| RData::A(A(Ipv4Addr::new(10, 0, 0, *last)))).collect();
    Ok(Answer::Found(Records { data, glue: Vec::new(), ttl }))
}

use ResponseCode::{NXDomain, NoError, Refused, ServFail};

/// Records of the name, those of others left out; the smallest TTL counts; the case of letters does not.
#[test]
fn records_of_the_name() {
    assert_eq!(
        said(NoError, vec![a("a.", 30, 1), a("A.", 20, 2), a("b.", 5, 3)], vec![]),
        found(&[1, 2], 20)
    );
    assert_eq!(said(NoError, vec![a("a.", 1 << 31, 1)], vec![]), found(&[1], 0));
}

/// Aliases are followed in any order, and their TTLs count.
#[test]
fn aliases() {
    let chain = vec![a("c.", 30, 1), cname("b.", 7, "c."), cname("a.", 60, "B.")];
    assert_eq!(said(NoError, chain, vec![]), found(&[1], 7));
    let open = said(NoError, vec![cname("a.", 60, "b.")], vec![]);
    assert_eq!(open, Ok(Answer::Alias(Alias { target: name("b."), ttl: 60, count: 1 })));
    let dangling = said(NXDomain, vec![cname("a.", 60, "b.")], vec![]);
    assert_eq!(dangling, Err(Fault::Dangling(name("b."))));
    let round = said(NoError, vec![cname("a.", 60, "b."), cname("b.", 60, "a.")], vec![]);
    assert_eq!(round, Err(Fault::Aliases));
}

/// Nothing is said in one way only; what merely looks like it is a fault.
#[test]
fn nothing_and_what_is_not() {
    let soa = SOA::new(name("ns."), name("admin."), 1, 1, 1, 1, 5);
    let soa = record(".", 60, RData::SOA(soa));
    let ns = record(".", 60, RData::NS(NS(name("ns."))));
    assert_eq!(said(NoError, vec![], vec![]), Ok(Answer::Nothing));
    assert_eq!(said(NoError, vec![], vec![soa.clone()]), Ok(Answer::Nothing));
    assert_eq!(said(NoError, vec![], vec![soa.clone(), ns.clone()]), Ok(Answer::Nothing));
    assert_eq!(said(NoError, vec![], vec![ns]), Err(Fault::Referral));
    assert_eq!(said(NXDomain, vec![], vec![soa]), Ok(Answer::NoSuchName));
    for code in [ServFail, Refused, ResponseCode::Unknown(3841)] {
        assert_eq!(said(code, vec![], vec![]), Err(Fault::Code(code)));
        assert_eq!(said(code, vec![a("a.", 1, 1)], vec![]), Err(Fault::Code(code)));
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let owner = || prop::sample::select(vec!["a.", "b.", "c.", "d.a.", "."]);
    prop_oneof![
        (owner(), any::<u32>(), any::<u8>()).prop_map(|(owner, ttl, last)| a(owner, ttl, last)),
        (owner(), any::<u32>(), owner()).prop_map(|(owner, ttl, target)| cname(owner, ttl, target)),
        owner().prop_map(|owner| record(owner, 1, RData::NS(NS(name("ns."))))),
    ]
}

proptest! {
    /// Whatever a message has in it: it is read to an end, and without an answer's records nobody is made up.
    #[test]
    fn any_message(
        code in prop::sample::select(vec![NoError, NXDomain, ServFail, Refused]),
        answers in prop::collection::vec(any_record(), 0..8),
        authorities in prop::collection::vec(any_record(), 0..3),
    ) {
        let count = answers.iter().filter(|record| record.record_type() == RecordType::A).count();
        let has_alias = answers.iter().any(|record| record.record_type() == RecordType::CNAME && record.name == name("a."));
        match said(code, answers, authorities) {
            Ok(Answer::Found(records)) => prop_assert!((1..=count).contains(&records.data.len())),
            Ok(Answer::Nothing) => prop_assert!(code == NoError && !has_alias),
            Ok(Answer::NoSuchName) => prop_assert!(code == NXDomain && !has_alias),
            Ok(Answer::Alias(alias)) => prop_assert!(has_alias && (1..=ALIASES_MAX).contains(&alias.count)),
            Err(_) => {}
        }
    }
}
