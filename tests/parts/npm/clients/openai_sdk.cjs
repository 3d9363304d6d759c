// OpenAI's official client, by base URL and key alone.
const asks = require("./asks.cjs");
const { OpenAI } = asks.load("openai");

const TOOL = { type: "function", function: { name: "weather", description: "Weather", parameters: asks.WEATHER } };
const client = (ask) => new OpenAI({ apiKey: ask.token, timeout: 60_000 });
const user = (ask) => [{ role: "user", content: ask.says }];
const request = (ask) => ({ model: ask.model, messages: user(ask), max_completion_tokens: ask.most ?? 500 });

const chat = async (ask) => {
  const answer = await client(ask).chat.completions.create(request(ask));
  const [{ message, finish_reason: stop }] = answer.choices;
  return { text: message.content, stop, output: answer.usage.completion_tokens };
};

const chat_stream = async (ask) => {
  const options = { stream: true, stream_options: { include_usage: true } };
  let [text, stop, output] = ["", null, null];
  for await (const chunk of await client(ask).chat.completions.create({ ...request(ask), ...options })) {
    output = chunk.usage?.completion_tokens ?? output;
    for (const choice of chunk.choices) {
      text += choice.delta.content ?? "";
      stop = choice.finish_reason ?? stop;
    }
  }
  return { text, stop, output };
};

const tools = async (ask) => {
  const asked = { ...request(ask), tools: [TOOL] };
  const first = await client(ask).chat.completions.create(asked);
  const [{ message, finish_reason: stop }] = first.choices;
  const [call] = message.tool_calls;
  asked.messages.push(message, { role: "tool", tool_call_id: call.id, content: "Sunny" });
  const last = await client(ask).chat.completions.create(asked);
  const { city } = JSON.parse(call.function.arguments);
  return { tool: call.function.name, city, stop, text: last.choices[0].message.content };
};

const tools_stream = async (ask) => {
  const stream = client(ask).chat.completions.stream({ ...request(ask), tools: [TOOL] });
  const { message, finish_reason: stop } = (await stream.finalChatCompletion()).choices[0];
  const [call] = message.tool_calls;
  return { tool: call.function.name, city: JSON.parse(call.function.arguments).city, stop };
};

const image = (ask) => {
  const url = `data:image/png;base64,${asks.IMAGE}`;
  return chat({ ...ask, says: [{ type: "text", text: ask.says }, { type: "image_url", image_url: { url } }] });
};

const told = (answer) => ({ text: answer.output_text, stop: answer.status, output: answer.usage.output_tokens });
const asked = (ask) => ({ model: ask.model, input: ask.says, max_output_tokens: ask.most ?? 500 });
const responses = async (ask) => told(await client(ask).responses.create(asked(ask)));
const responses_stream = async (ask) => told(await client(ask).responses.stream(asked(ask)).finalResponse());

const embeddings = async (ask) => {
  const { data } = await client(ask).embeddings.create({ model: ask.model, input: [ask.says, "and another"] });
  return { vectors: data.length, numbers: data[0].embedding.length };
};

const models = async (ask) => {
  const names = [];
  for await (const model of client(ask).models.list()) names.push(model.id);
  return { models: names, one: (await client(ask).models.retrieve(names[0])).id };
};

asks.run({
  chat,
  chat_stream,
  tools,
  tools_stream,
  image,
  responses,
  responses_stream,
  embeddings,
  models,
});
