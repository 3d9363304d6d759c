//! No executor runs without a clearance, and none runs twice on one: what must not compile does not, for the reason
//! written beside it, and its twin that differs in just that compiles.

#[test]
fn nothing_is_executed_without_a_clearance_or_twice_on_one() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/executors/*_compiles.rs");
    cases.compile_fail("tests/executors/*_does_not.rs");
}
