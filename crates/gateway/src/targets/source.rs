//! Where secrets are that open servers and models.

use std::fmt;

use http::{HeaderName, HeaderValue};
use smol_str::SmolStr;

/// Where a secret value comes from. `Debug` shows the place, never the value.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// It stands in the configuration, or was resolved from it.
    Fixed(SmolStr),
    /// An environment variable of the node, read for every call.
    Environment(SmolStr),
}

/// A secret is not where the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The variable is not set, or not text.
    #[error("the environment variable `{0}` is not set; set it for the node and restart it")]
    Environment(SmolStr),
    /// The value has characters that a header cannot have.
    #[error("the value for the header `{0}` has characters that a header cannot have")]
    Header(HeaderName),
}

// === impl Source ===

impl Source {
    /// The value as it is now.
    ///
    /// # Errors
    /// When it is not there.
    pub fn read(&self) -> Result<SmolStr, SourceError> {
        match self {
            Self::Fixed(value) => Ok(value.clone()),
            Self::Environment(name) => std::env::var(name.as_str())
                .map(SmolStr::from)
                .map_err(|_| SourceError::Environment(name.clone())),
        }
    }

    /// The value as one of a header, which is kept out of `Debug` output.
    ///
    /// # Errors
    /// When it is not there, or cannot be in a header.
    pub fn read_header(&self, name: &HeaderName) -> Result<HeaderValue, SourceError> {
        let mut value =
            HeaderValue::from_str(&self.read()?).map_err(|_| SourceError::Header(name.clone()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("Fixed(…)"),
            Self::Environment(name) => write!(f, "Environment({name})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_in_debug_output() {
        let shown = format!("{:?}", Source::Fixed("hunter2".into()));
        assert!(!shown.contains("hunter2"));
        let name = HeaderName::from_static("authorization");
        let value = Source::Fixed("hunter2".into()).read_header(&name).unwrap();
        assert!(!format!("{value:?}").contains("hunter2"));
        let missing = Source::Environment("RINGFENCE_TEST_NOT_SET".into());
        assert!(missing.read().unwrap_err().to_string().contains("RINGFENCE_TEST_NOT_SET"));
    }
}
