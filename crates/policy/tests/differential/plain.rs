//! JSON as plain as it can be, apart from the product's own.

use std::fmt;

use ringfence_json::{Limits, Object, Value, parse};

/// A JSON value; numbers are the text that was written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub fn number(literal: &str) -> Self {
        Self::Number(literal.to_owned())
    }

    pub fn object(members: Vec<(&str, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The member of that name, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    /// The same value with another one at a place that is there.
    pub fn replace(&mut self, place: &[String], value: &Self) {
        let Some((first, rest)) = place.split_first() else {
            *self = value.clone();
            return;
        };
        match self {
            Self::Array(elements) => elements[first.parse::<usize>().unwrap()].replace(rest, value),
            Self::Object(members) => {
                members.iter_mut().find(|(name, _)| name == first).unwrap().1.replace(rest, value);
            }
            _ => panic!("there is nothing at {place:?}"),
        }
    }

    /// As the product takes it.
    pub fn to_product(&self) -> Value {
        parse(self.to_string().as_bytes(), &Limits::default()).unwrap()
    }

    pub fn to_product_object(&self) -> Object {
        self.to_product().into_object().unwrap()
    }

    pub fn of_product(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::number(number.as_str()),
            Value::String(text) => Self::text(text),
            Value::Array(elements) => Self::Array(elements.iter().map(Self::of_product).collect()),
            Value::Object(object) => Self::of_product_object(object),
        }
    }

    pub fn of_product_object(object: &Object) -> Self {
        Self::Object(object.iter().map(|(name, value)| (name.to_string(), Self::of_product(value))).collect())
    }
}

/// A text in double quotes, which YAML reads as JSON does.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Number(literal) => f.write_str(literal),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Array(elements) => {
                let texts: Vec<String> = elements.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", texts.join(", "))
            }
            Self::Object(members) => {
                let texts: Vec<String> =
                    members.iter().map(|(name, value)| format!("{}: {value}", quoted(name))).collect();
                write!(f, "{{{}}}", texts.join(", "))
            }
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
