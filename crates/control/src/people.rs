//! The people on the operators' side: who they are and what they may do.

use std::collections::HashMap;
use std::fmt;

use ringfence_types::{Digest, PersonName, Role};

use crate::config::PersonConfig;

/// The roles that give power over the node; all others are names that rules use.
pub const POWERS: [&str; 4] = ["viewer", "operator", "approver", "admin"];

/// What a person's token starts with, so that scanners can recognise one that leaked.
pub const PERSON_TOKEN_PREFIX: &str = "rfp_";

/// The name of whoever owns the data folder, when they come by the socket and are not one of the people.
pub const OWNER: &str = "owner";

/// What a request to the operators' side needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// Nothing: health checks.
    None,
    /// To look: any of the four roles.
    View,
    /// To mint, suspend, resume, kill, reload, and approve tool definitions: `operator`.
    Operate,
    /// To approve and deny: `approver`, or a role that rules name. What each request asks for, the kernel decides.
    Approve,
}

/// Somebody, authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub name: PersonName,
    /// What they may do, and names that rules use.
    pub roles: Vec<Role>,
    /// Whether they own the data folder, and with it every role.
    pub owner: bool,
}

/// Everybody the configuration names. Swapped as a whole.
#[derive(Debug, Default)]
pub struct People {
    by_token: HashMap<Digest, Person>,
    by_uid: HashMap<u32, Person>,
}

/// A token for a person: 256 random bits. Shown once; the configuration holds its hash.
pub struct PersonToken(String);

/// The operating system gives no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

// === impl People ===

impl People {
    /// The people of a configuration.
    pub fn new(people: &[PersonConfig]) -> Self {
        let mut this = Self::default();
        for config in people {
            let person = Person { name: config.name.clone(), roles: config.roles.clone(), owner: false };
            if let Some(hash) = config.token_hash {
                this.by_token.insert(hash, person.clone());
            }
            if let Some(uid) = config.uid {
                this.by_uid.insert(uid, person);
            }
        }
        this
    }

    /// Whose token this is. The token is looked up by its hash, so that timing tells nothing of it.
    pub fn by_token(&self, token: &str) -> Option<&Person> {
        self.by_hash(&Self::hash_of(token)?)
    }

    /// Whose token has this hash.
    pub fn by_hash(&self, hash: &Digest) -> Option<&Person> {
        self.by_token.get(hash)
    }

    /// The hash of a token; `None` for what cannot be a person's.
    pub fn hash_of(token: &str) -> Option<Digest> {
        token.strip_prefix(PERSON_TOKEN_PREFIX).map(|_| Digest::of(token.as_bytes()))
    }

    /// Who comes by the socket with that user id; `owner` is the owner of the data folder, who has every role.
    pub fn by_uid(&self, uid: u32, owner: u32) -> Option<Person> {
        let named = self.by_uid.get(&uid).cloned();
        if uid != owner {
            return named;
        }
        let (name, roles) = match named {
            Some(person) => (person.name, person.roles),
            None => (PersonName::new(OWNER).ok()?, Vec::new()),
        };
        Some(Person { name, roles, owner: true })
    }
}

// === impl Person ===

impl Person {
    /// Whoever asks what anybody may ask.
    pub(crate) fn nobody() -> Self {
        #[expect(clippy::expect_used, reason = "the literal is a name: letters only")]
        let name = PersonName::new("nobody").expect("a literal name");
        Self { name, roles: Vec::new(), owner: false }
    }

    /// Whether they may do what needs that power.
    pub fn may(&self, power: Power) -> bool {
        let has = |role: &str| self.roles.iter().any(|own| own.as_str() == role);
        self.owner
            || has("admin")
            || match power {
                Power::None => true,
                Power::View => POWERS.iter().any(|role| has(role)),
                Power::Operate => has("operator"),
                // A role that rules name may answer what those rules ask; the kernel looks at which.
                Power::Approve => {
                    has("approver") || self.roles.iter().any(|role| !POWERS.contains(&role.as_str()))
                }
            }
    }
}

// === impl Power ===

impl Power {
    /// The role that gives it, for messages and the published description.
    pub fn role(self) -> &'static str {
        match self {
            Self::None => "nobody in particular",
            Self::View => "viewer",
            Self::Operate => "operator",
            Self::Approve => "approver",
        }
    }
}

// === impl PersonToken ===

impl PersonToken {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut random = [0; 32];
        let filled = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
        if filled != Ok(random.len()) {
            return Err(NoRandomness);
        }
        let mut text = String::from(PERSON_TOKEN_PREFIX);
        text.push_str(&Digest::from_bytes(random).to_string());
        Ok(Self(text))
    }

    /// The token in the clear, for the one it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What the configuration holds: `sha256:` and 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        format!("{HASH_PREFIX}{}", Digest::of(self.0.as_bytes()))
    }
}

impl fmt::Debug for PersonToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonToken(…)")
    }
}

const HASH_PREFIX: &str = "sha256:";

/// Reads what [`PersonToken::hash`] writes.
pub fn parse_token_hash(text: &str) -> Option<Digest> {
    text.strip_prefix(HASH_PREFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, roles: &[&str], token: Option<&PersonToken>, uid: Option<u32>) -> PersonConfig {
        PersonConfig {
            name: PersonName::new(name).unwrap(),
            roles: roles.iter().map(|role| Role::new(role).unwrap()).collect(),
            token_hash: token.map(|token| parse_token_hash(&token.hash()).unwrap()),
            uid,
        }
    }

    #[test]
    fn a_token_opens_for_its_person_only() {
        let (dana, kim) = (PersonToken::generate().unwrap(), PersonToken::generate().unwrap());
        let people = People::new(&[person("dana", &["viewer"], Some(&dana), None)]);
        assert_eq!(people.by_token(dana.reveal()).unwrap().name.as_str(), "dana");
        assert!(people.by_token(kim.reveal()).is_none());
        assert!(people.by_token(&dana.hash()).is_none(), "the hash in the file is no token");
        assert!(people.by_token("").is_none());
        assert!(!format!("{dana:?}").contains(dana.reveal()));
    }

    #[test]
    fn the_owner_has_every_role_and_strangers_have_none() {
        let people = People::new(&[person("kim", &["legal"], None, Some(7))]);
        let owner = people.by_uid(1000, 1000).unwrap();
        assert_eq!(owner.name.as_str(), OWNER);
        for power in [Power::View, Power::Operate] {
            assert!(owner.may(power) && !people.by_uid(7, 1000).unwrap().may(power));
        }
        assert_eq!(people.by_uid(7, 1000).unwrap().roles.len(), 1);
        assert_eq!(people.by_uid(7, 7).unwrap().name.as_str(), "kim", "a named owner keeps the name");
        assert!(people.by_uid(8, 1000).is_none());
    }

    #[test]
    fn roles_give_just_their_power() {
        use Power::{Approve, None, Operate, View};
        for (roles, may) in [
            (vec![], vec![None]),
            (vec!["legal"], vec![None, Approve]),
            (vec!["viewer", "legal"], vec![None, View, Approve]),
            (vec!["viewer"], vec![None, View]),
            (vec!["operator"], vec![None, View, Operate]),
            (vec!["approver"], vec![None, View, Approve]),
            (vec!["admin"], vec![None, View, Operate, Approve]),
        ] {
            let roles = roles.into_iter().map(|role| Role::new(role).unwrap()).collect();
            let person = Person { name: PersonName::new("x").unwrap(), roles, owner: false };
            for power in [None, View, Operate, Approve] {
                assert_eq!(person.may(power), may.contains(&power), "{:?} {power:?}", person.roles);
            }
        }
    }
}
