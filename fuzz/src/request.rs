//! What holds of every request for a model that is taken.
//!
//! The switches are `pass_unknown`, `stored`, `remote` and hosted tools; the number is the limit that is set.

use ringfence_json::{Limits, Object, Value, parse};
use ringfence_llm::Api;
use ringfence_llm::request::{
    Asked, ChatLimit, Switches, apply_narrowed, ask_usage, canonical_for_cache, read, rules_view,
    set_answers, set_model, set_output, set_store_false,
};

use crate::head;

/// Reads the bytes as a request; returns whether it is taken.
pub fn check(data: &[u8]) -> bool {
    let Some((head, rest)) = head::read(data) else { return false };
    let Some(api) = Api::ALL.into_iter().find(|api| api.word() == head.word) else { return false };
    let Some(request) = object(rest) else { return false };
    let hosted = ["web_search", "web_fetch", "code_execution", "code_interpreter", "file_search", "mcp", "x"];
    let on = |bit: u64| head.switches >> bit & 1 == 1;
    let switches = Switches {
        pass_unknown: on(0),
        stored: on(1),
        remote: on(2),
        hosted: if on(3) { hosted.map(Into::into).to_vec() } else { Vec::new() },
    };
    let Ok(asked) = read(api, &request, &switches) else { return false };
    let case = Case { api, request, switches, asked };
    case.is_read_the_same_again();
    case.can_be_changed(1 + head.number % 1_000_000);
    case.can_be_narrowed(1 + head.number % 100);
    case.is_the_same_for_the_cache();
    true
}

fn object(data: &[u8]) -> Option<Object> {
    parse(data, &Limits::default()).ok()?.into_object()
}

struct Case {
    api: Api,
    request: Object,
    switches: Switches,
    asked: Asked,
}

impl Case {
    fn read(&self, request: &Object) -> Asked {
        let read = read(self.api, request, &self.switches);
        read.unwrap_or_else(|objection| panic!("changed, it is refused: {objection:?}"))
    }

    fn is_read_the_same_again(&self) {
        let written = Value::Object(self.request.clone()).to_bytes();
        assert!(
            self.read(&object(&written).expect("what was written is JSON")) == self.asked,
            "written, it says something else"
        );
    }

    /// What is sent asks for what was decided, and for nothing that was not there.
    fn can_be_changed(&self, limit: u64) {
        for unsaid in [ChatLimit::MaxCompletionTokens, ChatLimit::MaxTokens] {
            let mut request = self.request.clone();
            if set_output(&mut request, self.api, limit, unsaid).is_ok() {
                let asked = self.read(&request);
                assert_eq!(asked.output, Some(limit), "another limit is set than is read");
                assert!(
                    Asked { output: None, text_bytes: 0, ..asked }
                        == Asked { output: None, text_bytes: 0, ..self.asked.clone() }
                );
            } else {
                assert!(request == self.request, "refused and changed all the same");
            }
        }
        let mut request = self.request.clone();
        set_model(&mut request, "another-name");
        ask_usage(&mut request, self.api);
        let asked = self.read(&request);
        assert_eq!(asked.model, "another-name");
        assert!(asked.usage_asked, "the usage will not come");
        set_store_false(&mut request, self.api, true);
        assert!(!self.asked.keep_out || !self.read(&request).stores, "it is kept all the same");
        let mut request = self.request.clone();
        if self.api == Api::Chat && set_answers(&mut request, self.api, 3).is_ok() {
            assert_eq!(self.read(&request).answers, 3);
        }
    }

    /// What a rule makes of the limit is what is sent.
    fn can_be_narrowed(&self, limit: u64) {
        let before = rules_view(&self.asked);
        let mut request = self.request.clone();
        apply_narrowed(&mut request, self.api, &before, &before, ChatLimit::MaxTokens)
            .expect("nothing was changed");
        assert!(request == self.request, "nothing was changed, and it is another request");
        let mut after = before.clone();
        after.insert("max_output_tokens", limit);
        let applied = apply_narrowed(&mut request, self.api, &before, &after, ChatLimit::MaxTokens);
        let may = self.asked.output.is_none_or(|said| limit <= said);
        match applied {
            Ok(()) => {
                assert!(may, "a rule has raised the limit");
                assert_eq!(self.read(&request).output, Some(limit), "another limit is set than is read");
            }
            Err(_) => assert!(request == self.request, "refused and changed all the same"),
        }
        let mut other = before.clone();
        other.insert("model", "dearer");
        let applied = apply_narrowed(&mut request, self.api, &before, &other, ChatLimit::MaxTokens);
        assert!(applied.is_err() || self.asked.model == "dearer", "a rule has changed the model");
    }

    fn is_the_same_for_the_cache(&self) {
        let key = canonical_for_cache(self.api, &self.request);
        let mut request = self.request.clone();
        set_model(&mut request, "another-name");
        ask_usage(&mut request, self.api);
        assert!(canonical_for_cache(self.api, &request) == key, "the key holds what no answer depends on");
        for name in ["messages", "input", "system", "tools"] {
            let mut request = self.request.clone();
            if request.get(name).is_some_and(|value| !value.is_null()) {
                request.insert(name, "something else altogether");
                let is_same =
                    self.request.get(name).and_then(Value::as_str) == Some("something else altogether");
                assert!(
                    is_same || canonical_for_cache(self.api, &request) != key,
                    "{name} is not in the key"
                );
            }
        }
    }
}
