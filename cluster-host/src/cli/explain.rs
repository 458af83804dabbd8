//! `cluster-host explain`: for whoever is woken at three in the morning. The first line is the verdict, the rest is
//! what it rests on.

use std::{
    io::{self, Write},
    time::SystemTime,
};

use cluster_core::NodeName;
use hyper::StatusCode;

use clap::Args;

use super::{
    ApiArgs, Exit, Failure, complain,
    output::{Colour, age, count, headline, pairs, plain, until},
};
use crate::{
    api::json::{Attempt, Explanation, Link, Member, Members, Precision, Time, Topologies, Topology, Vouch},
    client::{Client, ClientError, encode},
    clock,
};

/// How many names a hint gives.
const HINTS_MAX: usize = 3;
/// How alike a name must be to be a hint, between 0 and 1.
const LIKENESS_MIN: f64 = 0.75;

/// Tell why a node is a member, or why it is not: who vouches for it, its links, the last tries
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cluster-host explain app@10.0.0.7\n  cluster-host explain app@10.0.0.7 --json"
)]
pub(super) struct ExplainArgs {
    /// The name of the node: name@host
    #[arg(value_name = "NODE")]
    node: String,
    #[command(flatten)]
    api: ApiArgs,
    /// Print what is known as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ExplainArgs, out: &mut dyn Write) -> Result<Exit, Failure> {
    let client = args.api.client()?;
    if let Err(error) = NodeName::check(&args.node) {
        complain(&format!("{error}{}", hint(&client, &args.node).await?));
        return Ok(Exit::Usage);
    }
    let body = match client.bytes(&format!("/v1/members/{}", encode(&args.node))).await {
        Err(ClientError::Refused { status: StatusCode::NOT_FOUND, detail }) => {
            let mut around = Vec::new();
            ask_around(&mut around, &client, &args.node).await?;
            let (hint, around) = (hint(&client, &args.node).await?, String::from_utf8_lossy(&around));
            complain(&format!("{detail}{hint}\n{}", around.trim_end()));
            return Ok(Exit::NotSo);
        }
        answer => answer?,
    };
    if args.json {
        out.write_all(&body)?;
        writeln!(out)?;
    } else {
        let known: Explanation<'_> = client.read(&body)?;
        print(out, &known, clock::now().wall, Colour::of_stdout())?;
        if known.member.is_none() {
            writeln!(out)?;
            ask_around(out, &client, &args.node).await?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// Of a node that nobody vouches for: who was asked, and who is like it.
async fn ask_around(out: &mut dyn Write, client: &Client, node: &str) -> Result<(), Failure> {
    let (topologies, members) = (client.bytes("/v1/topologies").await?, client.bytes("/v1/members").await?);
    let topologies: Topologies<'_> = client.read(&topologies)?;
    let members: Members<'_> = client.read(&members)?;
    print_around(out, node, (&topologies.topologies, &members.members), clock::now().wall)?;
    Ok(())
}

/// What would make a node known: a topology whose strategy names it.
pub(super) fn print_around(
    out: &mut dyn Write,
    node: &str,
    (topologies, members): (&[Topology<'_>], &[Member<'_>]),
    now: SystemTime,
) -> io::Result<()> {
    writeln!(out, "it would be known if one of these named it")?;
    for topology in topologies {
        let Topology { name, strategy, health, .. } = topology;
        let last = match topology.last_report {
            Some(at) => format!("last answered {} ago", age(at, now)),
            None => "never answered yet".to_owned(),
        };
        let names = count(usize::try_from(topology.members).unwrap_or(usize::MAX), "member");
        write!(out, "  {name}  {strategy}, {health}; {last}; names {names}")?;
        match topology.reason.as_deref() {
            Some(reason) => writeln!(out, ": {}", headline(reason))?,
            None => writeln!(out)?,
        }
    }
    let host = node.rsplit('@').next().unwrap_or_default();
    let there = members.iter().filter(|member| member.name.rsplit('@').next() == Some(host));
    let there: Vec<String> = there.map(|member| format!("{} ({})", member.name, member.state)).collect();
    if !there.is_empty() {
        writeln!(out, "at its host is {}", plain(&there.join(", ")))?;
    }
    writeln!(out, "run 'cluster-host doctor --config FILE --node {}' to look for the cause", plain(node))
}

/// `; did you mean app@10.0.0.7?`
pub(super) async fn hint(client: &Client, name: &str) -> Result<String, Failure> {
    let body = client.bytes("/v1/members").await?;
    let answer: Members<'_> = client.read(&body)?;
    let nearest = nearest(name, answer.members.iter().map(|member| &*member.name));
    Ok(if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) })
}

/// The names most like this one, the likest first.
pub(super) fn nearest<'a>(name: &str, members: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let whole = name.contains('@');
    let likeness = |member: &str| {
        // Half a name is compared with the halves.
        let halves = member.split_once('@').filter(|_| !whole).unwrap_or((member, member));
        strsim::jaro_winkler(name, halves.0).max(strsim::jaro_winkler(name, halves.1))
    };
    let mut alike: Vec<(f64, &str)> = members.map(|member| (likeness(member), member)).collect();
    alike.retain(|(likeness, _)| *likeness >= LIKENESS_MIN);
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    alike.into_iter().map(|(_, member)| member).take(HINTS_MAX).collect()
}

