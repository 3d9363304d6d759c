"""FastMCP's client."""

import asyncio

import scenario
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


async def main() -> None:
    todo = scenario.read()
    received = []
    transport = StreamableHttpTransport(todo.url, headers=todo.headers)
    async with Client(transport, timeout=scenario.PATIENCE_S) as client:
        await client.list_tools()
        for call in todo.calls:
            result = await client.call_tool(call["tool"], call["arguments"], raise_on_error=False)
            received.append(scenario.Received(call["tool"], scenario.text_of(result.content), bool(result.is_error)))
    scenario.report(received)


asyncio.run(main())
