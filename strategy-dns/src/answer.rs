//! What a message says of a name.
//!
//! RFC 1034 and RFC 2308: records of the name itself, or an alias (which may be followed in the same message), or
//! nothing of this type, or no such name. All else is a [`Fault`], above all what looks like nothing and is not: a
//! referral, or an alias whose target the server did not look up.

use std::net::IpAddr;

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{DNSClass, Name, RData, Record, RecordType},
};

use crate::failure::Fault;

/// Aliases that are followed in a row.
pub(crate) const ALIASES_MAX: usize = 16;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Records there are.
    Found(Records),
    /// The name exists and has no records of this type.
    Nothing,
    /// There is no such name.
    NoSuchName,
    /// The name stands for another one, of which the message says nothing.
    Alias(Alias),
}

/// Records of one name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) data: Vec<RData>,
    /// Addresses of what the records name, where the server added them.
    pub(crate) glue: Vec<(Name, IpAddr)>,
    /// Seconds after which the first of them, or of the aliases on the way, runs out.
    pub(crate) ttl: u32,
}

/// Where aliases lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alias {
    pub(crate) target: Name,
    pub(crate) ttl: u32,
    /// How many there were in a row.
    pub(crate) count: usize,
}

/// Reads what a message that is not truncated says of a name.
pub(crate) fn read(message: &Message, name: &Name, kind: RecordType) -> Result<Answer, Fault> {
    let code = message.metadata.response_code;
    if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        return Err(Fault::Code(code));
    }
    let alias = follow(message, name, kind)?;
    let records: Vec<_> = records(message, &alias.target, kind).collect();
    if let Some(ttl) = records.iter().map(|record| ttl(record)).min() {
        let data = records.iter().map(|record| record.data.clone()).collect();
        return Ok(Answer::Found(Records { data, glue: glue(message), ttl: alias.ttl.min(ttl) }));
    }
    match code {
        ResponseCode::NXDomain if alias.count > 0 => Err(Fault::Dangling(alias.target)),
        ResponseCode::NXDomain => Ok(Answer::NoSuchName),
        _ if alias.count > 0 => Ok(Answer::Alias(alias)),
        _ if is_referral(message) => Err(Fault::Referral),
        _ => Ok(Answer::Nothing),
    }
}

/// Follows aliases as far as the message has them.
fn follow(message: &Message, name: &Name, kind: RecordType) -> Result<Alias, Fault> {
    let mut alias = Alias { target: name.clone(), ttl: u32::MAX, count: 0 };
    while records(message, &alias.target, kind).next().is_none() {
        let next = records(message, &alias.target, RecordType::CNAME).find_map(|record| match &record.data {
            RData::CNAME(target) => Some((target.0.clone(), ttl(record))),
            _ => None,
        });
        let Some((target, ttl)) = next else { break };
        alias = Alias { target, ttl: alias.ttl.min(ttl), count: alias.count + 1 };
        if alias.count > ALIASES_MAX {
            return Err(Fault::Aliases);
        }
    }
    Ok(alias)
}

fn records<'a>(message: &'a Message, name: &'a Name, kind: RecordType) -> impl Iterator<Item = &'a Record> {
    let is_of_it = move |record: &&Record| {
        record.dns_class == DNSClass::IN && record.record_type() == kind && record.name == *name
    };
    message.answers.iter().filter(is_of_it)
}

fn glue(message: &Message) -> Vec<(Name, IpAddr)> {
    let address = |record: &Record| Some((record.name.clone(), record.data.ip_addr()?));
    message.additionals.iter().filter_map(address).collect()
}

/// RFC 2181: what has the highest bit set counts as 0.
fn ttl(record: &Record) -> u32 {
    i32::try_from(record.ttl).map_or(0, i32::unsigned_abs)
}

/// RFC 2308, 2.2: a referral names servers and has no SOA record.
fn is_referral(message: &Message) -> bool {
    let has = |kind| message.authorities.iter().any(|record| record.record_type() == kind);
    has(RecordType::NS) && !has(RecordType::SOA) && !message.metadata.authoritative
}

#[cfg(test)]
mod tests;
