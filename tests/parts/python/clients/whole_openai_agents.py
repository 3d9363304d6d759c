"""An agent of the OpenAI Agents SDK with a model through the responses or the chat API."""

import asyncio

import whole_agent
from agents import Agent, RunConfig, Runner, set_default_openai_api, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp


async def main() -> None:
    job = whole_agent.read()
    set_tracing_disabled(True)
    set_default_openai_api("responses" if job.way.startswith("responses") else "chat_completions")
    async with MCPServerStreamableHttp({"url": job.mcp, "headers": job.headers}) as server:
        agent = Agent(name="whole", model=job.model, mcp_servers=[server])
        config = RunConfig(tracing_disabled=True)
        if job.way.endswith("stream"):
            result = Runner.run_streamed(agent, job.prompt, run_config=config)
            async for _ in result.stream_events():
                pass
        else:
            result = await Runner.run(agent, job.prompt, run_config=config)
    answers = [str(item.output) for item in result.new_items if item.type == "tool_call_output_item"]
    whole_agent.report(result.final_output, answers)


asyncio.run(main())
