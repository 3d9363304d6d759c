//! What the events of each API mean.

use ringfence_json::{Object, Value};

use super::meter::{Meter, Pass, instead};
use super::output::{Output, Part, block, chat, each, item, object, objects, opaque, texts};
use super::usage::{Anthropic, openai};
use super::whole::{anthropic_tier, ending, failure, tier, word};
use super::{Failed, hosted};
use crate::Api;
use crate::events::Event;

impl Meter {
    /// A chunk of Chat Completions. The usage comes in a chunk of its own at the end, without choices; some providers put
    /// it into the last chunk with choices, or into all.
    pub(super) fn chat(&mut self, event: &Event, mut chunk: Object) -> Pass {
        let mut has_choices = false;
        for choice in objects(&chunk, "choices") {
            has_choices = true;
            let said = object(choice, "delta").or_else(|| object(choice, "message"));
            if let Some(said) = said {
                chat(said, &mut |part| self.write(part));
            }
            self.finish = word(choice, "finish_reason").or_else(|| self.finish.take());
        }
        self.tier = tier(&chunk).or_else(|| self.tier.take());
        let usage = object(&chunk, "usage").map(openai);
        if let Some(usage) = usage {
            self.report(usage);
        }
        if let Some(failed) = failure(&chunk) {
            self.failed = Some(failed);
            // No more follows an error, whether `[DONE]` does or not.
            self.finished = true;
        }
        if !self.hide_usage || !chunk.contains("usage") {
            return Pass::AsIs;
        }
        if usage.is_some() && !has_choices && !chunk.contains("error") {
            return Pass::Hidden;
        }
        chunk.remove("usage");
        instead(event, chunk)
    }

    /// An event of the Messages API: input counts come first, output counts when the message ends.
    pub(super) fn message(&mut self, event: &Event, data: &Object) -> Pass {
        match kind(event, data) {
            "message_start" => {
                if let Some(message) = object(data, "message") {
                    self.repeated |= self.stated.is_some();
                    self.state(object(message, "usage"));
                    objects(message, "content").for_each(|one| block(one, &mut |part| self.write(part)));
                }
            }
            "content_block_start" => {
                if let Some(started) = object(data, "content_block") {
                    // What follows need not be shown.
                    self.begun |= started.text("type") != Some("text");
                    block(started, &mut |part| self.write(part));
                }
            }
            "content_block_delta" => {
                if let Some(delta) = object(data, "delta") {
                    texts(delta, &["text", "partial_json", "thinking"], &mut |part| self.write(part));
                }
            }
            "message_delta" => {
                let reason = object(data, "delta").and_then(|delta| word(delta, "stop_reason"));
                self.finish = reason.or_else(|| self.finish.take());
                let usage = object(data, "usage");
                let counts = usage.is_some_and(|usage| usage.contains("output_tokens"));
                self.is_output_final |= self.finish.is_some() && counts;
                self.state(usage);
            }
            "message_stop" => self.finished = true,
            "error" => {
                self.failed = failure(data).or_else(|| Some(Failed { kind: "error".into() }));
                self.finished = true;
            }
            _ => {}
        }
        Pass::AsIs
    }

    fn state(&mut self, usage: Option<&Object>) {
        let Some(usage) = usage else { return };
        let new = Anthropic::read(usage);
        self.stated.get_or_insert(new).take(&new);
        self.use_hosted(hosted::anthropic(usage));
        self.tier = anthropic_tier(usage).or_else(|| self.tier.take());
    }

    /// An event of the Responses API: what is written comes as deltas, and all of it again at the end.
    pub(super) fn response(&mut self, event: &Event, data: &Object) -> Pass {
        if let Some(number) = data.get("sequence_number").and_then(Value::as_u64) {
            self.next_number = number.saturating_add(1);
        }
        match kind(event, data) {
            "response.output_item.added" => {
                if let Some(item) = object(data, "item") {
                    self.begun |= item.text("type") != Some("message");
                    texts(item, &["name"], &mut |part| self.write(part));
                }
            }
            "response.output_item.done" => {
                if let Some(tool) = object(data, "item").and_then(hosted::of_item) {
                    hosted::add(&mut self.hosted, tool);
                }
                if let Some(item) = object(data, "item") {
                    opaque(item, "encrypted_content", &mut |part| self.write(part));
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                if let Some(response) = object(data, "response") {
                    self.response_ends(response);
                }
                self.finished = true;
            }
            "error" => {
                let kind = word(data, "code").map(|kind| Failed { kind });
                self.failed = failure(data).or(kind).or_else(|| Some(Failed { kind: "error".into() }));
                self.finished = true;
            }
            // Every kind of delta is something the model wrote; a sound is encoded.
            kind => {
                if let Some(delta) = data.text("delta").filter(|delta| !delta.is_empty()) {
                    let is_sound = kind == "response.audio.delta";
                    self.write(if is_sound { Part::Opaque(delta) } else { Part::Text(delta) });
                }
            }
        }
        Pass::AsIs
    }

    fn response_ends(&mut self, response: &Object) {
        if let Some(usage) = object(response, "usage") {
            self.report(openai(usage));
        }
        let (uses, is_sound) = hosted::openai(response);
        if response.contains("tool_usage") {
            // It says what of the uses that were seen costs something.
            self.hosted.clear();
        }
        self.use_hosted((uses, is_sound));
        self.tier = tier(response).or_else(|| self.tier.take());
        self.finish = ending(response);
        if let Some(failed) = failure(response) {
            self.failed = Some(failed);
        } else if response.text("status") == Some("failed") {
            self.failed = Some(Failed { kind: "failed".into() });
        }
        self.count_again(response);
    }

    /// What was written may not have come as deltas at all.
    fn count_again(&mut self, response: &Object) {
        let mut bytes = Output::default();
        each(Api::Responses, response, &mut |part| bytes.add(None, part));
        if bytes.bytes > self.output.bytes {
            self.output = Output::default();
            objects(response, "output").for_each(|one| item(one, &mut |part| self.write(part)));
        }
    }
}

/// The data says what kind of event it is; its name says the same.
fn kind<'a>(event: &'a Event, data: &'a Object) -> &'a str {
    data.text("type").or(event.name.as_deref()).unwrap_or_default()
}
