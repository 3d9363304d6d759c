//! The prices of models: a table that ships, and what others publish.
