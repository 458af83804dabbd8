//! Hooks: events that a command and a server are told of, beside a plain loop that runs the same command and posts the
//! same bytes by hand. What a hook does besides: following the log, filtering, writing the document, counting, and keeping
//! how far it is on the disk.
//!
//! The server is a thread that reads each request whole and answers at once, the same for both.

use std::{
    error::Error,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use benches::{PATIENCE, Table, ns_each, rounds, wall};
use cluster_host::{Config, Host, Registry, api::Source as _};

/// Events that a command is told of, for one figure.
const COMMANDS: usize = 500;
/// Events that are posted, for one figure.
const POSTS: usize = 5_000;
/// How often is looked whether all is done.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let mut table = Table::new("hooks");
    if let Err(error) = measure(&mut table) {
        table.check(&error.to_string(), false);
    }
    table.exit()
}

fn measure(table: &mut Table) -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    // What a hook is given, so that both send the same.
    let sample = scratch.path().join("sample");
    let keep = format!("command = ['sh', '-c', 'cat > {}']", sample.display());
    hook_ns(scratch.path(), 1, &keep)?;
    let document = fs::read(&sample)?;
    table.note(&format!("a document has {} bytes", document.len()));

    let mut failed = Ok(());
    let mut told = |figure: Result<f64, Box<dyn Error>>| {
        figure.unwrap_or_else(|error| {
            failed = Err(error);
            f64::NAN
        })
    };
    let commands = rounds(|| {
        let ours = told(hook_ns(scratch.path(), COMMANDS, "command = ['true']"));
        [ours, told(by_hand_ns(COMMANDS, || run(&document)))]
    });
    let address = serve()?;
    let post = format!("post = 'http://{address}/events'");
    let posts = rounds(|| {
        let ours = told(hook_ns(scratch.path(), POSTS, &post));
        let mut connection = TcpStream::connect(&address).map(BufReader::new);
        let by_hand = by_hand_ns(POSTS, || match &mut connection {
            Ok(connection) => send(connection, &document),
            Err(error) => Err(error.kind().into()),
        });
        [ours, told(by_hand)]
    });
    failed?;
    table.ratio("an event to a command", commands[0], ("the command by hand", commands[1]), Some(1.5));
    table.ratio("an event to a server", posts[0], ("a POST by hand", posts[1]), Some(4.0));
    let each_second = |ns: f64| 1e9 / ns;
    table.note(&format!(
        "events each second: {:.0} to a command, {:.0} to a server",
        each_second(commands[0]),
        each_second(posts[0])
    ));
    Ok(())
}

/// Nanoseconds for each of so many events, from the start of the host until a hook has been told of all.
fn hook_ns(scratch: &Path, count: usize, action: &str) -> Result<f64, Box<dyn Error>> {
    let state = tempfile::tempdir_in(scratch)?;
    let nodes: Vec<String> = (0..count).map(|index| format!("node{index}@127.0.0.1")).collect();
    let config = format!(
        "state.directory = {:?}\n[topologies.bench]\nstrategy = \"fixed\"\nconnect = \"none\"\nconfig = {{ nodes = {nodes:?} }}\n\
         [[on_event]]\nname = \"bench\"\nevents = [\"node_up\"]\n{action}\n",
        state.path().display().to_string()
    );
    let problems = |problems: Vec<_>| format!("{problems:?}");
    let loaded = Config::parse(Path::new("bench.toml"), &config, &|_| None).map_err(problems)?;
    let registry = Registry::new().with_builtin(plugin_faulty::plugin())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = wall();
    runtime.block_on(async {
        let host = Host::builder(loaded.config, registry).start()?;
        let delivered = || host.handle().hooks().first().map_or(0, |hook| hook.delivered);
        while delivered() < u64::try_from(count)? {
            if wall().saturating_sub(begin) > PATIENCE {
                return Err(format!("only {} of {count} events were told", delivered()).into());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        let taken = wall().saturating_sub(begin);
        host.stop().await;
        Ok(ns_each(taken, count))
    })
}

/// Nanoseconds for each of so many repetitions.
fn by_hand_ns(count: usize, mut once: impl FnMut() -> io::Result<()>) -> Result<f64, Box<dyn Error>> {
    let begin = wall();
    for _ in 0..count {
        once()?;
    }
    Ok(ns_each(wall().saturating_sub(begin), count))
}

/// The command, with the same on its standard input and its output read.
fn run(document: &[u8]) -> io::Result<()> {
    let mut child =
        Command::new("true").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // It ends without reading.
        let _broken_pipe = input.write_all(document);
    }
    child.wait_with_output().map(drop)
}

/// A request on a connection that stays open, and its answer.
fn send(connection: &mut BufReader<TcpStream>, document: &[u8]) -> io::Result<()> {
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cloudevents+json\r\ncontent-length: {}\r\n\r\n",
        document.len()
    );
    connection.get_mut().write_all(&[head.as_bytes(), document].concat())?;
    read_head(connection).map(drop)
}

/// A server that takes all that is posted. It ends with this process.
fn serve() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

fn answer(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut body = vec![0; read_head(&mut stream)?];
        stream.read_exact(&mut body)?;
        stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
    }
}

/// Reads to the end of a head, and gives the length of the body.
fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<usize> {
    let mut length = 0;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    if line.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(length) }
}
