//! Objects and arrays as the validator goes through them.

use std::collections::HashSet;

use jsonschema::json;
use ringfence_json::{Object, Value};
use smol_str::SmolStr;

use super::instance::{Node, Ours, Watch};
use super::number::comparable;
use crate::limits::TEXT_BYTES_PER_STEP;

/// The elements of an array.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    pub(super) values: &'a [Value],
    pub(super) depth: u16,
    pub(super) watch: &'a Watch,
}

/// The members of an object.
#[derive(Clone, Copy)]
pub(super) struct Members<'a> {
    pub(super) object: &'a Object,
    pub(super) depth: u16,
    pub(super) watch: &'a Watch,
}

// === impl Members ===

impl<'a> json::Object<'a, Ours> for Members<'a> {
    type Node = Node<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.object.len()
    }

    fn get(&self, key: &SmolStr) -> Option<Node<'a>> {
        // Members are found by looking through them, so a lookup costs what there is.
        self.watch.spend(1 + self.object.len() / 8);
        let value = self.object.get(key)?;
        Some(Node::below(value, self.depth, self.watch))
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter { members: Box::new(self.object.iter()), depth: self.depth, watch: self.watch }
    }
}

/// Goes through the members of an object until the watch says stop.
pub(super) struct MembersIter<'a> {
    members: Box<dyn Iterator<Item = (&'a SmolStr, &'a Value)> + 'a>,
    depth: u16,
    watch: &'a Watch,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.watch.spend(1) {
            return None;
        }
        let (name, value) = self.members.next()?;
        Some((name, Node::below(value, self.depth, self.watch)))
    }
}

// === impl Elements ===

impl<'a> json::Array<'a, Ours> for Elements<'a> {
    type Node = Node<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.values.len()
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter { values: self.values.iter(), depth: self.depth, watch: self.watch }
    }

    fn is_unique(&self) -> bool {
        let mut seen = HashSet::with_capacity(self.values.len());
        self.values.iter().all(|element| {
            let form = comparable(element);
            self.watch.spend(1 + form.len() / TEXT_BYTES_PER_STEP);
            seen.insert(form)
        })
    }
}

/// Goes through the elements of an array until the watch says stop.
pub(super) struct ElementsIter<'a> {
    values: std::slice::Iter<'a, Value>,
    depth: u16,
    watch: &'a Watch,
}

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        if !self.watch.spend(1) {
            return None;
        }
        let value = self.values.next()?;
        Some(Node::below(value, self.depth, self.watch))
    }
}
