//! How fast bytes and requests leave a sandbox: through the gateway to a host on this machine, and without both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::bench::Plan;
use crate::config::{POLICY_OPEN, WORKSPACE};
use crate::failure::{Failure, failure};
use crate::fsync::Probe;
use crate::histogram::ms;
use crate::inside;
use crate::node::{Node, program};
use crate::process::Cpu;
use crate::site::Site;
use crate::table::{Bound, Cell, Table};

/// Of what is granted as a whole, and of what is granted by requests.
const PASSES: &str = "mover";
const SEEN: &str = "looker";

/// Syncs of the probe between two rounds.
const SYNCS: u32 = 10;

const COLUMNS: &[&str] =
    &["what", "clients", "direct", "through", "unit", "p50 / p99 ms", "node CPU ms", "of it system", "per"];

/// One kind of load.
struct Load {
    words: &'static str,
    what: &'static str,
    agent: &'static str,
    clients: usize,
    port: fn(&Site) -> u16,
    /// What has to be reached, in Gbit/s.
    goal: Option<f64>,
}

const fn load(words: &'static str, what: &'static str, clients: usize, port: fn(&Site) -> u16) -> Load {
    let agent = match what.as_bytes() {
        b"down" | b"up" => PASSES,
        _ => SEEN,
    };
    Load { words, what, agent, clients, port, goal: None }
}

const LOADS: [Load; 9] = [
    Load { goal: Some(5.0), ..load("passed through, in", "down", 1, |site| site.bytes) },
    Load { goal: Some(5.0), ..load("passed through, out", "up", 1, |site| site.bytes) },
    Load { goal: Some(1.0), ..load("TLS ends at the gateway, HTTP/1.1", "tls", 1, |site| site.https) },
    Load { goal: Some(1.0), ..load("TLS ends at the gateway, HTTP/2", "tls2", 1, |site| site.https) },
    load("requests, HTTP/1.1", "http", 1, |site| site.http),
    load("requests, HTTP/1.1", "http", 32, |site| site.http),
    load("requests, HTTP/1.1 in TLS", "https", 32, |site| site.https),
    load("requests, HTTP/2 in TLS", "https2", 1, |site| site.https),
    load("requests, HTTP/2 in TLS", "https2", 32, |site| site.https),
];

/// What came of a load, summed up.
#[derive(Default)]
struct Sum {
    count: f64,
    seconds: f64,
    p50: Duration,
    p99: Duration,
    cpu: Cpu,
}

pub async fn measure(plan: &Plan) -> Result<Table, Failure> {
    let folder = plan.fresh()?;
    let authority = folder.path().join("authority.pem");
    let site = Site::start(&authority)?;
    let client = write(folder.path(), site)?;
    let node = Node::start_with(folder.path(), &[("SSL_CERT_FILE", authority.clone())]).await?;
    let mut probe = Probe::new(folder.path())?;
    let long = plan.choose("3000", "1000");
    let mut table = Table::new("egress", "The way out of a sandbox, to a host on this machine", COLUMNS);
    for load in &LOADS {
        let (mut direct, mut through) = (Sum::default(), Sum::default());
        let job = [load.what, &(load.port)(&site).to_string(), long, &load.clients.to_string()];
        for _ in 0..plan.choose(5, 2) {
            let mut alone = Command::new(&client);
            alone.arg(inside::WORD).args(job).env(inside::DIRECT, "1").env("SSL_CERT_FILE", &authority);
            direct.add(&mut alone)?;
            let before = node.cpu()?;
            let mut boxed = Command::new(program()?);
            boxed.arg("--data").arg(folder.path().join("data"));
            through.add(boxed.args(["run", load.agent, "-w", WORKSPACE, "--"]).args(job))?;
            through.cpu = through.cpu.plus(node.cpu()?.since(before));
            probe.sample(SYNCS)?;
        }
        row(&mut table, load, &direct, &through);
    }
    table.fsync(probe.syncs());
    table.note(
        "one client program, on one thread; the host is one thread as well; CPU is the node's, all threads, without its children",
    );
    node.stop()?;
    Ok(table)
}

fn row(table: &mut Table, load: &Load, direct: &Sum, through: &Sum) {
    let is_bytes = through.p50.is_zero();
    // Bytes are counted in Gbit.
    let (unit, per, scale, digits) =
        if is_bytes { ("Gbit/s", "Gbit", 8e-9, 2) } else { ("requests/s", "request", 1.0, 0) };
    let rate = |sum: &Sum| sum.count * scale / sum.seconds;
    let cpu = through.cpu.total().as_secs_f64();
    let latency = format!("{:.2} / {:.2}", ms(through.p50), ms(through.p99));
    table.row(vec![
        Cell::from_text(load.words),
        Cell::Count(load.clients as u64),
        Cell::Figure(rate(direct), digits),
        Cell::Figure(rate(through), digits),
        Cell::from_text(unit),
        if is_bytes { Cell::None } else { Cell::from_text(latency) },
        Cell::Figure(cpu * 1e3 / (through.count * scale), 3),
        Cell::from_text(format!("{:.0} %", through.cpu.system.as_secs_f64() * 100.0 / cpu)),
        Cell::from_text(per),
    ]);
    if let Some(goal) = load.goal {
        table.goal(load.words, rate(through), Bound::Least(goal), "Gbit/s");
    }
}

// === impl Sum ===

impl Sum {
    /// Runs one client to its end; of the latencies the last one's are kept.
    fn add(&mut self, command: &mut Command) -> Result<(), Failure> {
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let done: Value = serde_json::from_str(said.lines().last().unwrap_or_default())
            .map_err(|_| failure(format!("{said}{}", String::from_utf8_lossy(&output.stderr))))?;
        let number = |name: &str| done[name].as_f64().unwrap_or_default();
        self.count += number("count");
        self.seconds += number("seconds");
        self.p50 = Duration::from_secs_f64(number("p50_us") / 1e6);
        self.p99 = Duration::from_secs_f64(number("p99_us") / 1e6);
        Ok(())
    }
}

/// Writes the configuration, and this program beside it. Returns where that is.
fn write(folder: &Path, site: Site) -> Result<PathBuf, Failure> {
    let files = folder.join("files");
    std::fs::create_dir(&files)?;
    let client = files.join("client");
    std::fs::copy(std::env::current_exe()?, &client)?;
    let agent = |name: &str, egress: String| {
        format!(
            "      {name}:
        egress: [{egress}]
        budget: {{ actions: 100000000 }}
        limits: {{ wall: 4h, concurrent: 256, repetition: off }}
        run: {{ command: [./client, {}], files: '{}' }}
",
            inside::WORD,
            files.display()
        )
    };
    let Site { bytes, http, https } = site;
    let config = format!(
        "organization: acme\nworkspaces:\n  {WORKSPACE}:\n    environment: staging\n    agents:\n{}{}    policy: [policy.yaml]\n",
        agent(PASSES, format!("'127.0.0.1:{bytes}'")),
        agent(SEEN, format!("'127.0.0.1:{http} * /*', '127.0.0.1:{https} * /*'")),
    );
    std::fs::write(folder.join("ringfence.yaml"), config)?;
    std::fs::write(folder.join("policy.yaml"), POLICY_OPEN)?;
    Ok(client)
}
