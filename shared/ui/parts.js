// Pieces that several views share.

import { h } from "./dom.js";
import { absolute, bytes, relative, short, span } from "./format.js";
import { icon } from "./icons.js";
import { chunkState, recordingState } from "./words.js";

/** Relative text that keeps itself current (`tick`), with the absolute time on hover and for screen readers. */
export function time(iso) {
  return iso ? h("time", { datetime: iso, title: absolute(iso), "data-live": "" }, relative(iso)) : "–";
}

/** Absolute, then relative. */
export function fullTime(iso) {
  return iso
    ? [h("span", { class: "num" }, absolute(iso)), " ", h("span", { class: "muted" }, "(", time(iso), ")")]
    : "–";
}

/** Brings every relative time and every countdown bar up to now. */
export function tick(root) {
  const now = Date.now();
  for (const node of root.querySelectorAll("time[data-live]")) node.textContent = relative(node.dateTime, now);
  for (const node of root.querySelectorAll("[data-until]")) showLeft(node, now);
}

function badgeOf({ label, tone, icon: name, text }) {
  return h("span", { class: `badge ${tone}`, title: text || null }, icon(name), label);
}

export const badge = (state) => badgeOf(recordingState(state));
export const chunkBadge = (state) => badgeOf(chunkState(state));
export const toneBadge = (label, tone, name) => badgeOf({ label, tone, icon: name });

function meter(label, text, share, tone, more = {}) {
  return h(
    "div",
    { class: `meter ${tone}`, ...more },
    h("span", { class: "meter-text" }, text),
    h("span", {
      class: "bar",
      role: "progressbar",
      "aria-label": label,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": Math.round(share * 100),
      "aria-valuetext": text,
      vars: { "--share": `${(share * 100).toFixed(1)}%` },
    }),
  );
}

/** Bytes that are safe, of all; what is known of them before anything is known of their size. */
export function byteBar(done, total, isOver = false) {
  if (!total)
    return h("span", { class: "muted small" }, isOver ? "–" : done ? `${bytes(done)} so far` : "Size not known yet");
  if (done === undefined) return h("span", { class: "num small" }, bytes(total));
  const share = Math.min(1, done / total);
  return meter(
    "Bytes that are safe",
    share < 1 ? `${bytes(done)} of ${bytes(total)}` : bytes(total),
    share,
    share < 1 ? "busy" : "good",
  );
}

const CLOSED = ["lost", "unconfirmed", "no_event"];
const AT_NO_RISK = ["started", "safe", "complete"];

/** What is left of ACS's window, or why that does not matter, by the recording's `state`. */
export function windowOf({ atRiskFrom, state }) {
  if (atRiskFrom) return leftBar(atRiskFrom);
  return h(
    "span",
    { class: "muted small" },
    CLOSED.includes(state) ? "Window is over" : AT_NO_RISK.includes(state) ? "Nothing at risk" : "–",
  );
}

/** What is left until `atRiskFrom`, the earliest plausible end of the window. */
export function leftBar(atRiskFrom, windowHours = 24) {
  const node = meter("Left of ACS's window", "", 0, "", {
    "data-until": atRiskFrom,
    "data-hours": windowHours,
    title: `ACS may delete it from ${absolute(atRiskFrom)}`,
  });
  showLeft(node, Date.now());
  return node;
}

function showLeft(node, now) {
  const left = Date.parse(node.dataset.until) - now;
  const share = Math.min(1, Math.max(0, left / (Number(node.dataset.hours) * 3600000)));
  const text = left > 0 ? `${span(left)} left` : "Window is over";
  const [label, bar] = node.children;
  node.className = `meter ${left < 3600000 ? "bad" : left < 6 * 3600000 ? "warn" : "good"}`;
  if (label.textContent !== text) label.textContent = text;
  bar.setAttribute("aria-valuenow", Math.round(share * 100));
  bar.setAttribute("aria-valuetext", text);
  bar.style.setProperty("--share", `${(share * 100).toFixed(1)}%`);
}

/** A button that copies `text`. */
export function copyButton(text, what) {
  return h(
    "button",
    {
      class: "quiet icon-only",
      type: "button",
      title: `Copy ${what}`,
      "aria-label": `Copy ${what}`,
      onclick: () => copy(text, what),
    },
    icon("copy"),
  );
}

/** Copies; where the browser does not let it (no https), the reader is shown what to do. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`Copied ${what}`);
  } catch {
    toast(`The browser does not allow copying here: select ${what} and copy it by hand`);
  }
}

let toastTimer;
export function toast(text) {
  const node = document.getElementById("toast");
  node.textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (node.textContent = ""), 4000);
}

/** An id that can be copied; long ones are shortened on the screen only. */
export function idText(id, what, most = 28) {
  return id ? h("span", { class: "id" }, h("code", { title: id }, short(id, most)), copyButton(id, what)) : "–";
}

/** Names and values; rows whose value is missing are left out. */
export function facts(rows) {
  const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== "–");
  return h(
    "dl",
    { class: "facts" },
    shown.map(([name, ...value]) => h("div", null, h("dt", null, name), h("dd", null, ...value))),
  );
}

export function section(title, ...children) {
  return h("section", { class: "section" }, h("h2", null, title), ...children);
}

/** What the reader sees where there is nothing: why, and what would be here. */
export function empty(name, title, text) {
  return h(
    "div",
    { class: "empty" },
    icon(name),
    h("p", { class: "empty-title" }, title),
    h("p", { class: "muted" }, text),
  );
}

export function heading(title, text, ...actions) {
  return h(
    "div",
    { class: "heading", "data-key": "heading" },
    h("div", null, h("h1", { tabindex: -1, id: "title" }, title), text ? h("p", { class: "lead" }, text) : null),
    actions.length ? h("div", { class: "actions" }, actions) : null,
  );
}

export function button(label, onclick, { kind = "", name = "", disabled = false } = {}) {
  return h("button", { class: kind, type: "button", onclick, disabled }, name ? icon(name) : null, label);
}

/** An ApiError with everything that it names. */
export function errorPanel(error, title = "This could not be loaded") {
  const isMissing = error.code === "no_such_route";
  return h(
    "div",
    { class: `panel ${isMissing ? "warn" : "bad"}`, role: "alert" },
    h("p", { class: "panel-title" }, icon("alert"), isMissing ? "Not offered by this version of the app" : title),
    h("p", null, error.message),
    error.faults?.length
      ? h(
          "ul",
          null,
          error.faults.map((one) => h("li", null, h("code", null, one.field), ": ", one.message)),
        )
      : null,
    h(
      "p",
      { class: "muted small" },
      [
        error.path,
        error.status ? `HTTP ${error.status}` : null,
        error.code,
        error.body?.traceId && `trace ${error.body.traceId}`,
      ]
        .filter(Boolean)
        .join(" · "),
    ),
  );
}

/** A container's URL without scheme and domain: account and name. */
export function containerName(url) {
  try {
    const parsed = new URL(url);
    // A laptop's storage has the account in the path.
    const account = /^[\d.]+$/.test(parsed.hostname) ? "" : parsed.hostname.split(".")[0];
    return decodeURI(account + parsed.pathname).replace(/^\//, "");
  } catch {
    return String(url);
  }
}
