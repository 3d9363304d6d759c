"""An agent of the OpenAI Agents SDK whose model follows the script."""

import asyncio
import json
from typing import Any

import scenario
from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText


class ScriptedModel(Model):
    """Calls the given tools one after the other, and remembers what came back."""

    def __init__(self, calls: list[dict[str, Any]]) -> None:
        self.calls = calls
        self.received: list[scenario.Received] = []

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> ModelResponse:
        items = [] if isinstance(input, str) else input
        outputs = [item for item in items if item.get("type") == "function_call_output"]
        self.received = [
            scenario.Received(call["tool"], scenario.text_of(output_text(item["output"])), None)
            for call, item in zip(self.calls, outputs, strict=False)
        ]
        output = self.finish() if len(outputs) == len(self.calls) else self.call(len(outputs))
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def call(self, index: int) -> ResponseFunctionToolCall:
        call = self.calls[index]
        return ResponseFunctionToolCall(
            call_id=f"call-{index}",
            name=call["tool"],
            arguments=json.dumps(call["arguments"]),
            type="function_call",
        )

    def finish(self) -> ResponseOutputMessage:
        text = ResponseOutputText(annotations=[], text="done", type="output_text")
        return ResponseOutputMessage(id="message", content=[text], role="assistant", status="completed", type="message")

    def stream_response(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("the scripted model is not asked to stream")


def output_text(output: Any) -> Any:
    """A tool's output: a text, or a JSON text of one content block or of several."""
    if not isinstance(output, str):
        return output if isinstance(output, list) else [output]
    try:
        parsed = json.loads(output)
    except json.JSONDecodeError:
        return output
    if isinstance(parsed, dict) and parsed.get("type") == "text":
        return [parsed]
    return parsed if isinstance(parsed, list) else output


async def main() -> None:
    todo = scenario.read()
    set_tracing_disabled(True)
    model = ScriptedModel(todo.calls)
    params = {
        "url": todo.url,
        "headers": todo.headers,
        "timeout": scenario.PATIENCE_S,
        "sse_read_timeout": scenario.PATIENCE_S,
    }
    server = MCPServerStreamableHttp(params, client_session_timeout_seconds=scenario.PATIENCE_S)
    async with server:
        agent = Agent(name="scripted", model=model, mcp_servers=[server])
        await Runner.run(agent, "Do your work.", run_config=RunConfig(tracing_disabled=True), max_turns=50)
    scenario.report(model.received)


asyncio.run(main())
