//! A real BEAM that runs with `-proto_dist inet_tls`, at an epmd of its own.

use std::process::{Child, Command, Stdio};

use rcgen::SanType;

use super::*;

const HOST: &str = "127.0.0.1";
/// How long anything may take, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often epmd is asked.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// What every release of OTP demands, without the flag that makes a node visible.
const FLAGS: u64 = 0x0005_0307_4fbc;

/// A node and its epmd, which end when this is dropped.
struct Beam {
    epmd_port: u16,
    _epmd: Ended,
    _node: Ended,
    _home: TempDir,
}

/// A process that is killed at the end.
struct Ended(Child);

// === impl Beam ===

impl Beam {
    /// Starts `beam@127.0.0.1` with these options of TLS for both of its sides; it evaluates that expression.
    fn start(options: &str, expression: &str) -> Self {
        needs("erl -noshell -eval 'halt().'", "erlang-base");
        let ssl = "erl -noshell -eval 'halt(case code:which(ssl) of non_existing -> 1; _ -> 0 end).'";
        needs(ssl, "erlang-ssl");
        let home = tempfile::tempdir().unwrap();
        let optfile = home.path().join("ssl_dist.conf");
        fs::write(&optfile, format!("[{{server, [{options}]}}, {{client, [{options}]}}].\n")).unwrap();
        let epmd_port = std::net::TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap().port();
        let epmd =
            quiet("epmd", &home).args(["-port", &epmd_port.to_string(), "-address", HOST]).spawn().unwrap();
        let epmd = Ended(epmd);
        let node = quiet("erl", &home)
            .args([
                "-noshell",
                "-noinput",
                "-start_epmd",
                "false",
                "-setcookie",
                "c",
                "-name",
                "beam@127.0.0.1",
            ])
            .args(["-proto_dist", "inet_tls", "-ssl_dist_optfile"])
            .arg(optfile)
            .args(["-eval", expression])
            .env("ERL_EPMD_PORT", epmd_port.to_string())
            .spawn()
            .unwrap();
        Self { epmd_port, _epmd: epmd, _node: Ended(node), _home: home }
    }

