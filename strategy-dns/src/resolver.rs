//! Looks names up: by the search list, at several servers, along aliases.

use std::net::SocketAddr;

use hickory_resolver::proto::rr::{Name, RecordType};

use crate::{
    answer::{ALIASES_MAX, Alias, Answer, Records},
    exchange::Exchange,
    failure::{Failure, Fault},
    search::Search,
};

/// Looks names up.
#[derive(Debug)]
pub(crate) struct Resolver {
    pub(crate) exchange: Exchange,
    /// In the order in which they are asked: the next one where one is of no use.
    pub(crate) servers: Vec<SocketAddr>,
    pub(crate) search: Search,
    /// How often a server that is silent is asked.
    pub(crate) attempts: u32,
}

/// What one name has.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// The records of each type that is known; a name that has none of a type has an empty place.
    pub(crate) found: Vec<Option<Records>>,
    pub(crate) failures: Vec<Failure>,
}

/// What is known in the end of one absolute name and one type.
enum Known {
    Records(Records),
    Nothing,
    /// There is no such name, as this server said.
    NoSuchName(SocketAddr),
}

// === impl Resolver ===

impl Resolver {
    /// Looks up the records of one type, or of two.
    ///
    /// The first name of the search list that exists is meant. Where it cannot be told whether one exists the search
    /// ends: a later name would be another one, with other nodes behind it.
    pub(crate) async fn lookup(&self, name: &Name, first: RecordType, second: Option<RecordType>) -> Lookup {
        let mut tried = Vec::new();
        let mut said_by = None;
        for candidate in self.search.candidates(name) {
            let second = async {
                let kind = second?;
                Some((kind, self.ask(&candidate, kind).await))
            };
            let (first_known, second_known) = tokio::join!(self.ask(&candidate, first), second);
            let known: Vec<_> = std::iter::once((first, first_known)).chain(second_known).collect();
            let mut servers = known.iter().map(|(_, known)| match known {
                Ok(Known::NoSuchName(server)) => Some(*server),
                Ok(Known::Records(_) | Known::Nothing) | Err(_) => None,
            });
            match servers.by_ref().collect::<Option<Vec<_>>>() {
                None => return Lookup::new(&candidate, known),
                Some(servers) => said_by = servers.last().copied(),
            }
            tried.push(candidate);
        }
        let failure = said_by.map(|server| Failure::NoSuchName { tried, server, contradiction: None });
        Lookup { found: Vec::new(), failures: failure.into_iter().collect() }
    }

    /// Asks for one absolute name and what it is an alias of.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Known, Failure> {
        let mut way = Alias { target: name.clone(), ttl: u32::MAX, count: 0 };
        let failed = |faults| Failure::Servers { name: name.clone(), types: vec![kind], faults };
        loop {
            let (answer, server) = self.ask_servers(&way.target, kind).await.map_err(failed)?;
            match answer {
                Answer::Found(mut records) => {
                    records.ttl = records.ttl.min(way.ttl);
                    return Ok(Known::Records(records));
                }
                Answer::Nothing => return Ok(Known::Nothing),
                Answer::NoSuchName if way.count > 0 => {
                    return Err(failed(vec![(server, Fault::Dangling(way.target))]));
                }
                Answer::NoSuchName => return Ok(Known::NoSuchName(server)),
                Answer::Alias(next) => {
                    way = Alias { ttl: way.ttl.min(next.ttl), count: way.count + next.count, ..next };
                    if way.count > ALIASES_MAX {
                        return Err(failed(vec![(server, Fault::Aliases)]));
                    }
                }
            }
        }
    }

    /// Asks one server after the other until an answer is of use. Who is silent is asked again after the others.
    async fn ask_servers(
        &self,
        name: &Name,
        kind: RecordType,
    ) -> Result<(Answer, SocketAddr), Vec<(SocketAddr, Fault)>> {
        let mut faults: Vec<(SocketAddr, Option<Fault>)> =
            self.servers.iter().map(|server| (*server, None)).collect();
        for _ in 0..self.attempts {
            for (server, fault) in &mut faults {
                if matches!(fault, None | Some(Fault::Silent { .. })) {
                    match self.exchange.ask(*server, name, kind).await {
                        Ok(answer) => return Ok((answer, *server)),
                        Err(err) => *fault = Some(err),
                    }
                }
            }
        }
        Err(faults.into_iter().filter_map(|(server, fault)| Some((server, fault?))).collect())
    }
}

// === impl Lookup ===

impl Lookup {
    fn new(name: &Name, known: Vec<(RecordType, Result<Known, Failure>)>) -> Self {
        let mut lookup = Self::default();
        let has_records = |(kind, known): &(RecordType, Result<Known, Failure>)| {
            matches!(known, Ok(Known::Records(_))).then_some(*kind)
        };
        let contradiction = known.iter().find_map(has_records);
        for (_, known) in known {
            match known {
                Ok(Known::Records(records)) => lookup.found.push(Some(records)),
                Ok(Known::Nothing) => lookup.found.push(None),
                Ok(Known::NoSuchName(server)) => {
                    let tried = vec![name.clone()];
                    lookup.fail(Failure::NoSuchName { tried, server, contradiction });
                }
                Err(failure) => lookup.fail(failure),
            }
        }
        lookup
    }

    fn fail(&mut self, failure: Failure) {
        if !self.failures.iter_mut().any(|before| before.absorbs(&failure)) {
            self.failures.push(failure);
        }
    }
}
