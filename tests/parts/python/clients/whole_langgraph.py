"""A LangGraph agent with a model of langchain-openai or langchain-anthropic."""

import asyncio

import scenario
import whole_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


def model_of(job: whole_agent.Job):
    if job.way == "anthropic":
        return ChatAnthropic(model=job.model, max_tokens=500)
    return ChatOpenAI(model=job.model, streaming=job.way == "stream")


async def main() -> None:
    job = whole_agent.read()
    server = {"transport": "streamable_http", "url": job.mcp, "headers": job.headers}
    tools = await MultiServerMCPClient({"tools": server}).get_tools()
    model = model_of(job).bind_tools(tools)

    async def ask(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", ask)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    state = await graph.compile().ainvoke({"messages": [HumanMessage(job.prompt)]})
    messages = state["messages"]
    answers = [scenario.text_of(message.content) for message in messages if isinstance(message, ToolMessage)]
    whole_agent.report(scenario.text_of(messages[-1].content), answers)


asyncio.run(main())
