//! The policy language twice: as the product evaluates it, and as a naive evaluator does that was written from the
//! documents alone. They agree on every generated policy and call, in everything that can be seen of a decision.
//!
//! `RINGFENCE_SEED` plays one policy and its calls again, `RINGFENCE_POLICIES` says how many policies to try.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unreachable, reason = "tests may panic")]

mod answer;
mod coverage;
mod generate;
mod model;
mod naive;
mod plain;
mod product;
mod random;
mod shrink;
mod standing;
mod write;

use std::time::Instant;

use coverage::Coverage;
use model::{Call, File};
use naive::Answer;
use random::Random;
use ringfence_policy::{InputSchema, PolicySet};
use shrink::{Example, shrink};

const POLICIES: u64 = 2_000;
const CALLS_PER_POLICY: usize = 50;
/// Of so many calls one is also explained, rule by rule.
const CALLS_PER_EXPLANATION: usize = 8;

fn number_from(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn differences(set: &PolicySet, call: &Call, schema: Option<&InputSchema>, expected: &Answer) -> Vec<String> {
    let asked = product::Asked::of(call);
    let verdict = set.decide(&asked.request(call, schema));
    answer::differences(expected, &verdict, &call.arguments)
}

/// What else is said of a call: of each rule, and that what is hidden is denied.
fn differences_explained(
    set: &PolicySet,
    policy: &[File],
    call: &Call,
    schema: Option<&InputSchema>,
    expected: &Answer,
) -> Vec<String> {
    let asked = product::Asked::of(call);
    let request = asked.request(call, schema);
    let mut found = standing::differences(policy, call, &set.explain(&request));
    if !set.may_ever_allow(&request) && expected.decision != "DENY" {
        found.push("it is said that this can never be allowed".to_owned());
    }
    found
}

/// The same, of an example by itself; a policy that does not compile is a difference too.
fn differences_of(example: &Example) -> Vec<String> {
    let schema = example.call.schema.as_ref().map(product::schema);
    match product::compile(&example.policy) {
        Ok(set) => {
            let expected = naive::decide(&example.policy, &example.call);
            let Example { policy, call } = example;
            let mut found = differences(&set, call, schema.as_ref(), &expected);
            found.extend(differences_explained(&set, policy, call, schema.as_ref(), &expected));
            found
        }
        Err(errors) => vec![errors],
    }
}

fn report(seed: u64, example: Example) -> String {
    let example = shrink(example, |smaller| !differences_of(smaller).is_empty());
    let policy: Vec<String> = example.policy.iter().map(write::yaml).collect();
    let Call { values, arguments, schema } = &example.call;
    let asked = product::Asked::of(&example.call);
    let parsed = schema.as_ref().map(product::schema);
    let verdict = product::compile(&example.policy)
        .map(|set| set.decide(&asked.request(&example.call, parsed.as_ref())));
    format!(
        "the two disagree (RINGFENCE_SEED={seed} plays it again)\n{}\n--- policy\n{}\n--- call\n{values:?}\n\
         arguments {arguments}\nschema {schema:?}\n--- should be\n{:#?}\n--- is\n{verdict:#?}",
        differences_of(&example).join("\n"),
        policy.join("---\n"),
        naive::decide(&example.policy, &example.call),
    )
}

/// One policy and its calls.
fn check(seed: u64, coverage: &mut Coverage) -> Result<(), String> {
    let random = &mut Random::new(seed);
    let fields = generate::fields(random);
    let policy = generate::policy(random, &fields);
    let schemas: Vec<_> = (0..3).map(|_| generate::schema(random, &fields)).collect();
    let parsed: Vec<_> = schemas.iter().map(product::schema).collect();
    let calls: Vec<Call> = (0..CALLS_PER_POLICY).map(|_| generate::call(random, &fields, &schemas)).collect();
    let set = product::compile(&policy).map_err(|errors| {
        format!("RINGFENCE_SEED={seed}: {errors}\n{}", policy.iter().map(write::yaml).collect::<String>())
    })?;
    for (index, call) in calls.into_iter().enumerate() {
        let schema = call.schema.as_ref().and_then(|schema| schemas.iter().position(|known| known == schema));
        let schema = schema.map(|place| &parsed[place]);
        let expected = naive::decide(&policy, &call);
        let explained = index % CALLS_PER_EXPLANATION == 0;
        if !differences(&set, &call, schema, &expected).is_empty()
            || explained && !differences_explained(&set, &policy, &call, schema, &expected).is_empty()
        {
            return Err(report(seed, Example { policy, call }));
        }
        coverage.add(&policy, &call, &expected);
    }
    Ok(())
}

#[test]
fn the_evaluator_agrees_with_one_written_from_the_documents() {
    let fixed = number_from("RINGFENCE_SEED");
    let first = fixed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(now.as_micros() & 0xffff_ffff_ffff).unwrap()
    });
    let policies = if fixed.is_some() { 1 } else { number_from("RINGFENCE_POLICIES").unwrap_or(POLICIES) };
    println!("{policies} policies, the first of seed {first}");
    let started = Instant::now();
    let mut coverage = Coverage::default();
    for seed in first..first + policies {
        check(seed, &mut coverage).unwrap_or_else(|failure| panic!("{failure}"));
    }
    println!("{policies} policies of {CALLS_PER_POLICY} calls in {:.1?}", started.elapsed());
    println!("{}", coverage.table());
    // A few policies say nothing of how often something happens.
    let gaps = if policies < POLICIES { Vec::new() } else { coverage.gaps() };
    assert!(gaps.is_empty(), "too rare to mean something:\n{}", gaps.join("\n"));
}
