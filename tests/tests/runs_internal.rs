//! Services of a company: names that lead into a private network, and certificates of an authority that the web does not know.
//! They are reached where the configuration says so and the agent holds them, and nowhere else.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

use std::process::Command;

use ringfence_tests::audit;
use ringfence_tests::company::{ADDRESS, Company, LINK_LOCAL, NEAR_END, own_address};
use ringfence_tests::config::{Config, OPEN_POLICY};
use ringfence_tests::limits::EFFECT;
use ringfence_tests::node::Node;
use ringfence_tests::patience::eventually;

/// What the agent does: it asks each host for a page, and says what it was answered.
const SCRIPT: &str =
    r#"for url in "$@"; do echo "$(curl -sS -m 30 -w ' %{http_code}' "$url" 2>&1 | tr '\n' ' ')"; done"#;

/// A node whose agent asks for `urls`, in the world that is said. Beside the configuration stands the authority's certificate.
fn config(world: &str, egress: &str, urls: &[String], authority: &str) -> Config {
    let urls = [vec![String::new()], urls.to_vec()].concat().join(", ");
    let config = format!(
        "organization: acme
egress: {{ {world} }}
workspaces:
  lab:
    environment: test
    agents:
      assistant:
        egress: [{egress}]
        run: {{ command: [sh, agent.sh{urls}], files: files }}
    policy: [policy.yaml]
"
    );
    let files = vec![
        ("ringfence.yaml", config),
        ("policy.yaml", OPEN_POLICY.to_owned()),
        ("company-ca.pem", authority.to_owned()),
    ];
    Config { files }
}

/// Starts a node whose agent has its script.
async fn start(config: &Config) -> (Node, tempfile::TempDir) {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("agent.sh"), SCRIPT).unwrap();
    let mut config = config.clone();
    config.files[0].1 =
        config.files[0].1.replace("files: files", &format!("files: '{}'", files.path().display()));
    (Node::start(&config).await, files)
}

/// What the agent was answered, a line for each URL.
async fn says(node: &Node) -> Vec<String> {
    let said = node.cli(&["run", "assistant", "-w", "lab"]).await.expect(0);
    said.stdout.lines().map(str::to_owned).collect()
}

/// The addresses of a page of these hosts.
fn urls(hosts: &[&str], path: &str) -> Vec<String> {
    hosts.iter().map(|host| format!("https://{host}{path}")).collect()
}

fn is_answered(said: &str) -> bool {
    said == "from the company  200"
}

fn is_refused(said: &str, why: &str) -> bool {
    said.ends_with(" 502") && said.contains(why)
}

const NAMES: [(&str, &str); 5] = [
    ("git.corp", ADDRESS),
    ("other.corp", ADDRESS),
    ("fixed.corp", LINK_LOCAL),
    ("link.corp", LINK_LOCAL),
    ("own.corp", NEAR_END),
];

