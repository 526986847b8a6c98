// The same submission as a command or a program, to copy.

/** Quote a text for a POSIX shell. */
function shell(text) {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Write a text or a list as Python. JSON is also Python for these values, except for true, false and null. */
function python(value) {
  return JSON.stringify(value, null, 1)
    .replace(/\n\s*/g, " ")
    .replaceAll("[ ", "[")
    .replaceAll(" ]", "]")
    .replace(/\btrue\b(?=[,}\s]|$)/g, "True")
    .replace(/\bfalse\b(?=[,}\s]|$)/g, "False");
}

const LISTED = 3;

/** Return `{ curl, python, cli }` for these files (paths), prompts and options. */
export function snippets({ url, paths, sources, prompts, options }) {
  return {
    curl: curl(url, paths, sources, prompts, options),
    python: program(url, paths, sources, prompts, options),
    cli: command(url, paths, sources, prompts, options),
  };
}

function curl(url, paths, sources, prompts, options) {
  const lines = ['curl -H "Authorization: Bearer $MASKRELAY_API_KEY"'];
  if (sources.length) {
    const body = { items: sources.map((source) => ({ source })), prompts, options };
    lines.push('-H "Content-Type: application/json"', `-d ${shell(JSON.stringify(body))}`);
  } else {
    for (const path of paths.slice(0, LISTED)) lines.push(`-F ${shell(`image=@"${path}"`)}`);
    for (const prompt of prompts) lines.push(`-F ${shell(`prompt=${prompt}`)}`);
    lines.push(`-F ${shell(`options=${JSON.stringify(options)};type=application/json`)}`);
  }
  return `${lines.join(" \\\n  ")} \\\n  ${shell(`${url}/v1/jobs`)}${more(paths, "one -F image=@… for each")}`;
}

function program(url, paths, sources, prompts, options) {
  const files = sources.length ? sources : paths.slice(0, LISTED);
  return [
    "from maskrelay.client import Client",
    "",
    `with Client(${python(url)}) as client:  # the key is in MASKRELAY_API_KEY`,
    `    job = client.submit(${python(files)}, ${python(prompts)}, options=${python(options)})`,
    "    client.wait(job.id)",
    '    client.save(job.id, "masks")',
  ].join("\n") + more(paths);
}

function command(url, paths, sources, prompts, options) {
  const { outputs = [], ...others } = options;
  const files = (sources.length ? sources : paths.slice(0, LISTED)).map(shell).join(" ");
  const lines = [`MASKRELAY_URL=${shell(url)} maskrelay submit ${files}`];
  for (const prompt of prompts) lines.push(`--prompt ${shell(prompt)}`);
  for (const output of outputs) lines.push(`--output ${output}`);
  for (const [name, value] of Object.entries(others)) {
    lines.push(`--option ${shell(`${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)}`);
  }
  lines.push("--save masks");
  return lines.join(" \\\n  ") + more(paths);
}

function more(paths, how = "add their names") {
  const left = paths.length - LISTED;
  return left > 0 ? `\n# and ${left} more files: ${how}` : "";
}