pub(super) fn print(
    out: &mut dyn Write,
    known: &Explanation<'_>,
    now: SystemTime,
    colour: Colour,
) -> io::Result<()> {
    writeln!(out, "{}", colour.bold(&plain(&verdict(known, now))))?;
    if let Some(member) = &known.member {
        writeln!(out, "\n  state        {} since {}", colour.word(&member.state), when(member.since, now))?;
        for (title, text) in [
            ("incarnation", member.incarnation.map(|number| number.to_string()).unwrap_or_default()),
            ("addresses", member.addresses.join(" ")),
            ("attributes", pairs(member.attributes.iter())),
        ] {
            if !text.is_empty() {
                writeln!(out, "  {title:<11}  {}", plain(&text))?;
            }
        }
    }
    if !known.vouches.is_empty() {
        writeln!(out, "\nvouched for by")?;
    }
    for vouch in &known.vouches {
        print_vouch(out, vouch, now)?;
    }
    if !known.links.is_empty() {
        writeln!(out, "\nlinks")?;
    }
    for link in &known.links {
        print_link(out, link, now, colour)?;
    }
    if !known.dead.is_empty() {
        writeln!(out, "\nknown to be dead, and cannot come back")?;
    }
    for dead in &known.dead {
        writeln!(out, "  incarnation {}, says {}", dead.incarnation, dead.topology)?;
    }
    Ok(())
}

/// One sentence: what it is, why, and what comes next.
fn verdict(known: &Explanation<'_>, now: SystemTime) -> String {
    let Some(member) = &known.member else {
        return no_member(known);
    };
    let this = if member.is_self { " (this node)" } else { "" };
    let long = age(member.since, now);
    let never = if member.state == "discovered" { ", never linked yet" } else { "" };
    let (whom, next) = match &*member.state {
        "up" if member.is_self => (String::new(), String::new()),
        "up" => (by_whom(known), String::new()),
        _ => (String::new(), next_try(&known.links, now)),
    };
    let failure = known.links.iter().filter(|_| member.state != "up").find_map(last_failure);
    let reason = member.reason.as_deref().or(failure).map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}{this} has been {} for {long}{never}{whom}{reason}{next}.", known.name, member.state)
}

fn no_member(known: &Explanation<'_>) -> String {
    let link = known.links.iter().find(|link| link.state == "up");
    let dead = known.dead.iter().map(|dead| dead.incarnation).max();
    let though = match (link, dead) {
        (Some(link), _) => format!(", though {} has a link to it", link.connector),
        (None, Some(dead)) => format!(", and incarnation {dead} is known to be dead"),
        (None, None) => String::new(),
    };
    format!("{} is not a member: nobody vouches for it{though}.", known.name)
}

