// Requests to the HTTP API of this service. The key is sent in a header, never in a URL.

/** A problem that the API returned, or a request that did not reach it. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || problem.code);
    this.status = status;
    this.code = problem.code;
    this.places = problem.errors ?? [];
    this.retryAfter = problem.retry_after_s ?? null;
  }
}

const UNREACHABLE = { code: "service_unreachable", detail: "The service cannot be reached." };

/** Return the path of a link, from `v1/` on, so that it stays below the address of this page. */
export function pathOf(link) {
  return link.slice(link.indexOf("/v1/") + 1);
}

export class Api {
  constructor(key, onUnauthenticated = () => {}) {
    this.key = key;
    this.onUnauthenticated = onUnauthenticated;
  }

  async get(path, options = {}) {
    return (await this.request("GET", path, options)).json();
  }

  async send(method, path, body = undefined, options = {}) {
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    const response = await this.request(method, path, {
      ...options,
      headers: { ...headers, ...options.headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return response.status === 204 ? null : response.json();
  }

  async blob(path, options = {}) {
    return (await this.request("GET", path, options)).blob();
  }

  /** Return the response. Throws ApiError, or the signal's AbortError. */
  async request(method, path, { headers = {}, body, signal } = {}) {
    let response;
    try {
      response = await fetch(path, {
        method,
        body,
        signal,
        headers: { Authorization: `Bearer ${this.key}`, ...headers },
        credentials: "omit",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, UNREACHABLE);
    }
    if (response.ok) return response;
    throw this.failed(response.status, await response.text());
  }

  /** Upload a file, and report the bytes that were sent. Returns the upload. */
  upload(file, name, onProgress, signal) {
    // Only XMLHttpRequest reports how much of a body was sent.
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.append("image", file, name);
      request.open("POST", "v1/uploads");
      request.setRequestHeader("Authorization", `Bearer ${this.key}`);
      request.upload.onprogress = (event) => onProgress(Math.min(event.loaded, file.size));
      request.onerror = () => reject(new ApiError(0, UNREACHABLE));
      request.onabort = () => reject(new DOMException("aborted", "AbortError"));
      request.onload = () => {
        if (request.status === 201) resolve(JSON.parse(request.responseText).uploads[0]);
        else reject(this.failed(request.status, request.responseText));
      };
      signal?.addEventListener("abort", () => request.abort(), { once: true });
      request.send(form);
    });
  }

  failed(status, text) {
    let problem = { code: `http_${status}`, title: `The service answered with status ${status}.` };
    try {
      problem = JSON.parse(text);
    } catch {
      // A proxy answered with something else than a problem.
    }
    if (status === 401) this.onUnauthenticated();
    return new ApiError(status, problem);
  }
}
