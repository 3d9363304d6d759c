//! TCP out of a sandbox to ports that are not the web's: a database, a mail server. What is held by host and port goes through
//! byte by byte; what is not is refused, and on record, also when the program only tries whether somebody answers.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringfence_tests::audit;
use ringfence_tests::config::{Config, OPEN_POLICY};
use ringfence_tests::node::Node;

/// What the agent does: a line for each thing that it tries.
const SCRIPT: &str = r"
import socket, sys
address, held, other = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def attempt(host, port, words):
    try:
        with socket.create_connection((host, port), 10) as s:
            s.settimeout(20)
            if words is None: return 'connected'
            greeting = s.recv(64)
            s.sendall(words); s.shutdown(socket.SHUT_WR)
            back = 0
            while part := s.recv(65536): back += len(part)
            return f'{greeting!r} and {back} bytes'
    except OSError as error:
        return type(error).__name__

print(attempt(address, held, b'\0\1' * 500_000))
for host, port in [(address, other), ('db.example', 5433), ('db.example', 5432)]:
    said = attempt(host, port, b'\0startup')
    # An end or an error, at one step or the next, and never a word of a server's.
    print(said if '220' in said or said == 'ConnectionRefusedError' else 'nothing')
print(attempt('198.51.100.7', 22, None))
print(attempt('127.0.0.1', other, None))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.settimeout(10); udp.connect((address, held))
try: udp.send(b'x'); udp.recv(9)
except OSError as error: print(type(error).__name__)
";

/// An address of this machine that is not loopback, which inside a sandbox is everybody's own.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Nothing is sent: the machine only says by which address it would be.
    socket.connect("203.0.113.1:9").unwrap();
    socket.local_addr().unwrap().ip()
}

/// A server that speaks first and then says everything back: its port, and how many have come.
fn a_server() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let come = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&come);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                stream.write_all(b"220 hello\r\n").unwrap();
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                let _ = stream.write_all(&all);
            });
        }
    });
    (port, come)
}

#[tokio::test]
async fn any_port_that_is_held_is_reached_and_any_other_is_refused_on_the_record() {
    let (address, (held, come), (other, uninvited)) = (own_address(), a_server(), a_server());
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("agent.py"), SCRIPT).unwrap();
    let command = format!("[python3, agent.py, '{address}', '{held}', '{other}']");
    let keys = [
        format!("egress: ['{address}:{held}', 'db.example:5432']"),
        format!("run: {{ command: {command}, files: '{}' }}", files.path().display()),
    ];
    let node = Node::start(&Config::of_agent(&keys, OPEN_POLICY)).await;
    let said = node.cli(&["run", "assistant", "-w", "lab"]).await.expect(0);
    let expected = [
        r"b'220 hello\r\n' and 1000000 bytes",
        // Refused, refused, and held by a name that nobody knows outside.
        "nothing",
        "nothing",
        "nothing",
        "connected",
        "ConnectionRefusedError",
        "ConnectionRefusedError",
    ];
    assert_eq!(said.stdout.lines().collect::<Vec<_>>(), expected, "{said:?}");
    assert_eq!((come.load(Ordering::SeqCst), uninvited.load(Ordering::SeqCst)), (1, 0));

    let places = |entries: &[serde_json::Value]| {
        let place =
            |entry: &serde_json::Value| Some((entry["host"].as_str()?.to_owned(), entry["port"].as_u64()?));
        entries.iter().filter_map(place).collect::<Vec<_>>()
    };
    let cleared = audit::at_least(&node, "intent", 2).await;
    let address = address.to_string();
    assert_eq!(places(&cleared), [(address.clone(), held.into()), ("db.example".to_owned(), 5_432)]);
    let mut refused = places(&audit::at_least(&node, "refusal", 4).await);
    refused.sort();
    let mut expected = [
        (address.clone(), other.into()),
        // What is held is TCP.
        (address, held.into()),
        ("198.51.100.7".to_owned(), 22),
        ("db.example".to_owned(), 5_433),
    ];
    expected.sort();
    assert_eq!(refused, expected);
    let outcomes = audit::at_least(&node, "outcome", 2).await;
    let statuses: Vec<_> = outcomes.iter().filter_map(|entry| entry["status"].as_str()).collect();
    assert_eq!(statuses, ["completed", "not_sent"], "{outcomes:?}");
    audit::verify(&node).await;
}

