// What the scripts of official model clients share; as asks.py beside the Python ones. RINGFENCE_TEST_MODULES is the
// folder that has their node_modules.
const { createRequire } = require("node:module");

exports.load = createRequire(`${process.env.RINGFENCE_TEST_MODULES}/`);

// One pixel.
exports.IMAGE =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

exports.WEATHER = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

function kinds(error) {
  const names = [];
  for (let of = error.constructor; of && of.name; of = Object.getPrototypeOf(of)) names.push(of.name);
  return names;
}

exports.run = async (ways) => {
  const answers = [];
  for (const ask of JSON.parse(process.argv[2])) {
    try {
      answers.push(await ways[ask.do](ask));
    } catch (error) {
      const { message, status = null, code = null } = error;
      answers.push({ raised: error.constructor.name, kinds: kinds(error), status, message, code });
    }
  }
  console.log(JSON.stringify(answers));
};
