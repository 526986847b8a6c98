// The upload of many files, a few at a time, and the submission of the job.

//: The uploads at the same time. One of the six connections that browsers open carries the events.
const AT_ONCE = 4;
const ATTEMPTS = 4;

/** Return a new idempotency key. `crypto.randomUUID` exists only over https and on loopback. */
export function randomKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Upload the files, and submit the job. Returns the job. `onProgress(sent, files)` is told the bytes sent and the files
 * completed so far. The same `key` never makes a second job.
 */
export async function submitJob(api, { files, sources, prompts, options, key }, signal, onProgress) {
  const uploads = await uploadAll(api, files, signal, onProgress);
  const items = [...uploads.map((upload) => ({ upload: upload.id })), ...sources.map((source) => ({ source }))];
  const headers = { "Idempotency-Key": `"${key}"` };
  return retried(() => api.send("POST", "v1/jobs", { items, prompts, options }, { signal, headers }), signal);
}

async function uploadAll(api, files, signal, onProgress) {
  const sent = new Array(files.length).fill(0);
  const uploads = new Array(files.length);
  let next = 0;
  let completed = 0;
  let total = 0;
  const report = (number, bytes) => {
    total += bytes - sent[number];
    sent[number] = bytes;
    onProgress(total, completed);
  };
  const run = async () => {
    while (next < files.length) {
      const number = next++;
      const { file, path } = files[number];
      uploads[number] = await retried(() => api.upload(file, path, (bytes) => report(number, bytes), signal), signal);
      completed += 1;
      report(number, file.size);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
  return uploads;
}

/** Try again after errors that may pass: no connection, 429 and 503. */
async function retried(action, signal) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      if (attempt === ATTEMPTS || signal.aborted || ![0, 429, 503].includes(error.status)) throw error;
      const seconds = error.retryAfter ?? 2 ** attempt;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
}
