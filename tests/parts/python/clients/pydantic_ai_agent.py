"""A Pydantic AI agent whose model follows the script."""

import asyncio
from typing import Any

import scenario
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel


def scripted(calls: list[dict[str, Any]], received: list[scenario.Received]) -> FunctionModel:
    """A model that calls the given tools one after the other, and notes what came back."""

    def respond(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        answers = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
        received[:] = [
            scenario.Received(part.tool_name, part.model_response_str(), part.outcome != "success")
            for part in answers
        ]
        if len(answers) == len(calls):
            return ModelResponse(parts=[TextPart("done")])
        call = calls[len(answers)]
        return ModelResponse(parts=[ToolCallPart(call["tool"], call["arguments"])])

    return FunctionModel(respond)


async def main() -> None:
    todo = scenario.read()
    received: list[scenario.Received] = []
    # As many refusals as the script holds may come back before the agent gives up.
    toolset = MCPToolset(
        todo.url,
        headers=todo.headers,
        read_timeout=scenario.PATIENCE_S,
        max_retries=len(todo.calls),
    )
    agent = Agent(scripted(todo.calls, received), toolsets=[toolset])
    await agent.run("Do your work.")
    scenario.report(received)


asyncio.run(main())
