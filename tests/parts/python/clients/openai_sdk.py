"""OpenAI's official client, by base URL and key alone."""

from __future__ import annotations

import json
from typing import Any

import asks
import openai

TOOL = {"type": "function", "function": {"name": "weather", "description": "Weather", "parameters": asks.WEATHER}}


def client(ask: dict[str, Any]) -> openai.OpenAI:
    return openai.OpenAI(api_key=ask["token"], timeout=60)


def user(ask: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": ask["says"]}]


def chat(ask: dict[str, Any]) -> Any:
    answer = client(ask).chat.completions.create(
        model=ask["model"], messages=user(ask), max_completion_tokens=ask.get("most", 500)
    )
    choice = answer.choices[0]
    return {"text": choice.message.content, "stop": choice.finish_reason, "output": answer.usage.completion_tokens}


def chat_stream(ask: dict[str, Any]) -> Any:
    text, stop, output = "", None, None
    options = {"include_usage": True}
    for chunk in client(ask).chat.completions.create(
        model=ask["model"],
        messages=user(ask),
        max_completion_tokens=ask.get("most", 500),
        stream=True,
        stream_options=options,
    ):
        if chunk.usage:
            output = chunk.usage.completion_tokens
        for choice in chunk.choices:
            text += choice.delta.content or ""
            stop = choice.finish_reason or stop
    return {"text": text, "stop": stop, "output": output}


def tools(ask: dict[str, Any]) -> Any:
    """The tool is called, its result goes back, and a text ends it."""
    messages = user(ask)
    own = client(ask)
    answer = own.chat.completions.create(model=ask["model"], messages=messages, tools=[TOOL])
    message = answer.choices[0].message
    call = message.tool_calls[0]
    messages += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "Sunny"}]
    last = own.chat.completions.create(model=ask["model"], messages=messages, tools=[TOOL])
    return {
        "tool": call.function.name,
        "city": json.loads(call.function.arguments)["city"],
        "stop": answer.choices[0].finish_reason,
        "text": last.choices[0].message.content,
    }


def tools_stream(ask: dict[str, Any]) -> Any:
    own = client(ask)
    with own.chat.completions.stream(model=ask["model"], messages=user(ask), tools=[TOOL]) as stream:
        for _ in stream:
            pass
        choice = stream.get_final_completion().choices[0]
    call = choice.message.tool_calls[0].function
    return {"tool": call.name, "city": json.loads(call.arguments)["city"], "stop": choice.finish_reason}


def image(ask: dict[str, Any]) -> Any:
    content = [
        {"type": "text", "text": ask["says"]},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{asks.IMAGE}"}},
    ]
    return chat({**ask, "says": content})


def responses(ask: dict[str, Any]) -> Any:
    answer = client(ask).responses.create(
        model=ask["model"], input=ask["says"], max_output_tokens=ask.get("most", 500)
    )
    return {"text": answer.output_text, "stop": answer.status, "output": answer.usage.output_tokens}


def responses_stream(ask: dict[str, Any]) -> Any:
    own = client(ask)
    with own.responses.stream(
        model=ask["model"], input=ask["says"], max_output_tokens=ask.get("most", 500)
    ) as stream:
        for _ in stream:
            pass
        answer = stream.get_final_response()
    return {"text": answer.output_text, "stop": answer.status, "output": answer.usage.output_tokens}


def embeddings(ask: dict[str, Any]) -> Any:
    answer = client(ask).embeddings.create(model=ask["model"], input=[ask["says"], "and another"])
    return {"vectors": len(answer.data), "numbers": len(answer.data[0].embedding)}


def models(ask: dict[str, Any]) -> Any:
    own = client(ask)
    names = [model.id for model in own.models.list()]
    return {"models": names, "one": own.models.retrieve(names[0]).id}


WAYS = [chat, chat_stream, tools, tools_stream, image, responses, responses_stream, embeddings, models]
asks.run({way.__name__: way for way in WAYS}, openai.OpenAIError)
