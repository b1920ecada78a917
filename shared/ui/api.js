// Asks the app's API, with the reader's key or with the cookie of a sign-in in front.
//
// The key is kept in sessionStorage: this tab only, gone when it is closed. It is sent as a header, never in a URL.

const NAME = "recorder.key";
// `/api/`, wherever the app is mounted: these files lie in `/api/ui/`.
const BASE = new URL("../", import.meta.url);
const WAIT = 30000;

/** A failure as the page shows it: `status` 0 where no answer came. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = "", faults = [], body = null, path = "" } = {}) {
    super(message);
    Object.assign(this, { status, code, faults, body, path });
  }
}

export const key = {
  get: () => sessionStorage.getItem(NAME) ?? "",
  // What cannot be in a header is no key.
  set: (value) => /^[!-~]+$/.test(value) && sessionStorage.setItem(NAME, value),
  forget: () => sessionStorage.removeItem(NAME),
};

/** Takes a key out of the address (`#key=…`), so that it is in no history and on no screenshot. True if there was one. */
export function takeKey() {
  const match = /^#key=([^&]*)(?:&(\/.*))?$/.exec(location.hash);
  if (!match) return false;
  history.replaceState(null, "", `${location.pathname}${location.search}#${match[2] ?? "/"}`);
  key.set(decode(match[1]));
  return true;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The decoded answer of a GET. ApiError. */
export function get(path, query = {}, signal = undefined) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return ask(url, { signal });
}

/** The decoded answer of a POST. ApiError. */
export function post(path, body = undefined) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), type: "application/json" };
  return ask(new URL(path, BASE), { method: "POST", ...sent });
}

async function ask(url, { method = "GET", body, type, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (type) headers["Content-Type"] = type;
  if (key.get()) headers["x-functions-key"] = key.get();
  const path = `${method} ${url.pathname}`;
  let answer;
  try {
    const within = AbortSignal.timeout(WAIT);
    answer = await fetch(url, {
      method,
      body,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, within]) : within,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError("The app does not answer", { code: "no_answer", path });
  }
  // A sign-in in front answers a lost session with a way to its own page.
  if (answer.type === "opaqueredirect") throw new ApiError("Signed out", { status: 401, code: "signed_out", path });
  const decoded = await answer.json().catch(() => null);
  if (!answer.ok) throw failure(answer.status, decoded, path);
  if (decoded === null) throw new ApiError("The answer is not JSON", { status: answer.status, code: "not_json", path });
  return decoded;
}

function failure(status, decoded, path) {
  if (decoded?.code) {
    // The detail repeats the faults.
    const message = [decoded.title, decoded.errors ? null : decoded.detail].filter(Boolean).join(": ");
    return new ApiError(message, { status, code: decoded.code, faults: decoded.errors ?? [], body: decoded, path });
  }
  if (status === 401 || status === 403) return new ApiError("The app wants a key", { status, code: "no_key", path });
  if (status === 404) {
    return new ApiError("This version of the app does not offer this yet", { status, code: "no_such_route", path });
  }
  return new ApiError(`The app answered ${status}`, { status, code: "http", path });
}
