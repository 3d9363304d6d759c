// A tool server over standard input and output that fetches what it is asked to: by the proxy of its sandbox, if there is one.
const http = require("http");
const { createInterface } = require("readline");

const answer = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result }) + "\n");

const text = (id, value) => answer(id, { content: [{ type: "text", text: value }] });

function fetched(id, url) {
  const through = { host: "gateway", port: 3128, path: url, headers: { host: new URL(url).host } };
  const request = http.get(through, (response) => {
    let body = "";
    response.on("data", (piece) => (body += piece));
    response.on("end", () => text(id, `${response.statusCode} ${body}`));
    response.on("error", (error) => text(id, `cut ${error.code}`));
  });
  request.on("error", (error) => text(id, `failed ${error.code}`));
}

const schema = { type: "object", properties: { url: { type: "string" } }, required: ["url"] };

createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === "initialize") {
    answer(id, {
      protocolVersion: "2025-06-18",
      capabilities: { tools: {} },
      serverInfo: { name: "fetching", version: "1" },
    });
  } else if (method === "tools/list") {
    answer(id, { tools: [{ name: "fetch", description: "Fetches", inputSchema: schema }] });
  } else if (method === "tools/call") {
    fetched(id, params.arguments.url);
  } else if (id !== undefined) {
    const error = { code: -32601, message: "unknown" };
    process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, error }) + "\n");
  }
});
