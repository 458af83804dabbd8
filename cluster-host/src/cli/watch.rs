//! `cluster-host members --watch`: the members as they are now, for as long as somebody looks.
//!
//! ```text
//! Follower: the stream, again when it is lost ──News──► Watch: the fold ──► a screen, or lines
//! ```
//!
//! On a terminal it is a table in a screen of its own, drawn anew when something has changed and once a second, as ages
//! go on. Anywhere else it is the table once and then a line for each event, or with `--json` the events as they come.

mod screen;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    pin::pin,
    time::{Duration, SystemTime},
};

use hyper::body::Bytes;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};

use self::screen::{Screen, Size};
use super::{
    Exit, Failure, events,
    follow::{Complaints, Follower, News, unread},
    members,
    output::{Colour, Table, age, count, headline},
};
use crate::{
    api::json::{Event, Member, Time, Topologies, Topology},
    client::{Client, ClientError},
    clock,
};

/// Inputs that wait to be taken.
const INPUTS_MAX: usize = 256;
/// How often the screen is drawn at most,
const DRAW_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// and, as ages go on, at least.
const DRAW_INTERVAL: Duration = Duration::from_secs(1);
/// How often the topologies are asked for where no event asks for it. It is also a sign that the daemon lives.
const TOPOLOGIES_INTERVAL: Duration = Duration::from_secs(10);
/// Topologies that the top line names.
const TOPOLOGIES_NAMED_MAX: usize = 8;

/// What a screen is made of.
#[derive(Debug)]
enum Input {
    News(News),
    /// The answer to a question beside the stream.
    Topologies(Result<Bytes, ClientError>),
}

/// What is known of the cluster.
#[derive(Debug, Default)]
struct Watch {
    members: BTreeMap<String, Member<'static>>,
    topologies: Vec<Topology<'static>>,
    /// Why the stream of events has ended, and since when.
    lost: Option<(String, SystemTime)>,
    /// Why a question has no answer, and since when: a daemon that hangs ends no stream.
    silent: Option<(String, SystemTime)>,
}

/// What ends a command that would go on for ever.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

pub(super) async fn run(client: Client, is_json: bool, out: &mut dyn Write) -> Result<Exit, Failure> {
    let interruption = Interruption::new()?;
    let follower = Follower::begin(client.clone(), None).await?;
    if !is_json && screen::is_possible() {
        draw(&client, follower, interruption, out).await?;
    } else {
        tell(&client, is_json, follower, interruption, out).await?;
    }
    Ok(Exit::Done)
}

/// A line for each event, below the table of the members.
async fn tell(
    client: &Client,
    is_json: bool,
    mut follower: Follower,
    mut interruption: Interruption,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut is_first = true;
    let mut complaints = Complaints::default();
    let mut unread = pin!(unread());
    loop {
        let new = tokio::select! {
            () = interruption.comes() => return Ok(()),
            () = &mut unread => return Ok(()),
            new = follower.next() => new,
        };
        match new {
            News::Lost(error) => complaints.lost(&error),
            News::Found => complaints.found(),
            News::Event(event) if is_json => writeln!(out, "{}", event.data)?,
            News::Event(event) => {
                let event: Event<'_> = client.read(event.data.as_bytes())?;
                match &event.members {
                    Some(members) if is_first => {
                        members::print(out, members, clock::now().wall, Colour::Never)?;
                    }
                    _ => events::print(out, &event, Colour::Never)?,
                }
                is_first = false;
            }
        }
        // Others wait for the line.
        out.flush()?;
    }
}

/// The table on a terminal.
async fn draw(
    client: &Client,
    mut follower: Follower,
    mut interruption: Interruption,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut resized = signal(SignalKind::window_change())?;
    let mut asking = tokio::time::interval(TOPOLOGIES_INTERVAL);
    asking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_asked = false;
    let (sender, mut inputs) = mpsc::channel(INPUTS_MAX);
    let passing_on = sender.clone();
    // It ends with this command, or when nobody takes what it has to say.
    tokio::spawn(async move { while passing_on.send(Input::News(follower.next().await)).await.is_ok() {} });
    let mut screen = Screen::enter(out)?;
    let colour = Colour::of_stdout();
    let mut watch = Watch::default();
    let mut due = Instant::now() + DRAW_INTERVAL_MIN;
    let mut drawn = Instant::now();
    loop {
        tokio::select! {
            () = interruption.comes() => return Ok(()),
            input = inputs.recv() => {
                let Some(input) = input else { return Ok(()) };
                is_asked &= !matches!(input, Input::Topologies(_));
                if watch.take(input, client)? {
                    asking.reset_immediately();
                }
                due = due.min(drawn + DRAW_INTERVAL_MIN);
            }
            _tick = asking.tick(), if !is_asked => {
                is_asked = true;
                let (client, sender) = (client.clone(), sender.clone());
                tokio::spawn(async move {
                    let answer = client.bytes("/v1/topologies").await;
                    // Where nobody looks any more nobody needs it.
                    let _unsent = sender.send(Input::Topologies(answer)).await;
                });
            }
            _resized = resized.recv() => due = Instant::now(),
            () = tokio::time::sleep_until(due) => {
                screen.draw(&watch.lines(clock::now().wall, Size::of_stdout(), colour))?;
                drawn = Instant::now();
                due = drawn + DRAW_INTERVAL;
            }
        }
    }
}

