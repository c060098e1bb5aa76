// The openai package for Node: chat completions and Responses. Rows: see programs/rows.py.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const rows = [];

async function row(format, step, call, text) {
  try {
    rows.push([format, step, "ok", await call(text)]);
  } catch (error) {
    rows.push([format, step, error.constructor.name, `${error.message} ${JSON.stringify(error.error ?? error.cause ?? null)}`]);
  }
}

async function attempt(format, plain, stream) {
  await row(format, "plain", plain, "Hello");
  await row(format, "stream", stream, "Hello");
  await row(format, "cut", stream, process.env.CUT);
  await row(format, "attack", plain, process.env.ATTACK);
}

const ask = (text, more = {}) =>
  client.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content: text }], ...more });

await attempt(
  "openai_chat",
  async (text) => (await ask(text)).choices[0].message.content,
  async (text) => {
    let said = "";
    for await (const chunk of await ask(text, { stream: true })) said += chunk.choices[0]?.delta?.content ?? "";
    return said;
  },
);
await attempt(
  "openai_responses",
  async (text) => (await client.responses.create({ model: "gpt-4o", input: text })).output_text,
  async (text) => {
    let said = "";
    for await (const event of await client.responses.create({ model: "gpt-4o", input: text, stream: true })) {
      if (event.type === "response.output_text.delta") said += event.delta;
    }
    return said;
  },
);
console.log(JSON.stringify(rows));
