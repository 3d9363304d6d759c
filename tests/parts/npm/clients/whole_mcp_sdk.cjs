// A whole agent for Node: its tools by the SDK of the Model Context Protocol, its model by OpenAI's official client. As
// whole_agent.py beside the Python ones: SCRIPT MCP_URL MODEL PROMPT WAY; the address of the model comes from the library's own
// variables. Prints one JSON list: the last words of the agent, and what each tool answered.
const asks = require("./asks.cjs");
const { Client } = asks.load("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = asks.load("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { OpenAI } = asks.load("openai");

const plain = async (openai, request) => (await openai.chat.completions.create(request)).choices[0].message;

const streamed = async (openai, request) => {
  const stream = openai.chat.completions.stream(request);
  return (await stream.finalChatCompletion()).choices[0].message;
};

const textOf = (result) => result.content.map((block) => block.text ?? "").join("");

async function main([url, model, prompt, way]) {
  const ask = { plain, stream: streamed }[way];
  const client = new Client({ name: "whole-agent", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  const { tools } = await client.listTools();
  const functions = tools.map(({ name, description, inputSchema }) => ({
    type: "function",
    function: { name, description, parameters: inputSchema },
  }));
  const openai = new OpenAI();
  const messages = [{ role: "user", content: prompt }];
  const answers = [];
  for (;;) {
    const message = await ask(openai, { model, messages, tools: functions });
    if (!message.tool_calls?.length) {
      await client.close();
      console.log(JSON.stringify([message.content, ...answers]));
      return;
    }
    messages.push(message);
    for (const call of message.tool_calls) {
      const args = JSON.parse(call.function.arguments);
      const text = textOf(await client.callTool({ name: call.function.name, arguments: args }));
      answers.push(text);
      messages.push({ role: "tool", tool_call_id: call.id, content: text });
    }
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
