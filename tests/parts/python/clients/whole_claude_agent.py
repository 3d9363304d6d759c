"""An agent of the Claude Agent SDK, with the program that its package brings."""

import asyncio

import scenario
import whole_agent
from claude_agent_sdk import ClaudeAgentOptions, ResultMessage, ToolResultBlock, UserMessage, query


async def main() -> None:
    job = whole_agent.read()
    options = ClaudeAgentOptions(
        model=job.model,
        tools=[],
        mcp_servers={"papers": {"type": "http", "url": job.mcp, "headers": job.headers}},
        strict_mcp_config=True,
        allowed_tools=["mcp__papers"],
        setting_sources=[],
        max_turns=5,
    )
    answers, text = [], ""
    async for message in query(prompt=job.prompt, options=options):
        if isinstance(message, UserMessage) and isinstance(message.content, list):
            blocks = [block for block in message.content if isinstance(block, ToolResultBlock)]
            answers += [scenario.text_of(block.content or "") for block in blocks]
        if isinstance(message, ResultMessage):
            text = message.result or str(message)
    whole_agent.report(text, answers)


asyncio.run(main())
