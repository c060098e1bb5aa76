// Node's own fetch. It heeds the proxy variables when NODE_USE_ENV_PROXY=1 (Node 24 and later). Rows: see programs/rows.py.
import { readFileSync } from "node:fs";

const headers = { "content-type": "application/json", authorization: "Bearer sk-client", "x-api-key": "sk-client" };
const rows = [];
for (const line of readFileSync(process.env.CALLS, "utf8").trimEnd().split("\n")) {
  const [format, step, url, body] = line.split("\t");
  try {
    const answer = await fetch(url, { method: "POST", headers, body });
    const parts = [];
    for await (const part of answer.body) parts.push(Buffer.from(part));
    rows.push([format, step, String(answer.status), Buffer.concat(parts).toString("base64")]);
  } catch (error) {
    rows.push([format, step, error.constructor.name, Buffer.from(`${error} ${error.cause}`).toString("base64")]);
  }
}
console.log(JSON.stringify(rows));