#[tokio::test]
async fn names_lead_into_a_private_network_only_as_written_and_never_to_what_is_link_local() {
    let test = "names_lead_into_a_private_network_only_as_written_and_never_to_what_is_link_local";
    let Some(company) = Company::beside(test, &NAMES) else { return };
    // From outside of a sandbox all of it is there, also where clouds have the keys of machines.
    for host in ["git.corp", "link.corp"] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-m", "30", "--cacert"]).arg(company.authority_file());
        let said = curl.arg(format!("https://{host}/control")).output().unwrap();
        assert_eq!(said.stdout, b"from the company\n", "{}", String::from_utf8_lossy(&said.stderr));
    }
    let hosts = NAMES.map(|(name, _)| name);
    let egress = "'*.corp GET /ok/*'";
    let addresses = format!(
        "addresses: {{ git.corp: system, fixed.corp: {ADDRESS}, link.corp: system, own.corp: system }}"
    );
    let all = [urls(&hosts, "/ok/x"), urls(&hosts[..1], "/no")].concat();
    let world = format!("authorities: company-ca.pem, {addresses}");
    let (node, _files) = start(&config(&world, egress, &all, &company.authority())).await;
    let said = says(&node).await;
    let [git, other, fixed, link, own, no] = &said[..] else { panic!("{said:#?}") };
    assert!(is_answered(git) && is_answered(fixed), "{said:#?}");
    assert!(is_refused(other, "not on the internet"), "{other}");
    for near in [link, own] {
        assert!(is_refused(near, "neither on the internet nor in a private network"), "{near}");
    }
    assert!(no.ends_with(" 403"), "{no}");
    let outcomes = audit::at_least(&node, "outcome", 5).await;
    let mut statuses: Vec<_> = outcomes.iter().filter_map(|entry| entry["status"].as_str()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["completed", "completed", "not_sent", "not_sent", "not_sent"], "{outcomes:?}");
    audit::verify(&node).await;
    drop(node);
    let script = "for tool in 'curl -sS -m 30' 'wget -qO- -T 30 -t 1'; do env -i $tool https://git.corp/ok/y 2>&1; done";
    for driver in ["local", "runc", "crun"] {
        let mut config = config(&world, egress, &[], &company.authority());
        config.files[0].1 = config.files[0].1.replace("run: {", &format!("run: {{ driver: {driver},"));
        let (node, files) = start(&config).await;
        std::fs::write(files.path().join("agent.sh"), script).unwrap();
        assert_eq!(
            says(&node).await,
            ["from the company"; 2],
            "{driver}: also who heeds no variable trusts it"
        );
    }

    // Without either half of it, nothing is reached.
    for (world, why) in [
        (addresses.as_str(), "certificate is not trusted"),
        ("authorities: company-ca.pem", "not on the internet"),
    ] {
        let asked = urls(&["git.corp"], "/ok/x");
        let (node, _files) = start(&config(world, egress, &asked, &company.authority())).await;
        let said = says(&node).await;
        assert!(is_refused(&said[0], why), "{said:?}");
    }
    // With both, what is not granted is as if it were not there.
    let (node, _files) =
        start(&config(&world, "'fixed.corp GET /ok/*'", &urls(&["git.corp"], "/ok/x"), &company.authority()))
            .await;
    let said = says(&node).await;
    assert!(said[0].contains("Could not resolve host"), "{said:?}");
    let asked = company.asked();
    let expected = ["git.corp /control", "link.corp /control", "git.corp /ok/x", "fixed.corp /ok/x"];
    assert_eq!(asked, [&expected[..], &["git.corp /ok/y"; 6]].concat());
}

#[tokio::test]
async fn a_file_of_authorities_is_read_again_when_it_changes_and_one_with_a_key_is_never_taken() {
    let (company, port) = Company::start(&["git.corp"]);
    let (other, _) = Company::start(&["git.corp"]);
    let host = format!("git.corp:{port}");
    let world = format!("authorities: [company-ca.pem], addresses: {{ git.corp: {} }}", own_address());
    let config = config(&world, &format!("'{host} GET /ok/*'"), &urls(&[&host], "/ok/x"), &other.authority());
    let (node, _files) = start(&config).await;
    let said = says(&node).await;
    assert!(is_refused(&said[0], "certificate is not trusted"), "{said:?}");

    let file = node.folder().join("company-ca.pem");
    std::fs::write(&file, company.authority()).unwrap();
    eventually(EFFECT, "the company to be trusted", async || {
        is_answered(&says(&node).await[0]).then_some(())
    })
    .await;

    std::fs::write(&file, format!("{}{}", company.authority(), company.key())).unwrap();
    let status = eventually(EFFECT, "the file to be refused", async || {
        let status = node.cli(&["status"]).await.expect(0).stdout;
        status.contains("private key").then_some(status)
    })
    .await;
    let secret = company.key().lines().nth(1).unwrap().to_owned();
    let shown = [status, node.said()].concat();
    let checked = node.cli(&["check", "-c", "ringfence.yaml"]).await.expect(2);
    assert!(
        checked.stderr.contains("ringfence.yaml:2") && checked.stderr.contains("private key"),
        "{checked:?}"
    );
    assert!(!shown.contains(&secret) && !checked.stderr.contains(&secret), "{shown}");
    assert!(is_answered(&says(&node).await[0]), "what was in force stays");
    audit::verify(&node).await;
}
