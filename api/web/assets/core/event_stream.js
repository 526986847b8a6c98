// Server-sent events over fetch. EventSource cannot send the header with the API key.

/** Split a text into events and the rest that is not complete yet. An event has `id`, `event` and `data`. */
export function parseEvents(text) {
  const blocks = text.replaceAll("\r\n", "\n").split("\n\n");
  const rest = blocks.pop();
  return { events: blocks.map(parseEvent).filter((event) => event !== null), rest };
}

function parseEvent(block) {
  const event = { id: null, event: "message", data: "" };
  const data = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "id" || name === "event") event[name] = value;
  }
  event.data = data.join("\n");
  return data.length || event.id !== null ? event : null;
}

/** Call `onEvent` for each event of the response at `path`. Returns the id of the last event when the stream ends. */
async function readStream(api, path, lastId, signal, onEvent) {
  const headers = { Accept: "text/event-stream", ...(lastId === null ? {} : { "Last-Event-ID": lastId }) };
  const response = await api.request("GET", path, { headers, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return lastId;
    const parsed = parseEvents(rest + value);
    rest = parsed.rest;
    for (const event of parsed.events) {
      lastId = event.id ?? lastId;
      onEvent(event);
    }
  }
}

const LONGEST_PAUSE_MS = 15000;

/**
 * Follow the stream at `path` until `signal` aborts. After an interruption, the stream continues after the last event.
 * `onEvent` may return true to end it. `onInterrupted` is told whether the stream is interrupted at present.
 */
export async function follow(api, path, signal, onEvent, onInterrupted = () => {}) {
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort(), { once: true });
  let lastId = null;
  let pause = 500;
  const take = (event) => {
    pause = 500;
    lastId = event.id ?? lastId;
    onInterrupted(false);
    if (onEvent(event)) stop.abort();
  };
  while (!stop.signal.aborted) {
    try {
      await readStream(api, path, lastId, stop.signal, take);
    } catch (error) {
      if (stop.signal.aborted) return;
      if (error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      onInterrupted(true);
    }
    await waiting(pause, stop.signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

function waiting(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
