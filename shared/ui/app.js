// The page: which view is shown, when it is loaded again, and what is said when it could not be.
//
// A view is `{ title, every, load(context), render(data, context) }`. It is loaded at once, then every `every` seconds
// while the tab is visible. A failed refresh leaves the last answer on the screen, marked as old, and says since when.

import { ApiError, key, takeKey } from "./api.js";
import { flat, h, morph } from "./dom.js";
import { clock, relative } from "./format.js";
import { icon } from "./icons.js";
import { errorPanel, heading, tick } from "./parts.js";
import { keyForm } from "./view-key.js";
import { allView } from "./view-all.js";
import { causesView } from "./view-causes.js";
import { chartsView } from "./view-charts.js";
import { doctorView } from "./view-doctor.js";
import { searchView, troubleView, unfinishedView } from "./view-lists.js";
import { recordingView } from "./view-recording.js";
import { rejectedView } from "./view-rejected.js";

const NAV = [
  ["/", "Unfinished", "clock"],
  ["/causes", "Causes", "group"],
  ["/trouble", "Lost and damaged", "broken"],
  ["/all", "All recordings", "list"],
  ["/charts", "Charts", "chart"],
  ["/rejected", "Rejected events", "inbox"],
  ["/doctor", "Doctor", "pulse"],
];
const VIEWS = {
  "": unfinishedView,
  causes: causesView,
  trouble: troubleView,
  all: allView,
  search: searchView,
  charts: chartsView,
  rejected: rejectedView,
  doctor: doctorView,
};

// Seconds until what could not be loaded is tried again.
const RETRY = 5;

const main = document.getElementById("main");
const status = document.getElementById("status");
const announce = document.getElementById("announce");
const query = document.getElementById("query");
let shown = null;

function viewOf(route) {
  const [path, search] = route.split("?");
  const [first, ...rest] = path.split("/").filter(Boolean);
  const params = new URLSearchParams(search);
  if (first === "recordings" && rest.length === 1) return recordingView(decodeURIComponent(rest[0]), params);
  // The runbook's address of an alert: what waits, or has ended, for that cause.
  if (first === "cause" && rest.length === 1) return allView(new URLSearchParams({ cause: decodeURIComponent(rest[0]) }));
  const make = VIEWS[first ?? ""];
  return make && !rest.length ? make(params) : null;
}

function route() {
  return location.hash.replace(/^#/, "") || "/";
}

function open() {
  takeKey();
  shown?.stop.abort();
  clearTimeout(shown?.timer);
  let view = null;
  try {
    view = viewOf(route());
  } catch {
    // An address that cannot be decoded: the same as one that leads nowhere.
  }
  shown = { view, isNext: shown !== null, stop: new AbortController(), data: null, loadedAt: 0, error: null, timer: 0 };
  shown.context = { state: {}, signal: shown.stop.signal, refresh, redraw };
  navigate();
  if (!view)
    return paint(
      heading("No such page", "The address leads nowhere on this page. Choose a view, or search for an id."),
    );
  document.title = `${view.title} · Recorder`;
  paint(heading(view.title, null), h("p", { class: "loading" }, "Loading…"));
  main.scrollIntoView({ block: "start" });
  refresh();
}

function navigate() {
  const at = `/${route().split(/[?/]/)[1] ?? ""}`;
  const links = NAV.map(([path, label, name]) =>
    h(
      "a",
      { href: `#${path}`, "data-key": path, "aria-current": path === at ? "page" : null },
      icon(name),
      h("span", null, label),
    ),
  );
  const nav = document.getElementById("nav");
  morph(nav, links);
  // On a phone the views are one line that scrolls sideways.
  const current = nav.querySelector("[aria-current]");
  if (current) nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
  const forget = h("button", { class: "quiet", type: "button", onclick: forgetKey }, icon("key"), "Forget the key");
  morph(document.getElementById("foot"), key.get() ? [forget] : []);
}

function forgetKey() {
  key.forget();
  open();
}

function paint(...nodes) {
  morph(main, flat(nodes));
}

function redraw() {
  if (shown.data !== null) paint(shown.view.render(shown.data, shown.context));
}

async function refresh() {
  const mine = shown;
  clearTimeout(mine.timer);
  if (!mine.view) return;
  try {
    const data = await mine.view.load(mine.context);
    if (mine !== shown) return;
    const isFirst = mine.data === null;
    paint(mine.view.render(data, mine.context));
    Object.assign(mine, { data, loadedAt: Date.now(), error: null });
    if (isFirst && mine.isNext) arrived();
  } catch (error) {
    if (mine !== shown || mine.stop.signal.aborted) return;
    failed(mine, error.status === undefined ? unexpected(error) : error);
  }
  say();
  if (mine === shown && !document.hidden)
    mine.timer = setTimeout(refresh, 1000 * (mine.error ? RETRY : mine.view.every));
}

function failed(mine, error) {
  mine.error = error;
  if (error.status === 401 || error.code === "no_key") {
    mine.data = null;
    let why = key.get() ? "The app did not accept that key." : null;
    if (error.code === "signed_out") why = "The sign-in has ended. Reload the page to sign in again, or give a key.";
    key.forget();
    navigate();
    paint(keyForm(why, open));
    document.getElementById("key")?.focus();
  } else if (mine.data === null || error.status === 404) {
    mine.data = null;
    paint(heading(mine.view.title, null), errorPanel(error));
  }
}

function unexpected(error) {
  console.error(error);
  return new ApiError(`The page does not understand the answer: ${error.message}`, { code: "unexpected" });
}

// A screen reader begins to read at the title of the next view; typing in the search field is not interrupted.
function arrived() {
  if (document.activeElement === document.body || document.activeElement?.closest("nav, main")) {
    document.getElementById("title")?.focus({ preventScroll: true });
  }
}

function say() {
  const { error, loadedAt, data } = shown;
  const isStale = Boolean(error) && data !== null;
  let text = "";
  if (isStale)
    text = `Could not refresh since ${clock(loadedAt)}: ${error.message}. What you see is from then; trying again every ${RETRY} s.`;
  else if (loadedAt && !error) text = `Updated ${clock(loadedAt)}`;
  status.className = `status${isStale ? " stale" : ""}`;
  document.body.classList.toggle("is-stale", isStale);
  if (status.textContent !== text) status.textContent = text;
  // For screen readers: that a refresh failed and that it works again, not every refresh.
  const said = isStale ? text : announce.textContent ? "Refreshed again" : "";
  if (announce.textContent !== said) announce.textContent = said;
  status.title = loadedAt ? `Loaded ${relative(new Date(loadedAt).toISOString())}` : "";
}

document.getElementById("search").onsubmit = (event) => {
  event.preventDefault();
  const text = query.value.trim();
  if (text) location.hash = `#/search?q=${encodeURIComponent(text)}`;
};
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, dialog");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    query.focus();
  }
});
document.querySelector(".skip").onclick = (event) => {
  event.preventDefault();
  main.focus();
};
document.addEventListener("visibilitychange", () => {
  clearTimeout(shown.timer);
  if (!document.hidden) refresh();
});
window.addEventListener("online", () => refresh());
window.addEventListener("hashchange", open);
setInterval(() => tick(main), 1000);
open();
