//! Policy as it is written.

use std::fmt;

/// One policy file.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// As shown in errors; mostly the file's path.
    pub name: String,
    /// Its contents.
    pub text: String,
    /// What it is written in.
    pub language: Language,
}

/// What a policy is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// `safety-policy.yaml`.
    Yaml,
    /// Cedar, `*.cedar`.
    Cedar,
    /// Dogwood (Cedar with history), `*.dogwood`: not in this version, refused when it is compiled.
    Dogwood,
}

// === impl Source ===

impl Source {
    /// A policy in YAML.
    pub fn yaml(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), language: Language::Yaml }
    }

    /// A policy in Cedar.
    pub fn cedar(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), language: Language::Cedar }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {:?}, {} bytes)", self.name, self.language, self.text.len())
    }
}

// === impl Language ===

impl Language {
    /// The language by the ending of a file's name: `.yaml` or `.yml`, `.cedar`, `.dogwood`.
    pub fn of_file_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "yaml" | "yml" => Some(Self::Yaml),
            "cedar" => Some(Self::Cedar),
            "dogwood" => Some(Self::Dogwood),
            _ => None,
        }
    }

    /// Its name, for people and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Cedar => "cedar",
            Self::Dogwood => "dogwood",
        }
    }
}
