//! JSON Pointers (RFC 6901).

/// Appends a reference token, escaped (section 3).
pub fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    if token.contains(['~', '/']) {
        pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(token);
    }
}

/// The pointer to a member of what `pointer` is to.
pub fn member_pointer(pointer: &str, name: &str) -> String {
    let mut member = pointer.to_owned();
    push_token(&mut member, name);
    member
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_escaped_so_that_they_can_be_told_apart() {
        let mut pointer = String::new();
        for name in ["a/b", "m~n", "~1", ""] {
            super::push_token(&mut pointer, name);
        }
        assert_eq!(pointer, "/a~1b/m~0n/~01/");
    }
}