/// `; next try in 5s`
fn next_try(links: &[Link<'_>], now: SystemTime) -> String {
    match links.iter().filter_map(|link| link.next_attempt).min().map(|next| until(next, now)) {
        None => String::new(),
        Some(None) => "; next try is due".to_owned(),
        Some(Some(wait)) => format!("; next try in {wait}"),
    }
}

/// `, linked by erlang` or `, as gossip says`
fn by_whom(known: &Explanation<'_>) -> String {
    let linked: Vec<&str> =
        known.links.iter().filter(|link| link.state == "up").map(|link| &*link.connector).collect();
    let vouching: Vec<&str> = known.vouches.iter().map(|vouch| &*vouch.topology).collect();
    match (linked.is_empty(), vouching.is_empty()) {
        (false, _) => format!(", linked by {}", linked.join(" and ")),
        (true, false) => format!(", by the word of {}", vouching.join(" and ")),
        (true, true) => String::new(),
    }
}

fn last_failure<'a>(link: &'a Link<'_>) -> Option<&'a str> {
    link.attempts.last()?.failure.as_deref()
}

fn print_vouch(out: &mut dyn Write, vouch: &Vouch<'_>, now: SystemTime) -> io::Result<()> {
    let expires = match vouch.expires {
        None => "for ever".to_owned(),
        Some(_) if vouch.stale => "expired, kept because the link is up".to_owned(),
        Some(expires) => match until(expires, now) {
            Some(left) => format!("ends in {left} unless renewed"),
            None => "ends now unless renewed".to_owned(),
        },
    };
    writeln!(
        out,
        "  {}  since {}; renewed {} ago; {expires}",
        vouch.topology,
        when(vouch.since, now),
        age(vouch.renewed, now)
    )?;
    let node = &vouch.node;
    let says = [
        node.addresses.join(" "),
        node.incarnation.map(|number| format!("incarnation {number}")).unwrap_or_default(),
        pairs(&node.attributes),
    ];
    let says: Vec<String> = says.into_iter().filter(|text| !text.is_empty()).collect();
    if !says.is_empty() {
        writeln!(out, "    says: {}", plain(&says.join(", ")))?;
    }
    if node.leaving {
        writeln!(out, "    says that it is leaving")?;
    }
    if vouch.remembered {
        writeln!(
            out,
            "    remembered from before the restart of the host: its source has not named it since"
        )?;
    }
    match vouch.absent_rounds {
        0 => {}
        1 => writeln!(out, "    not in its last complete view")?,
        rounds => writeln!(out, "    not in its last {rounds} complete views")?,
    }
    if let Some(held) = vouch.held_until {
        writeln!(
            out,
            "    its withdrawal is held by the prune policy until {}",
            held.to_text(Precision::Seconds)
        )?;
    }
    Ok(())
}

fn print_link(out: &mut dyn Write, link: &Link<'_>, now: SystemTime, colour: Colour) -> io::Result<()> {
    write!(out, "  {}  {} since {}", link.connector, colour.word(&link.state), when(link.since, now))?;
    if link.failures > 0 {
        let plural = if link.failures == 1 { "" } else { "s" };
        write!(out, "; {} failure{plural}", link.failures)?;
    }
    writeln!(out, "{}", next_try(std::slice::from_ref(link), now))?;
    if let Some(reason) = &link.kept {
        writeln!(out, "    kept by its connector: {}", plain(reason))?;
    }
    for Attempt { at, failure } in link.attempts.iter().rev() {
        let outcome = failure.as_ref().map_or_else(|| "succeeded".to_owned(), |why| format!("failed: {why}"));
        writeln!(out, "    {:>5} ago  {}", age(*at, now), plain(&outcome))?;
    }
    Ok(())
}

/// `2026-01-01T00:00:00Z (5m)`
fn when(time: Time, now: SystemTime) -> String {
    format!("{} ({})", time.to_text(Precision::Seconds), age(time, now))
}
