// Requests to /api/v1: JSON in and out, problems (RFC 9457) as errors, the CSRF header and an idempotency key on changes.

const ROOT = "/api/v1";
const SLOWEST_MS = 20000;
let csrf = "";

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.name = String(body.type || "").split(":").pop();
    this.body = body;
  }
}

export function useCsrf(value) {
  csrf = value;
}

export const path = (...parts) => parts.map((part) => encodeURIComponent(part)).join("/");

export function get(route) {
  return ask("GET", route);
}

export function send(method, route, body) {
  return ask(method, route, body);
}

async function ask(method, route, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") {
    headers["X-Leukoscope-CSRF"] = csrf;
    headers["Idempotency-Key"] = newKey();
  }
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await attempt(method, route, headers, body);
  } catch (error) {
    if (method === "GET" || error.name === "TimeoutError") throw new Problem(0, { type: "urn:leukoscope:problem:unreachable" });
    answer = await attempt(method, route, headers, body).catch(() => {
      throw new Problem(0, { type: "urn:leukoscope:problem:unreachable" }); // the same key: it is not done twice
    });
  }
  const text = await answer.text();
  const json = text && (answer.headers.get("Content-Type") || "").includes("json") ? JSON.parse(text) : {};
  if (!answer.ok) throw new Problem(answer.status, json);
  return json;
}

function attempt(method, route, headers, body) {
  return fetch(`${ROOT}${route}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    cache: method === "GET" ? "no-cache" : "no-store",
    signal: AbortSignal.timeout(SLOWEST_MS),
  });
}

// 32 hexadecimal digits. crypto.randomUUID needs https; getRandomValues does not.
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
