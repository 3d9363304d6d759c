"""A LangGraph agent whose chat model follows the script."""

import asyncio
from typing import Any

import scenario
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_mcp_adapters.client import MultiServerMCPClient
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import PrivateAttr


class ScriptedModel(BaseChatModel):
    """Calls the given tools one after the other, and remembers what came back."""

    calls: list[dict[str, Any]]
    _received: list[scenario.Received] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        answers = [message for message in messages if isinstance(message, ToolMessage)]
        self._received = [
            scenario.Received(answer.name or "", scenario.text_of(answer.content), answer.status == "error")
            for answer in answers
        ]
        if len(answers) == len(self.calls):
            return ChatResult(generations=[ChatGeneration(message=AIMessage("done"))])
        call = self.calls[len(answers)]
        wanted = {"name": call["tool"], "args": call["arguments"], "id": f"call-{len(answers)}"}
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", tool_calls=[wanted]))])


async def main() -> None:
    todo = scenario.read()
    connection = {
        "transport": "streamable_http",
        "url": todo.url,
        "headers": todo.headers,
        "timeout": scenario.PATIENCE_S,
        "sse_read_timeout": scenario.PATIENCE_S,
    }
    tools = await MultiServerMCPClient({"tools": connection}).get_tools()
    model = ScriptedModel(calls=todo.calls)

    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    await graph.compile().ainvoke({"messages": [HumanMessage("Do your work.")]})
    scenario.report(model._received)


asyncio.run(main())
