-- wrk's script: POST a different chat body each time. Arguments: the file of bodies (one a line), the first serial number.
-- Every body holds SERIALNO in each message; each request puts a new number of the same length there, so no text is sent twice.
-- done() prints one line of JSON that tests/bench/wrk.py reads; times are microseconds.

local requests = {}
local serial = 0
local next_one = 0

local function split(text)
  local parts, from = {}, 1
  while true do
    local first, last = text:find("SERIALNO", from, true)
    if not first then break end
    parts[#parts + 1] = text:sub(from, first - 1)
    from = last + 1
  end
  parts[#parts + 1] = text:sub(from)
  return parts
end

function init(args)
  serial = tonumber(args[2])
  local headers = {
    ["content-type"] = "application/json",
    ["accept"] = "application/json",
    ["user-agent"] = "OpenAI/Python 3.54.0",
    ["x-stainless-lang"] = "python",
    ["x-stainless-async"] = "false",
  }
  for line in io.lines(args[1]) do
    local user = #requests % 50
    headers["x-user-id"] = "user-" .. user
    headers["authorization"] = "Bearer bench-" .. user
    requests[#requests + 1] = split(wrk.format("POST", wrk.path, headers, line))
  end
end

function request()
  next_one = next_one % #requests + 1
  serial = (serial + 1) % 100000000
  return table.concat(requests[next_one], string.format("%08d", serial))
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "p50_us": %d, "p90_us": %d, "p99_us": %d, "mean_us": %.1f, "max_us": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.mean,
    latency.max, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
