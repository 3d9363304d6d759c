// Anthropic's official client, by base URL and key alone.
const asks = require("./asks.cjs");
const { Anthropic } = asks.load("@anthropic-ai/sdk");

const TOOL = { name: "weather", description: "Weather", input_schema: asks.WEATHER };
const client = (ask) => new Anthropic({ apiKey: ask.token, timeout: 60_000 });
const request = (ask) => ({
  model: ask.model,
  messages: [{ role: "user", content: ask.says }],
  max_tokens: ask.most ?? 500,
});

const told = (message) => {
  const texts = message.content.filter((block) => block.type === "text").map((block) => block.text);
  return { text: texts.join(""), stop: message.stop_reason, output: message.usage.output_tokens };
};

const messages = async (ask) => told(await client(ask).messages.create(request(ask)));
const messages_stream = async (ask) => told(await client(ask).messages.stream(request(ask)).finalMessage());

const tools = async (ask) => {
  const asked = { ...request(ask), tools: [TOOL] };
  const first = await client(ask).messages.create(asked);
  const call = first.content.find((block) => block.type === "tool_use");
  const result = { type: "tool_result", tool_use_id: call.id, content: "Sunny" };
  asked.messages.push({ role: "assistant", content: first.content }, { role: "user", content: [result] });
  const last = await client(ask).messages.create(asked);
  return { tool: call.name, city: call.input.city, stop: first.stop_reason, text: told(last).text };
};

const tools_stream = async (ask) => {
  const message = await client(ask).messages.stream({ ...request(ask), tools: [TOOL] }).finalMessage();
  const call = message.content.find((block) => block.type === "tool_use");
  return { tool: call.name, city: call.input.city, stop: message.stop_reason };
};

const image = (ask) => {
  const source = { type: "base64", media_type: "image/png", data: asks.IMAGE };
  return messages({ ...ask, says: [{ type: "text", text: ask.says }, { type: "image", source }] });
};

const count_tokens = async (ask) => {
  const { max_tokens: _, ...asked } = request(ask);
  return { tokens: (await client(ask).messages.countTokens(asked)).input_tokens };
};

const models = async (ask) => {
  const names = [];
  for await (const model of client(ask).models.list()) names.push(model.id);
  return { models: names, one: (await client(ask).models.retrieve(names[0])).id };
};

asks.run({ messages, messages_stream, tools, tools_stream, image, count_tokens, models });