// === impl Watch ===

impl Watch {
    /// Takes it in. Says whether the topologies have to be asked for.
    fn take(&mut self, input: Input, client: &Client) -> Result<bool, ClientError> {
        match input {
            Input::News(News::Lost(error)) => {
                self.lost.get_or_insert_with(|| (String::new(), clock::now().wall)).0 = error.to_string();
                Ok(false)
            }
            Input::News(News::Found) => {
                (self.lost, self.silent) = (None, None);
                Ok(true)
            }
            Input::Topologies(Ok(answer)) => {
                self.topologies = client.read::<Topologies<'static>>(&answer)?.topologies;
                self.silent = None;
                Ok(false)
            }
            Input::Topologies(Err(error)) => {
                self.silent.get_or_insert_with(|| (error.to_string(), clock::now().wall));
                Ok(false)
            }
            Input::News(News::Event(event)) => {
                self.silent = None;
                Ok(self.apply(client.read(event.data.as_bytes())?))
            }
        }
    }

    fn apply(&mut self, event: Event<'static>) -> bool {
        if let Some(members) = event.members {
            self.members = members.into_iter().map(|member| (member.name.to_string(), member)).collect();
            return true;
        }
        match (event.node, event.member) {
            (Some(_), Some(member)) => {
                self.members.insert(member.name.to_string(), member);
                false
            }
            (Some(node), None) => {
                self.members.remove(&*node);
                false
            }
            (None, _) => true,
        }
    }

    /// What the terminal shows: how it is at a glance, then the members, those that are not up first.
    fn lines(&self, now: SystemTime, size: Size, colour: Colour) -> Vec<String> {
        let mut lines = vec![self.glance(colour)];
        if let Some((why, since)) = self.lost.as_ref().or(self.silent.as_ref()) {
            let ago = age(Time(*since), now);
            lines.push(colour.bold(&headline(&format!("{why}; this is as of {ago} ago, it is tried again"))));
        }
        lines.push(String::new());
        let (up, others): (Vec<_>, Vec<_>) = self.members.values().partition(|member| member.state == "up");
        // The titles, and the line that says how many more there are.
        let room = usize::from(size.rows).saturating_sub(lines.len() + 1);
        let all = others.len() + up.len();
        let shown = if all <= room { all } else { room.saturating_sub(1) };
        let mut table: Table = members::table();
        for member in others.into_iter().chain(up).take(shown) {
            members::row(&mut table, member, now);
        }
        lines.extend(table.lines(colour, Some(size.columns.into())));
        if shown < all {
            lines.push(format!("… and {} more", all - shown));
        }
        lines.truncate(size.rows.into());
        lines
    }

    /// `7 members: 5 up, 2 down   office running · lan degraded: no interface`
    fn glance(&self, colour: Colour) -> String {
        let states = ["up", "discovered", "down", "leaving"].map(|state| {
            let number = self.members.values().filter(|member| member.state == state).count();
            (number > 0).then(|| format!("{number} {}", colour.word(state)))
        });
        let states: Vec<String> = states.into_iter().flatten().collect();
        let colon = if states.is_empty() { "" } else { ": " };
        let members = colour.bold(&count(self.members.len(), "member"));
        let mut named: Vec<&Topology<'_>> = self.topologies.iter().collect();
        named.sort_by_key(|topology| topology.health == "running");
        let topologies = named.iter().take(TOPOLOGIES_NAMED_MAX).map(|topology| {
            let reason = topology.reason.as_deref().filter(|_| topology.health != "running");
            let reason = reason.map(|reason| format!(": {}", headline(reason))).unwrap_or_default();
            format!("{} {}{reason}", topology.name, colour.word(&topology.health))
        });
        let topologies: Vec<String> = topologies.collect();
        format!("{members}{colon}{}   {}", states.join(", "), topologies.join(" · ")).trim_end().to_owned()
    }
}

// === impl Interruption ===

impl Interruption {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn comes(&mut self) {
        tokio::select! {
            _signal = self.interrupt.recv() => {}
            _signal = self.terminate.recv() => {}
            _signal = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
