"""The official client library. Its protocol era comes from MCP_MODE: auto, legacy or a version."""

import asyncio
import os

import httpx2
import scenario
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client


async def main() -> None:
    todo = scenario.read()
    received = []
    async with httpx2.AsyncClient(headers=todo.headers, timeout=scenario.PATIENCE_S) as http:
        transport = streamable_http_client(todo.url, http_client=http)
        async with Client(transport, mode=os.environ.get("MCP_MODE", "auto")) as client:
            await client.list_tools()
            for call in todo.calls:
                result = await client.call_tool(call["tool"], call["arguments"])
                received.append(
                    scenario.Received(call["tool"], scenario.text_of(result.content), bool(result.is_error))
                )
    scenario.report(received)


asyncio.run(main())