    /// A TCP connection to the node, once it is up.
    async fn dial(&self) -> TcpStream {
        let port = tokio::time::timeout(DEADLINE, async {
            loop {
                if let Some(port) = self.port() {
                    break port;
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        });
        TcpStream::connect((HOST, port.await.expect("the BEAM is not at epmd"))).await.unwrap()
    }

    fn port(&self) -> Option<u16> {
        let names =
            Command::new("epmd").args(["-port", &self.epmd_port.to_string(), "-names"]).output().unwrap();
        let names = String::from_utf8(names.stdout).unwrap();
        names
            .lines()
            .find_map(|line| line.strip_prefix("name beam at port "))
            .map(|port| port.parse().unwrap())
    }

    /// What the node answers to a name, inside TLS.
    async fn status(&self, config: Value) -> Result<Vec<u8>, TlsError> {
        let config = parse(config);
        let conversation = async {
            let mut stream = connect(&config, self.dial().await, HOST).await?;
            let said = async {
                stream.write_all(&send_name("probe@127.0.0.1")).await?;
                stream.flush().await?;
                frame(&mut stream).await
            };
            said.await.map_err(|err| config.handshake_error(err))
        };
        tokio::time::timeout(DEADLINE, Box::pin(conversation)).await.expect("the BEAM does not answer")
    }
}

// === impl Ended ===

impl Drop for Ended {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Fails where something is missing, and says in which package of Debian it is.
fn needs(command: &str, package: &str) {
    let found = Command::new("sh").args(["-c", command]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(
        found.is_ok_and(|found| found.success()),
        "package {package} is missing; `make test` installs what can be installed"
    );
}

fn quiet(program: &str, home: &TempDir) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.current_dir(home).env("HOME", home.path()).env("LC_ALL", "C.UTF-8");
    command
}

fn send_name(name: &str) -> Vec<u8> {
    let mut message = vec![b'N'];
    message.extend(FLAGS.to_be_bytes());
    message.extend(1_u32.to_be_bytes());
    message.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
    message.extend(name.as_bytes());
    [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()
}

/// Inside TLS the handshake's frames have lengths of four bytes too.
async fn frame(stream: &mut TlsStream<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; stream.read_u32().await?.try_into().unwrap()];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

/// A certificate that both sides accept: the address as such, and as the DNS name that OTP 25 looks for.
fn issue(pki: &Pki) -> String {
    pki.issue_with("node.pem", &[HOST], |params| {
        params.subject_alt_names.push(SanType::DnsName(HOST.to_owned().try_into().unwrap()));
    })
}

fn verify_peer(pki: &Pki, certfile: &str) -> String {
    let cacertfile = pki.path("ca.pem");
    format!(
        "{{certfile, {certfile:?}}}, {{cacertfile, {cacertfile:?}}}, {{verify, verify_peer}}, \
         {{fail_if_no_peer_cert, true}}"
    )
}

/// A BEAM that checks our certificate, as we check its, takes our name: with its default versions and with TLS 1.3.
/// Who shows it no certificate, or that of another CA, is refused and told so.
#[tokio::test]
async fn verify_peer_both_ways() {
    let (pki, stranger) = (Pki::new(), Pki::named("stranger"));
    let certfile = issue(&pki);
    let ours = pki.with(&certfile);
    for versions in ["", ", {versions, ['tlsv1.3']}"] {
        let beam = Beam::start(&(verify_peer(&pki, &certfile) + versions), "ok.");
        assert_eq!(beam.status(ours.clone()).await.unwrap(), b"sok");
        let silent = beam.status(json!({ "cacertfile": pki.path("ca.pem") })).await;
        says(silent.map(drop), if versions.is_empty() { "it may want one" } else { "no certfile to show" });
        let strange = set(ours.clone(), "certfile", json!(issue(&stranger)));
        says(beam.status(strange).await.map(drop), "its cacertfile does not have the CA");
        let suspicious = set(ours.clone(), "cacertfile", json!(stranger.path("ca.pem")));
        says(beam.status(suspicious).await.map(drop), "is signed by no CA");
        let misled = set(ours.clone(), "server_name_indication", json!("10.0.0.7"));
        says(beam.status(misled).await.map(drop), "is not for 10.0.0.7 but for ");
    }
}

/// Without checks on either side, any certificate of the BEAM does, and we need none.
#[tokio::test]
async fn verify_none_both_ways() {
    let pki = Pki::new();
    let beam = Beam::start(&format!("{{certfile, {:?}}}", pki.issue("node.pem", &["other"])), "ok.");
    assert_eq!(beam.status(json!({ "verify": "verify_none" })).await.unwrap(), b"sok");
}

/// A BEAM that dials us, and checks our certificate as we check its, says its name.
#[tokio::test]
async fn dialled_by_a_beam() {
    let pki = Pki::new();
    let certfile = issue(&pki);
    let ping = "F = fun(F) -> net_adm:ping('probe@127.0.0.1'), timer:sleep(50), F(F) end, F(F).";
    let beam = Beam::start(&verify_peer(&pki, &certfile), ping);
    let listener = TcpListener::bind((HOST, 0)).await.unwrap();
    drop(beam.dial().await);
    let _registered = register(beam.epmd_port, listener.local_addr().unwrap().port()).await;
    let config = parse(pki.with(&certfile));
    let conversation = Box::pin(async {
        let mut stream = accept(&config, listener.accept().await.unwrap().0).await.unwrap();
        frame(&mut stream).await.unwrap()
    });
    let said = tokio::time::timeout(DEADLINE, conversation).await.expect("the BEAM does not dial");
    assert!(said.starts_with(b"N") && said.ends_with(b"beam@127.0.0.1"), "{said:?}");
}

/// Registers `probe` at epmd for as long as the connection lives.
async fn register(epmd_port: u16, port: u16) -> TcpStream {
    let mut request = vec![120];
    request.extend(port.to_be_bytes());
    // A hidden node, TCP over IPv4, versions 6 to 5, five letters of a name, nothing more.
    request.extend([104, 0, 0, 6, 0, 5, 0, 5]);
    request.extend(b"probe\0\0");
    let mut epmd = TcpStream::connect((HOST, epmd_port)).await.unwrap();
    epmd.write_u16(u16::try_from(request.len()).unwrap()).await.unwrap();
    epmd.write_all(&request).await.unwrap();
    let mut answer = [0; 2];
    epmd.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[1], 0, "epmd refuses the name");
    epmd
}
