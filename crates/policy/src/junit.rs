//! Reports in the XML of JUnit, as build servers read it (the common subset: testsuites, testsuite, testcase, failure).

use std::fmt::Write;

use crate::cases::CaseReport;

/// The report as one document. It has no times: deciding takes microseconds, and a report should not change without
/// a reason.
pub(crate) fn write(report: &CaseReport) -> String {
    let counts = format!("tests=\"{}\" failures=\"{}\" errors=\"0\"", report.results.len(), report.failed());
    let suite = escaped(&report.source);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"ringfence policy test\" {counts}>\n  \
         <testsuite name=\"{suite}\" {counts}>\n"
    );
    for result in &report.results {
        let name = escaped(&result.name);
        // Writing to a string cannot fail, here and below.
        let _ = write!(
            xml,
            "    <testcase name=\"{name}\" classname=\"{suite}\" file=\"{suite}\" line=\"{}\"",
            result.place.line
        );
        if result.passed() {
            xml.push_str("/>\n");
            continue;
        }
        let first = result.mismatches.first().map(|mismatch| {
            format!("{}: expected {}, got {}", mismatch.what, mismatch.expected, mismatch.actual)
        });
        let _ = write!(
            xml,
            ">\n      <failure type=\"mismatch\" message=\"{}\">{}</failure>\n    </testcase>\n",
            escaped(&first.unwrap_or_default()),
            escaped(&result.to_string())
        );
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text as XML 1.0 (§2.2, §2.4) can hold it, in content and in attributes. What XML cannot hold at all is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' | '\t' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_in_a_text_can_be_taken_for_markup() {
        assert_eq!(
            escaped("<a b=\"c\" d='e'>&]]></a>"),
            "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;]]&gt;&lt;/a&gt;"
        );
        assert_eq!(escaped("a\u{0}\u{1b}\u{7f}\u{ffff}\n\tb"), "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}&#10;&#9;b");
        assert_eq!(escaped("größe 😀"), "größe 😀");
    }
}
