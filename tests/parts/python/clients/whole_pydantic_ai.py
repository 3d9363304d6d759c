"""A Pydantic AI agent with a model of either vendor."""

import asyncio

import whole_agent
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

MODELS = {"chat": OpenAIChatModel, "responses": OpenAIResponsesModel, "anthropic": AnthropicModel}


async def main() -> None:
    job = whole_agent.read()
    agent = Agent(MODELS[job.way](job.model), toolsets=[MCPToolset(job.mcp, headers=job.headers)])
    result = await agent.run(job.prompt)
    parts = [part for message in result.all_messages() for part in message.parts]
    answers = [part.model_response_str() for part in parts if isinstance(part, ToolReturnPart)]
    whole_agent.report(result.output, answers)


asyncio.run(main())
