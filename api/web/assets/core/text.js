// Numbers, times and states as text.

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function bytesText(bytes) {
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function durationText(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function countText(number, singular, plural = `${singular}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? singular : plural}`;
}

export function timeText(iso) {
  return new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export function shareText(part, whole) {
  return whole ? `${Math.floor((100 * part) / whole)} %` : "0 %";
}

export const STATES = {
  accepted: "Accepted",
  running: "Running",
  cancelling: "Being cancelled",
  finishing: "Finishing",
  succeeded: "Succeeded",
  partial: "Partly succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
  waiting: "Waiting",
};

const ENDED = new Set(["succeeded", "partial", "failed", "cancelled"]);

export function isEnded(job) {
  return ENDED.has(job.state);
}

/** The name that the page shows for a job: the one in its metadata, otherwise its id. */
export function jobName(job) {
  const name = job.metadata?.name;
  return typeof name === "string" && name ? name : job.id;
}

/** The name that the page shows for an item: the name of its file, otherwise its custom id. */
export function itemName(item) {
  return item.source_name || `Item ${item.custom_id}`;
}
