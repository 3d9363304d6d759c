//! Annotations and what is wrong with them.

use std::time::Duration;

use ringfence_types::Decision;

use super::*;

#[test]
fn annotations_say_what_a_permit_decides() {
    let (set, diagnostics) = compiled(
        r#"
        @id("narrow") @decision("allow_with_constraints") @constraints("{ max_replicas: 10, timeout: 30s }")
        permit (principal, action, resource);
        @decision("REQUIRE_APPROVAL") @approvers("lead, security,lead") @quorum("2") @expires("1h") @reason(" Ask. ")
        @constraints("max_replicas: 3
allowed_zone: [eu, us]") @mode("shadow") @description("for readers")
        permit (principal, action, resource);
        @id("no") @decision("deny") @mode("enforce") forbid (principal, action, resource);
        "#,
    );
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let [narrow, ask, no] = set.rules() else { panic!("three rules") };
    assert_eq!(
        (narrow.effect.decision, narrow.effect.constraints.timeout),
        (Decision::AllowWithConstraints, Some(Duration::from_secs(30)))
    );
    assert_eq!(narrow.effect.constraints.arguments.len(), 1);
    assert_eq!(
        (ask.effect.name.as_str(), ask.effect.decision, ask.effect.shadow),
        ("rules.cedar:4", Decision::RequireApproval, true)
    );
    assert_eq!((ask.effect.reason.as_str(), ask.effect.constraints.arguments.len()), ("Ask.", 2));
    let terms = ask.effect.approval.as_ref().unwrap();
    assert_eq!(terms.approvers.iter().map(Role::as_str).collect::<Vec<_>>(), ["lead", "security"]);
    assert_eq!((terms.quorum, terms.expires), (2, Duration::from_hours(1)));
    assert_eq!((no.effect.decision, no.effect.shadow, no.place.line), (Decision::Deny, false, 8));
}

#[test]
fn everything_wrong_is_reported_at_once_with_its_place() {
    let (_, diagnostics) = compiled(
        r#"@decision("maybe") permit (principal, action, resource);
@decision("allow") forbid (principal, action, resource);
@constrains("x") permit (principal, action, resource);
@constraints("max_x: 1") permit (principal, action, resource);
@constraints("max_x: 1") forbid (principal, action, resource);
@decision("allow_with_constraints") permit (principal, action, resource);
@decision("allow_with_constraints") @constraints("max_x: {") permit (principal, action, resource);
@decision("allow_with_constraints") @constraints("mux_x: 1") permit (principal, action, resource);
@approvers("lead") permit (principal, action, resource);
@decision("require_approval") @approvers("le ad") @quorum("0") @expires("soon") permit (principal, action, resource);
@decision("require_approval") @expires("300d") permit (principal, action, resource);
@mode("quiet") @reason("") permit (principal, action, resource);
@id("") permit (principal, action, resource);
permit (principal == ?principal, action, resource);
forbid (principal, action, resource == Host::"Evil.example.");
"#,
    );
    insta::assert_snapshot!(listed(&diagnostics));
}

#[test]
fn mistakes_of_syntax_are_reported_with_their_places() {
    let (_, diagnostics) = compiled(
        "permit (principal, action, resource) when { context.size == };\n\npermit (principal action, resource);\n\
         @id(\"a\") @id(\"b\") permit (principal, action, resource);\nforbid (principal, action, resource) when { context.x.y( };\n",
    );
    insta::assert_snapshot!(listed(&diagnostics));
}
