"""Anthropic's official client, by base URL and key alone."""

from __future__ import annotations

from typing import Any

import anthropic
import asks

TOOL = {"name": "weather", "description": "Weather", "input_schema": asks.WEATHER}


def client(ask: dict[str, Any]) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=ask["token"], timeout=60)


def request(ask: dict[str, Any]) -> dict[str, Any]:
    messages = [{"role": "user", "content": ask["says"]}]
    return {"model": ask["model"], "messages": messages, "max_tokens": ask.get("most", 500)}


def shown(message: anthropic.types.Message) -> dict[str, Any]:
    text = "".join(block.text for block in message.content if block.type == "text")
    return {"text": text, "stop": message.stop_reason, "output": message.usage.output_tokens}


def messages(ask: dict[str, Any]) -> Any:
    return shown(client(ask).messages.create(**request(ask)))


def messages_stream(ask: dict[str, Any]) -> Any:
    with client(ask).messages.stream(**request(ask)) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    return {**shown(message), "text": text}


def tools(ask: dict[str, Any]) -> Any:
    """The tool is called, its result goes back, and a text ends it."""
    own, asked = client(ask), request(ask)
    first = own.messages.create(**asked, tools=[TOOL])
    call = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Sunny"}
    asked["messages"] += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    last = own.messages.create(**asked, tools=[TOOL])
    return {"tool": call.name, "city": call.input["city"], "stop": first.stop_reason, "text": shown(last)["text"]}


def tools_stream(ask: dict[str, Any]) -> Any:
    with client(ask).messages.stream(**request(ask), tools=[TOOL]) as stream:
        message = stream.get_final_message()
    call = next(block for block in message.content if block.type == "tool_use")
    return {"tool": call.name, "city": call.input["city"], "stop": message.stop_reason}


def image(ask: dict[str, Any]) -> Any:
    source = {"type": "base64", "media_type": "image/png", "data": asks.IMAGE}
    content = [{"type": "text", "text": ask["says"]}, {"type": "image", "source": source}]
    return messages({**ask, "says": content})


def count_tokens(ask: dict[str, Any]) -> Any:
    asked = request(ask)
    del asked["max_tokens"]
    return {"tokens": client(ask).messages.count_tokens(**asked).input_tokens}


def models(ask: dict[str, Any]) -> Any:
    own = client(ask)
    names = [model.id for model in own.models.list()]
    return {"models": names, "one": own.models.retrieve(names[0]).id}


WAYS = [messages, messages_stream, tools, tools_stream, image, count_tokens, models]
asks.run({way.__name__: way for way in WAYS}, anthropic.AnthropicError)
