//! From text to nodes.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use smol_str::SmolStr;

use crate::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX, NODES_MAX, SCALAR_BYTES_MAX};
use crate::{Content, Diagnostic, Key, Node, Place, Report, Scalar};

/// Reads one YAML document (1.2.2, as far as this crate takes it). An empty text is a null.
///
/// # Errors
/// All that is wrong: a text that is not YAML (the first place only), duplicate keys, anchors, aliases, merge keys,
/// tags, keys that are no text, more than one document, anything over [`limits`](crate::limits).
pub fn parse(source: &str, text: &str) -> Result<Node, Vec<Diagnostic>> {
    let mut report = Report::new(source);
    if text.len() > DOCUMENT_BYTES_MAX {
        report.error(Place::WHOLE, format!("longer than {DOCUMENT_BYTES_MAX} bytes"));
        return Err(report.into_diagnostics());
    }
    let mut builder = Builder { report, open: Vec::new(), root: None, nodes: 0 };
    builder.run(text);
    let root = builder.root.unwrap_or_else(|| null(Place { line: 1, column: 1, width: 1 }));
    if builder.report.errors() > 0 { Err(builder.report.into_diagnostics()) } else { Ok(root) }
}

/// A collection that is being filled.
struct Open {
    place: Place,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<Node>),
    Mapping {
        members: Vec<(Key, Node)>,
        seen: HashSet<SmolStr>,
        /// The key whose value comes next.
        pending: Option<Key>,
    },
}

struct Builder {
    report: Report,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

/// Reading cannot go on; the reason has been reported.
struct Stop;

// === impl Builder ===

impl Builder {
    fn run(&mut self, text: &str) {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let taken = match event {
                Ok((event, span)) => self.take(event, span),
                Err(error) => {
                    let place = place(Span::empty(*error.marker()));
                    self.stop(place, format!("not YAML: {}", error.info()))
                }
            };
            if taken.is_err() {
                return;
            }
        }
    }

    fn stop(&mut self, place: Place, message: String) -> Result<(), Stop> {
        self.report.error(place, message);
        Err(Stop)
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let place = place(span);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                self.stop(place, "only one document can stand in a file".into())
            }
            Event::DocumentStart(_)
            | Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd => Ok(()),
            Event::Alias(_) => {
                self.refuse(place, "aliases (`*name`) are not taken here", "write the value out");
                self.value(null(place));
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.decorations(place, anchor, tag.is_some());
                self.scalar(&text, style == ScalarStyle::Plain, place)
            }
            Event::SequenceStart(anchor, tag) => {
                self.decorations(place, anchor, tag.is_some());
                self.open(place, OpenKind::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.decorations(place, anchor, tag.is_some());
                let (members, seen) = (Vec::new(), HashSet::new());
                self.open(place, OpenKind::Mapping { members, seen, pending: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close();
                Ok(())
            }
        }
    }

    fn refuse(&mut self, place: Place, message: &str, hint: &str) {
        self.report.error_with_hint(place, message, hint);
    }

    fn decorations(&mut self, place: Place, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse(
                place,
                "anchors (`&name`) are not taken here",
                "write the value out where it is needed",
            );
        }
        if tagged {
            self.refuse(place, "tags (`!name`) are not taken here", "leave the tag out");
        }
    }

    fn count(&mut self, place: Place) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return self.stop(place, format!("more than {NODES_MAX} values"));
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, plain: bool, place: Place) -> Result<(), Stop> {
        self.count(place)?;
        if text.len() > SCALAR_BYTES_MAX {
            return self.stop(place, format!("a value of more than {SCALAR_BYTES_MAX} bytes"));
        }
        if let Some(OpenKind::Mapping { seen, pending: pending @ None, .. }) =
            self.open.last_mut().map(|open| &mut open.kind)
        {
            let text = SmolStr::new(text);
            let is_new = seen.insert(text.clone());
            let is_merge = plain && text == "<<";
            *pending = Some(Key { place, text: text.clone() });
            if is_merge {
                self.refuse(place, "merge keys (`<<`) are not taken here", "write the keys out");
            } else if !is_new {
                self.report.error(place, format!("`{text}` stands here twice"));
            }
            return Ok(());
        }
        self.value(Node { place, content: Content::Scalar(Scalar { text: text.into(), plain }) });
        Ok(())
    }

    fn open(&mut self, place: Place, kind: OpenKind) -> Result<(), Stop> {
        self.count(place)?;
        if self.open.len() >= DEPTH_MAX {
            return self.stop(place, format!("nested deeper than {DEPTH_MAX}"));
        }
        if matches!(self.open.last(), Some(Open { kind: OpenKind::Mapping { pending: None, .. }, .. })) {
            return self.stop(place, "a key must be a text".into());
        }
        self.open.push(Open { place: Place { width: 1, ..place }, kind });
        Ok(())
    }

    fn close(&mut self) {
        let Some(Open { place, kind }) = self.open.pop() else { return };
        let content = match kind {
            OpenKind::Sequence(elements) => Content::Sequence(elements),
            OpenKind::Mapping { members, .. } => Content::Mapping(members),
        };
        self.value(Node { place, content });
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::Sequence(elements)) => elements.push(node),
            Some(OpenKind::Mapping { members, pending, .. }) => match pending.take() {
                Some(key) => members.push((key, node)),
                // Only an alias comes here as a key; it has been reported, and stands for one.
                None => *pending = Some(Key { place: node.place, text: SmolStr::default() }),
            },
        }
    }
}

fn null(place: Place) -> Node {
    Node { place, content: Content::Scalar(Scalar { text: SmolStr::default(), plain: true }) }
}

/// Lines count from 1 there too, columns from 0.
fn place(span: Span) -> Place {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let width = if span.start.line() == span.end.line() { span.len() } else { 1 };
    Place {
        line: number(span.start.line()),
        column: number(span.start.col()).saturating_add(1),
        width: number(width).max(1),
    }
}