/// Takes bytes that come slowly, writes nothing meanwhile, and then waits for one that never comes.
const PATIENT: &str = r"
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
s.settimeout(None)
taken = 0
while taken < 25: taken += len(s.recv(1))
print(taken, flush=True)
s.recv(1)
";

/// A server that sends 25 bytes, five a second, and then nothing more: its port.
fn a_slow_server() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                for _ in 0..25 {
                    std::thread::sleep(std::time::Duration::from_millis(200));
                    let _ = stream.write_all(b"x");
                }
                let _ = stream.read_to_end(&mut Vec::new());
            });
        }
    });
    port
}

#[tokio::test]
async fn who_takes_bytes_is_not_idle_and_a_connection_that_idleness_ends_says_so() {
    let (address, port) = (own_address(), a_slow_server());
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("agent.py"), PATIENT).unwrap();
    let keys = [
        format!("egress: ['{address}:{port}']"),
        "limits: { idle: 2s }".to_owned(),
        format!(
            "run: {{ command: [python3, agent.py, '{address}', '{port}'], files: '{}' }}",
            files.path().display()
        ),
    ];
    let node = Node::start(&Config::of_agent(&keys, OPEN_POLICY)).await;
    let said = node.cli(&["run", "assistant", "-w", "lab"]).await;
    assert_eq!(said.stdout, "25\n", "{said:?}");
    let why = "it neither wrote nor did anything for 2s";
    assert!(said.code != Some(0) && said.stderr.contains(why), "{said:?}");
    let outcomes = audit::at_least(&node, "outcome", 1).await;
    let expected = format!("cut off because the run ended: {why}");
    assert_eq!((&outcomes[0]["status"], &outcomes[0]["reason"]), (&"cancelled".into(), &expected.into()));
    audit::verify(&node).await;
}

/// Sends UDP to each, again and again, and says what became of it.
const DATAGRAMS: &str = r"
import socket
def send(host, port, times):
    said = set()
    for _ in range(times):
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as s:
            s.settimeout(10); s.connect(address)
            try: s.send(b'x' * 1200); said.add(s.recv(9))
            except OSError as error: said.add(type(error).__name__)
    print(*said)

send('held.example', 443, 40)
send('198.51.100.7', 9999, 1)
send('2001:db8::7', 443, 1)
send('2001:db8::7', 9999, 1)
send('127.0.0.1', 9999, 1)
";

#[tokio::test]
async fn udp_is_refused_at_once_on_the_record_and_counted() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("agent.py"), DATAGRAMS).unwrap();
    let keys = [
        "egress: ['held.example:443', '198.51.100.7:9999']".to_owned(),
        format!("run: {{ command: [python3, agent.py], files: '{}' }}", files.path().display()),
    ];
    let node = Node::start(&Config::of_agent(&keys, OPEN_POLICY)).await;
    let said = node.cli(&["run", "assistant", "-w", "lab"]).await.expect(0);
    assert_eq!(said.stdout.lines().collect::<Vec<_>>(), ["ConnectionRefusedError"; 5], "{said:?}");

    let counted = |entries: &[serde_json::Value]| {
        let mut all = std::collections::BTreeMap::<(String, u64), u64>::new();
        for entry in entries {
            let place = (entry["host"].as_str().unwrap().to_owned(), entry["port"].as_u64().unwrap());
            *all.entry(place).or_default() += entry["count"].as_u64().unwrap_or(1);
        }
        all
    };
    let expected = [
        ("198.51.100.7", 9_999, 1),
        ("2001:db8::7", 443, 1),
        ("2001:db8::7", 9_999, 1),
        ("held.example", 443, 40),
    ]
    .map(|(host, port, count)| ((host.to_owned(), port), count));
    let mut refused = Vec::new();
    // Those that repeat are counted, and written when they have stopped.
    for _ in 0..600 {
        refused = audit::at_least(&node, "refusal", 4).await;
        if counted(&refused).values().sum::<u64>() >= 43 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(counted(&refused).into_iter().collect::<Vec<_>>(), expected, "{refused:?}");
    assert!(refused.iter().all(|entry| entry["code"] == "not_granted"), "{refused:?}");
    assert!(
        refused.iter().all(|entry| entry["reason"].as_str().is_some_and(|reason| reason.contains("UDP")))
    );
    audit::verify(&node).await;
}
