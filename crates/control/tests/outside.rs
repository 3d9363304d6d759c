//! `egress` of the whole file: names that may lead near, and authorities that the web does not know.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use ringfence_control::compile;
use ringfence_control::config::{Loaded, Rejected, load};
use ringfence_control::explain::explain;
use ringfence_gateway::Lead;
use ringfence_json::{Limits, Object, Value, parse};
use ringfence_types::HostName;

const POLICY: &str = "rules:\n  - { name: reach, match: { kind: egress }, decision: ALLOW }\n";

/// A certificate and its key, in PEM.
fn pem() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::default().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A folder with a policy and a file of authorities.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "policy.yaml", POLICY);
    write(folder.path(), "company-ca.pem", &format!("# A company\n{}{}", pem().0, pem().0));
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

fn read(folder: &Path, world: &str, egress: &str) -> Result<Loaded, Rejected> {
    let text = format!(
        "organization: acme\negress: {world}\nworkspaces:\n  lab: {{ agents: {{ a: {{ egress: [{egress}] }} }}, policy: policy.yaml }}\n"
    );
    write(folder, "ringfence.yaml", &text);
    load(&folder.join("ringfence.yaml"))
}

const WHOLE: &str = "{ authorities: company-ca.pem, addresses: { git.corp: [10.1.2.3, fd12::1], '*.svc.corp': system, own.corp: 127.0.0.1 } }";

const HELD: &str = "'*.corp GET /*'";

#[test]
fn names_and_authorities_are_read() {
    let folder = folder();
    let loaded = read(folder.path(), WHOLE, HELD).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    let egress = &loaded.config.egress;
    assert_eq!(egress.authorities.len(), 1);
    assert_eq!(egress.authorities[0].certificates.count(), 2);
    let leads = egress.leads();
    let of = |name: &str| leads.of(&HostName::new(name).unwrap()).cloned();
    let fixed = |all: &[&str]| Some(Lead::Fixed(all.iter().map(|one| one.parse().unwrap()).collect()));
    assert_eq!(of("git.corp"), fixed(&["10.1.2.3", "fd12::1"]));
    assert_eq!(of("own.corp"), fixed(&["127.0.0.1"]));
    assert_eq!((of("a.svc.corp"), of("svc.corp"), of("a.git.corp")), (Some(Lead::System), None, None));
    assert_eq!(loaded.warnings, []);
    let nothing = read(folder.path(), "{}", HELD).unwrap().config.egress;
    assert_eq!((nothing.authorities.len(), nothing.addresses.len()), (0, 0));
}

#[test]
fn a_file_of_authorities_is_a_text_of_the_configuration() {
    let folder = folder();
    let first = read(folder.path(), WHOLE, HELD).unwrap();
    let paths: Vec<_> = first.sources.iter().map(|source| source.path.file_name().unwrap()).collect();
    assert_eq!(paths, ["ringfence.yaml", "company-ca.pem", "policy.yaml"]);
    assert_eq!(read(folder.path(), WHOLE, HELD).unwrap().digest, first.digest);
    write(folder.path(), "company-ca.pem", &pem().0);
    let second = read(folder.path(), WHOLE, HELD).unwrap();
    assert_ne!(second.digest, first.digest);
    assert_ne!(second.config.egress, first.config.egress);
}

#[test]
fn what_cannot_be_used_is_told_with_its_place_and_a_way_out() {
    let folder = folder();
    let (certificate, key) = pem();
    write(folder.path(), "none.pem", "nothing of the kind");
    std::fs::write(folder.path().join("der.pem"), [0x30, 0x82, 0xff, 0xfe]).unwrap();
    write(folder.path(), "cut.pem", &certificate[..certificate.len() / 2]);
    write(folder.path(), "both.pem", &format!("{certificate}{key}"));
    write(folder.path(), "long.pem", &"x".repeat((1 << 20) + 1));
    let secret = key.lines().nth(1).unwrap();
    for (world, said) in [
        (
            "{ authorities: [missing.pem] }",
            "cannot read the authorities `missing.pem`|in PEM with the certificate",
        ),
        ("{ authorities: . }", "it is a folder|paths start at the folder"),
        ("{ authorities: long.pem }", "longer than 1048576 bytes"),
        ("{ authorities: none.pem }", "no certificate in it|BEGIN CERTIFICATE"),
        ("{ authorities: der.pem }", "not PEM|openssl x509 -inform der"),
        ("{ authorities: cut.pem }", "certificate 1 of it is damaged|get the file again"),
        ("{ authorities: both.pem }", "a private key|leave only"),
        ("{ authorities: [company-ca.pem, company-ca.pem] }", "`company-ca.pem` stands here twice"),
        ("{ authorities: [{ a: b }] }", "a file with authorities must be a text"),
        ("[git.corp]", "must be a mapping|egress: { authorities: [company-ca.pem]"),
        ("{ addresses: [git.corp] }", "must be a mapping of names|addresses: { git.corp: [10.1.2.3]"),
        ("{ adresses: {} }", "unknown key `adresses`|did you mean `addresses`?"),
        (
            "{ addresses: { 'git corp': 10.1.2.3 } }",
            "`git corp` cannot lead anywhere|a host is a domain name",
        ),
        ("{ addresses: { '*': system } }", "`*` cannot lead anywhere|such as *.corp"),
        ("{ addresses: { 10.1.2.3: system } }", "`10.1.2.3` cannot lead anywhere|in its own `egress`"),
        ("{ addresses: { gateway: 10.1.2.3 } }", "`gateway` is the gateway itself"),
        ("{ addresses: { metadata.google.internal: 10.1.2.3 } }", "a cloud's metadata"),
        (
            "{ addresses: { git.corp: 10.1.2.3, GIT.corp.: 10.1.2.4 } }",
            "`GIT.corp.` stands here twice: it is `git.corp`|in one entry",
        ),
        ("{ addresses: { git.corp: [] } }", "one to 16 addresses, or `system`"),
        ("{ addresses: { git.corp: [10.1.2.3, 10.1.2.3] } }", "`10.1.2.3` stands here twice"),
        ("{ addresses: { git.corp: [10.1.2.3, system] } }", "`system`|stands alone"),
        ("{ addresses: { git.corp: other.corp } }", "no name can lead to `other.corp`|written as 10.1.2.3"),
        ("{ addresses: { git.corp: 10.1.2.3:443 } }", "without a port"),
        ("{ addresses: { git.corp: 169.254.169.254 } }", "link-local|where the service itself is"),
        ("{ addresses: { git.corp: fe80::1 } }", "link-local"),
        ("{ addresses: { git.corp: fd00:ec2::254 } }", "the metadata of clouds"),
        ("{ addresses: { git.corp: 0.0.0.0 } }", "no host's"),
        ("{ addresses: { git.corp: } }", "is empty"),
    ] {
        let rejected = read(folder.path(), world, HELD).err().unwrap_or_else(|| panic!("{world} was taken"));
        let shown = rejected.render();
        for part in said.split('|') {
            assert!(shown.contains(part), "{world}: {part}\n{shown}");
        }
        assert!(shown.contains("ringfence.yaml:2:"), "{shown}");
        assert!(!format!("{shown}{rejected:?}").contains(secret), "{shown}");
        assert!(rejected.sources.iter().all(|source| !source.text.contains(secret)));
    }
}

