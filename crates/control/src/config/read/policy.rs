//! `policy:`: the files with a workspace's rules.

use ringfence_document::{Node, Report};
use ringfence_policy::Language;

use super::super::PolicyFile;
use super::Origin;
use crate::limits::POLICY_FILES_MAX;

/// Reads the list, or one name alone.
pub(super) fn read_all(node: &Node, origin: Origin<'_>, report: &mut Report) -> Vec<PolicyFile> {
    let names = node.one_or_many();
    if names.len() > POLICY_FILES_MAX {
        report.error(node.place, format!("more than {POLICY_FILES_MAX} policy files"));
        return Vec::new();
    }
    let mut files: Vec<PolicyFile> = Vec::new();
    for name in names {
        let Some(file) = file(name, origin, report) else { continue };
        if files.iter().any(|other| other.path == file.path) {
            report.error(name.place, format!("`{}` stands here twice", crate::shown::line(&file.shown)));
        } else {
            files.push(file);
        }
    }
    files
}

fn file(node: &Node, origin: Origin<'_>, report: &mut Report) -> Option<PolicyFile> {
    let shown = node.text("a policy file", report)?.clone();
    let language = match Language::of_file_name(&shown) {
        Some(Language::Dogwood) => {
            report.error(node.place, "Dogwood policies (*.dogwood) are not in this version");
            return None;
        }
        Some(language) => language,
        None => {
            let message = format!("`{}` is no policy file", crate::shown::line(&shown));
            report.error_with_hint(node.place, message, "one of *.yaml, *.cedar");
            return None;
        }
    };
    Some(PolicyFile { path: origin.folder.join(shown.as_str()), shown, language, place: node.place })
}
