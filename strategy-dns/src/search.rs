//! Which absolute names a name may mean.

use hickory_resolver::proto::rr::Name;

/// The search list of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Search {
    /// What is appended, in the order in which it is tried.
    pub(crate) domains: Vec<Name>,
    /// A name with at least so many full stops is tried as it is first, any other one last.
    pub(crate) ndots: usize,
}

// === impl Search ===

impl Search {
    /// The names to try, in their order. One that ends with a full stop is meant as it is.
    pub(crate) fn candidates(&self, name: &Name) -> Vec<Name> {
        let mut absolute = name.clone();
        absolute.set_fqdn(true);
        if name.is_fqdn() {
            return vec![absolute];
        }
        // A name that gets too long by what is appended cannot exist.
        let appended = self.domains.iter().filter_map(|domain| name.clone().append_domain(domain).ok());
        let mut candidates: Vec<Name> = appended
            .map(|mut name| {
                name.set_fqdn(true);
                name
            })
            .collect();
        let dots = name.iter().count().saturating_sub(1);
        let place = if dots >= self.ndots { 0 } else { candidates.len() };
        candidates.insert(place, absolute);
        let mut tried: Vec<Name> = Vec::new();
        candidates.retain(|name| {
            let is_new = !tried.contains(name);
            tried.push(name.clone());
            is_new
        });
        candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, domains: &[&str], ndots: usize, expected: &[&str]) {
        let parse = |text: &&str| Name::from_ascii(text).unwrap();
        let search = Search { domains: domains.iter().map(parse).collect(), ndots };
        let found: Vec<_> = search.candidates(&parse(&name)).iter().map(Name::to_ascii).collect();
        assert_eq!(found, expected);
    }

    /// As resolv.conf(5) has it: absolute names are left alone, few full stops mean a name of the search list.
    #[test]
    fn order() {
        let kubernetes = ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local"];
        check("app.", &kubernetes, 5, &["app."]);
        check("app", &["a.example", "b.example"], 1, &["app.a.example.", "app.b.example.", "app."]);
        check("app.x", &["a.example"], 1, &["app.x.", "app.x.a.example."]);
        check("app", &["a.example"], 0, &["app.", "app.a.example."]);
        check("app", &[], 1, &["app."]);
        check("app", &["a.", "A.", "."], 1, &["app.a.", "app."]);
        let tried =
            ["app.x.ns.svc.cluster.local.", "app.x.svc.cluster.local.", "app.x.cluster.local.", "app.x."];
        check("app.x", &kubernetes, 5, &tried);
    }
}
