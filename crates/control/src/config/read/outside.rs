//! `egress:` of the whole file: names that may lead near, and authorities that the web does not know.

use std::path::Path;

use ringfence_document::{Fields, Key, Node, Report};
use ringfence_gateway::{Lead, LeadName, Trusted};

use super::super::load::{SourceText, read_bytes};
use super::super::outside::{AddressConfig, AuthoritiesFile, OutsideConfig};
use super::Origin;
use crate::limits::{ADDRESSES_OF_NAME_MAX, AUTHORITIES_BYTES_MAX, AUTHORITIES_FILES_MAX, NAMES_LED_MAX};
use crate::shown::line;

/// The word for what the machine's resolver says.
const SYSTEM: &str = "system";

/// How it is written.
const SHAPE: &str =
    "egress: { authorities: [company-ca.pem], addresses: { git.corp: [10.1.2.3], '*.svc.corp': system } }";

/// What could be read, and the texts of the files.
#[derive(Default)]
pub(super) struct Outside {
    pub config: OutsideConfig,
    pub texts: Vec<SourceText>,
}

/// Reads it, and each file.
pub(super) fn read(node: &Node, origin: Origin<'_>, report: &mut Report) -> Outside {
    let mut outside = Outside::default();
    let Some(mut fields) = Fields::shaped(node, "`egress` of the whole file", SHAPE, report) else {
        return outside;
    };
    if let Some(files) = fields.get("authorities") {
        outside.read_files(files, origin, report);
    }
    if let Some(names) = fields.get("addresses") {
        outside.config.addresses = addresses(names, report);
    }
    fields.finish(report);
    outside
}

impl Outside {
    fn read_files(&mut self, node: &Node, origin: Origin<'_>, report: &mut Report) {
        let names = node.one_or_many();
        if names.len() > AUTHORITIES_FILES_MAX {
            report.error(node.place, format!("more than {AUTHORITIES_FILES_MAX} files with authorities"));
            return;
        }
        for name in names {
            self.add(name, origin, report);
        }
    }

    fn add(&mut self, node: &Node, origin: Origin<'_>, report: &mut Report) {
        let Some(shown) = node.text("a file with authorities", report) else { return };
        let path = origin.folder.join(shown.as_str());
        if self.config.authorities.iter().any(|file| file.path == path) {
            report.error_with_hint(
                node.place,
                format!("`{}` stands here twice", line(shown)),
                "once is enough",
            );
            return;
        }
        let bytes = match read_bytes(&path, AUTHORITIES_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("cannot read the authorities `{}`: {error}", line(shown));
                let hint = "a file in PEM with the certificate of the company's authority, from whoever runs it; paths start at \
                            the folder of this file";
                report.error_with_hint(node.place, message, hint);
                return;
            }
        };
        match Trusted::read(&bytes) {
            Ok(certificates) => {
                let place = node.place;
                let file = AuthoritiesFile { path, shown: shown.clone(), certificates, place };
                self.take(file, origin, bytes);
            }
            // Nothing of the file is shown, and its text is not kept: it may be a secret.
            Err(error) => {
                report
                    .error(node.place, format!("the authorities `{}` cannot be used: {error}", line(shown)));
            }
        }
    }

    /// Keeps a file, and its text with those of the configuration.
    fn take(&mut self, file: AuthoritiesFile, origin: Origin<'_>, bytes: Vec<u8>) {
        // As it would be written from where this program was called.
        let beside = Path::new(origin.source).parent().unwrap_or(Path::new(""));
        let name = beside.join(file.shown.as_str()).display().to_string();
        // What was read as PEM is text.
        let text = String::from_utf8(bytes).unwrap_or_default();
        self.texts.push(SourceText { name, path: file.path.clone(), text });
        self.config.authorities.push(file);
    }
}

/// Names and where they lead, each mistake told by itself.
fn addresses(node: &Node, report: &mut Report) -> Vec<AddressConfig> {
    let Some(members) = node.as_mapping() else {
        let message = format!("`addresses` must be a mapping of names, not {}", node.kind());
        report.error_with_hint(node.place, message, format!("write `{SHAPE}`"));
        return Vec::new();
    };
    if members.len() > NAMES_LED_MAX {
        report.error(node.place, format!("more than {NAMES_LED_MAX} names under `addresses`"));
        return Vec::new();
    }
    let mut all: Vec<AddressConfig> = Vec::new();
    for (key, value) in members {
        let (name, lead) = (name(key, report), lead(value, report));
        let (Some(name), Some(lead)) = (name, lead) else { continue };
        if all.iter().any(|entry| entry.name == name) {
            let message = format!("`{}` stands here twice: it is `{name}`", line(&key.text));
            report.error_with_hint(key.place, message, "write all its addresses in one entry");
        } else {
            all.push(AddressConfig { name, lead, place: key.place });
        }
    }
    all
}

fn name(key: &Key, report: &mut Report) -> Option<LeadName> {
    match LeadName::parse(&key.text) {
        Ok(name) => Some(name),
        Err(error) => {
            report.error(key.place, format!("`{}` cannot lead anywhere: {error}", line(&key.text)));
            None
        }
    }
}

/// `system`, an address, or several.
fn lead(node: &Node, report: &mut Report) -> Option<Lead> {
    if node.as_scalar().is_some_and(|scalar| scalar.text == SYSTEM) {
        return Some(Lead::System);
    }
    let nodes = node.one_or_many();
    if nodes.is_empty() || nodes.len() > ADDRESSES_OF_NAME_MAX {
        let message = format!("a name leads to one to {ADDRESSES_OF_NAME_MAX} addresses, or `{SYSTEM}`");
        report.error(node.place, message);
        return None;
    }
    let mut found = Vec::new();
    for each in nodes {
        let text = each.text("an address", report)?;
        match Lead::address(text) {
            Ok(address) if found.contains(&address) => {
                let message = format!("the address `{}` stands here twice", line(text));
                report.error_with_hint(each.place, message, "once is enough");
                return None;
            }
            Ok(address) => found.push(address),
            Err(error) => {
                report.error(each.place, format!("no name can lead to `{}`: {error}", line(text)));
                return None;
            }
        }
    }
    Some(Lead::Fixed(found))
}