#[test]
fn no_sandbox_can_change_whom_the_node_trusts() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("certs")).unwrap();
    write(&folder.path().join("certs"), "ca.pem", &pem().0);
    let text = |writable: &str| {
        format!(
            "organization: acme\negress: {{ authorities: certs/ca.pem }}\nworkspaces:\n  lab:\n    agents:\n      a:\n        \
             egress: ['git.corp GET /*']\n        run: {{ command: [sh], mounts: [{{ source: certs, target: /certs{writable} }}] }}\n    \
             policy: policy.yaml\n"
        )
    };
    let path = folder.path().join("ringfence.yaml");
    write(folder.path(), "ringfence.yaml", &text(""));
    load(&path).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    write(folder.path(), "ringfence.yaml", &text(", writable: true"));
    let shown = load(&path).unwrap_err().render();
    assert!(shown.contains("ca.pem, which decides what agents may do"), "{shown}");
}

#[test]
fn what_is_for_nobody_or_for_too_many_is_told() {
    let folder = folder();
    let told = |world: &str, egress: &str| {
        let loaded =
            read(folder.path(), world, egress).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
        let all = loaded.warnings.iter().filter(|one| !one.message.contains("is passed through"));
        all.map(|one| one.message.clone()).collect::<Vec<_>>().join("|")
    };
    let held = "'*.corp GET /*'";
    assert_eq!(told("{ addresses: { git.corp: 10.1.2.3 } }", held), "");
    assert_eq!(told("{ addresses: { '*.svc.corp': system } }", held), "");
    assert_eq!(told("{ addresses: { '*.corp': system } }", "'git.corp:22'"), "");
    let said = told("{ addresses: { git.corp: 10.1.2.3 } }", "'api.example.com GET /*'");
    assert!(said.contains("no agent and no tool server holds `git.corp`"), "{said}");
    let said = told("{ addresses: { '*.com': system } }", "'api.example.com GET /*'");
    assert!(said.contains("whoever owns any name below `com`"), "{said}");
    assert_eq!(told("{ addresses: { '*.com': 10.1.2.3 } }", "'api.example.com GET /*'"), "");
    let said = told("{ authorities: company-ca.pem }", "'git.corp:443'");
    assert!(said.contains("these authorities are not used"), "{said}");
    assert_eq!(told("{ authorities: company-ca.pem }", held), "");
}

#[test]
fn where_a_host_is_reached_is_explained() {
    let folder = folder();
    let held = "'*.corp GET /*', 'plain.corp:22', 'api.example.com:443', 10.9.9.9";
    let loaded = read(folder.path(), WHOLE, held).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    let compiled = compile(loaded, &[]).unwrap_or_else(|rejected| panic!("{}", rejected.render()));
    let reached = |host: &str, port: u64| -> Object {
        let asked = format!(r#"{{"workspace":"lab","agent":"a","host":"{host}","port":{port}}}"#);
        let asked = parse(asked.as_bytes(), &Limits::default()).unwrap().into_object().unwrap();
        let said = explain(&compiled, &[], &asked).unwrap();
        said.get("reached").and_then(Value::as_object).unwrap().clone()
    };
    for (host, port, expected) in [
        (
            "git.corp",
            443,
            r#"{"entry":"git.corp","addresses":["10.1.2.3","fd12::1"],"private":true,"tls":"ends_at_gateway","authorities":2}"#,
        ),
        (
            "a.svc.corp",
            443,
            r#"{"entry":"*.svc.corp","private":true,"tls":"ends_at_gateway","authorities":2}"#,
        ),
        ("ci.corp", 443, r#"{"private":false,"tls":"ends_at_gateway","authorities":2}"#),
        ("api.example.com", 443, r#"{"private":false,"tls":"passes_through"}"#),
        ("10.9.9.9", 443, r#"{"addresses":["10.9.9.9"],"private":true,"tls":"passes_through"}"#),
        ("10.9.9.8", 443, r#"{"addresses":["10.9.9.8"],"private":false,"tls":"passes_through"}"#),
    ] {
        let said = String::from_utf8(Value::Object(reached(host, port)).to_bytes()).unwrap();
        assert_eq!(said, expected, "{host}");
    }
}
