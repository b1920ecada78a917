// Lists of recordings: unfinished by deadline, lost and damaged, all with filters, and what a search finds.

import { ApiError, get } from "./api.js";
import { h } from "./dom.js";
import { count, span } from "./format.js";
import { badge, button, byteBar, containerName, empty, errorPanel, heading, idText, leftBar, section, time } from "./parts.js";
import { RECORDING_STATES, blameText, causeText, recordingState } from "./words.js";

const CALL_IDS = ["callId", "serverCallId", "groupCallId", "roomId", "callConnectionId"];
const TROUBLE = ["lost", "damaged", "unconfirmed", "no_event"];
const PAGE = 25;

/** As many pages as the reader asked for, in the API's order. */
async function pages(context, query) {
  const found = [];
  let cursor = "";
  for (let page = 0; page < (context.state.pages ?? 1); page += 1) {
    const answer = await get("recordings", { ...query, limit: PAGE, cursor }, context.signal);
    found.push(...answer.recordings);
    cursor = answer.nextCursor ?? "";
    if (!cursor) break;
  }
  return { recordings: found, hasMore: Boolean(cursor) };
}

function more(data, context) {
  if (!data.hasMore) return null;
  return button("Show more", () => {
    context.state.pages = (context.state.pages ?? 1) + 1;
    context.refresh();
  });
}

function why(one) {
  if (one.cause) return [h("span", { class: "why" }, causeText(one.cause)), one.blame ? h("span", { class: "muted small" }, blameText(one.blame)) : null];
  if (one.closedAt) return [h("span", { class: "muted small" }, "Finished ", time(one.closedAt))];
  if (one.nextDueAt) return [h("span", { class: "muted small" }, "Next step ", time(one.nextDueAt))];
  return null;
}

function row(one) {
  const name = one.key.slice(0, 8);
  return h(
    "li",
    { class: "row", "data-key": one.key },
    h("div", { class: "row-state" }, badge(one.state)),
    h(
      "div",
      { class: "row-name" },
      h("a", { href: `#/recordings/${encodeURIComponent(one.key)}`, class: "row-link" }, h("span", { class: "hidden" }, "Recording "), name),
      h("span", { class: "muted small" }, time(one.recordingStartTime ?? one.createdAt), " · ", containerName(one.containerUrl)),
    ),
    h("div", { class: "row-bytes" }, byteBar(one.bytesDone, one.bytesTotal ?? one.size, one.closedAt)),
    h("div", { class: "row-left" }, leftBar(one.atRiskFrom)),
    h("div", { class: "row-why" }, why(one)),
  );
}

function rows(recordings, label) {
  return h("ul", { class: "rows", "aria-label": label }, recordings.map(row));
}

function tile(label, value, text, tone = "") {
  return h("div", { class: `tile ${tone}` }, h("p", { class: "tile-label" }, label), h("p", { class: "tile-value" }, value), h("p", { class: "muted small" }, text));
}

function tiles({ recordings, hasMore, causes }) {
  const plus = hasMore ? "+" : "";
  const saving = recordings.filter((one) => one.state === "saving").length;
  const safe = recordings.filter((one) => one.state === "safe").length;
  const started = recordings.length - saving - safe;
  const nearest = recordings.map((one) => one.atRiskFrom).filter(Boolean).sort()[0];
  const left = nearest ? Date.parse(nearest) - Date.now() : Infinity;
  const groups = causes?.filter((one) => one.blame === "destination" || one.blame === "app") ?? [];
  return h(
    "div",
    { class: "tiles", "data-key": "tiles" },
    tile("Not safe yet", `${saving}${plus}`, saving ? "The app is at them" : "Every byte that is known is safe", saving ? "busy" : "good"),
    tile("Nearest deadline", nearest ? span(left) : "–", nearest ? "until ACS may delete the first" : "Nothing depends on ACS", left < 3600000 ? "bad" : left < 6 * 3600000 ? "warn" : ""),
    causes ? tile("For you to mend", String(groups.length), groups.length ? count(groups.reduce((sum, one) => sum + one.count, 0), "recording waits", "recordings wait") : "No cause needs a person", groups.length ? "warn" : "good") : null,
    tile("Running or awaited", `${started}${plus}`, `${safe}${plus} safe, on the way to their place`),
  );
}

function causeBanner(causes) {
  if (!causes?.length) return null;
  return h(
    "ul",
    { class: "banner-list", "aria-label": "Why they wait", "data-key": "banner" },
    causes.slice(0, 3).map((one) =>
      h("li", null, h("a", { href: "#/causes" }, h("strong", { class: "num" }, count(one.count, "recording")), " ", one.count === 1 ? "waits" : "wait", ": ", causeText(one.cause).toLowerCase(), one.containerUrl ? [" (", containerName(one.containerUrl), ")"] : null)),
    ),
  );
}

export function unfinishedView() {
  return {
    title: "Unfinished",
    every: 10,
    async load(context) {
      const grouped = get("causes", {}, context.signal).then((answer) => answer.causes, (error) => (error instanceof ApiError ? null : Promise.reject(error)));
      const [page, causes] = await Promise.all([pages(context, { state: "unfinished" }), grouped]);
      return { ...page, causes };
    },
    render(data, context) {
      return [
        heading("Unfinished", "Recordings that are not in their place yet, nearest deadline first."),
        tiles(data),
        causeBanner(data.causes),
        data.recordings.length
          ? [rows(data.recordings, "Unfinished recordings"), more(data, context)]
          : empty("check", "Everything is in its place", "Recordings appear here when they start, and leave when every file is verified in its container."),
      ];
    },
  };
}

export function troubleView() {
  return {
    title: "Lost and damaged",
    every: 30,
    async load(context) {
      const lists = await Promise.all(TROUBLE.map((state) => pages(context, { state })));
      return TROUBLE.map((state, place) => ({ state, ...lists[place] }));
    },
    render(data, context) {
      const shown = data.filter((one) => one.recordings.length);
      return [
        heading("Lost and damaged", "What the app could not save, what nobody confirmed, and files that changed after they were proved."),
        shown.length
          ? shown.map((one) => section([recordingState(one.state).label, " ", h("span", { class: "count" }, `${one.recordings.length}${one.hasMore ? "+" : ""}`)], h("p", { class: "muted" }, recordingState(one.state).text), rows(one.recordings, recordingState(one.state).label), more(one, context)))
          : empty("shield", "No recording is lost or damaged", "A recording appears here when ACS's window closed before its bytes were safe, or when a verification finds a file gone or different."),
      ];
    },
  };
}

function field(label, name, input) {
  return h("div", { class: "field" }, h("label", { for: `filter-${name}` }, label), input);
}

function textField(params, label, name, more = {}) {
  return field(label, name, h("input", { id: `filter-${name}`, name, value: params.get(name), autocomplete: "off", spellcheck: "false", ...more }));
}

function choice(params, label, name, options) {
  const at = params.get(name) ?? options[0][0];
  return field(label, name, h("select", { id: `filter-${name}`, name }, options.map(([value, text]) => h("option", { value, selected: value === at }, text))));
}

function filters(params) {
  const idName = CALL_IDS.find((name) => params.get(name)) ?? "callId";
  function submit(event) {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    const kept = new URLSearchParams();
    for (const name of ["state", "order", "container", "cause", "route"]) if (given[name]?.trim()) kept.set(name, given[name].trim());
    for (const name of ["from", "to"]) if (given[name]) kept.set(name, new Date(`${given[name]}Z`).toISOString());
    if (given.id?.trim()) kept.set(given.idName, given.id.trim());
    location.hash = `#/all?${kept}`;
  }
  const local = (name) => (params.get(name) ? params.get(name).slice(0, 16) : null);
  const states = [["all", "All"], ["unfinished", "Unfinished"], ["finished", "Finished"], ...RECORDING_STATES.map((one) => [one, recordingState(one).label])];
  return h(
    "form",
    { class: "filters panel", onsubmit: submit, "data-key": "filters" },
    choice(params, "State", "state", states),
    choice(params, "Order", "order", [["newest", "Newest first"], ["risk", "Nearest deadline"]]),
    choice(params, "Route", "route", [["", "Any"], ["exported", "Exported"], ["rescued", "Rescued"], ["delivered", "Delivered"], ["mixed", "Mixed"]]),
    field("From (UTC)", "from", h("input", { id: "filter-from", name: "from", type: "datetime-local", value: local("from") })),
    field("To (UTC)", "to", h("input", { id: "filter-to", name: "to", type: "datetime-local", value: local("to") })),
    textField(params, "Container URL", "container"),
    textField(params, "Cause", "cause", { placeholder: "container_missing" }),
    h("div", { class: "field wide" }, h("label", { for: "filter-id" }, "Id of a call"), h("div", { class: "joined" }, h("select", { name: "idName", "aria-label": "Kind of id" }, CALL_IDS.map((name) => h("option", { value: name, selected: name === idName }, name))), h("input", { id: "filter-id", name: "id", value: params.get(idName), autocomplete: "off", spellcheck: "false" }))),
    h("div", { class: "field end" }, h("button", { class: "primary" }, "Apply"), h("a", { class: "button", href: "#/all" }, "Clear")),
  );
}

export function allView(params) {
  const asked = { state: "all", ...Object.fromEntries(params) };
  return {
    title: "All recordings",
    every: 30,
    async load(context) {
      try {
        return await pages(context, asked);
      } catch (error) {
        // A filter that the API does not accept belongs beside the form.
        if (error.status !== 400) throw error;
        return { recordings: [], error };
      }
    },
    render(data, context) {
      return [
        heading("All recordings", "Finished and unfinished. Filters go to the API as they are."),
        filters(params),
        data.error
          ? errorPanel(data.error, "The API does not accept these filters")
          : data.recordings.length
            ? [rows(data.recordings, "Recordings"), more(data, context)]
            : empty("list", "No recording fits", "Clear a filter, or search for an id at the top."),
      ];
    },
  };
}

export function searchView(params) {
  const text = params.get("q") ?? "";
  return {
    title: "Search",
    every: 60,
    async load(context) {
      const quiet = (promise) => promise.catch((error) => (error.status === 404 || error.status === 400 ? null : Promise.reject(error)));
      const lists = CALL_IDS.map((name) => quiet(get("recordings", { [name]: text, state: "all", limit: PAGE }, context.signal)));
      const [one, ...found] = await Promise.all([quiet(get(`recordings/${encodeURIComponent(text)}`, {}, context.signal)), ...lists]);
      const all = found.flatMap((answer) => answer?.recordings ?? []);
      const merged = new Map([...(one ? [one] : []), ...all].map((item) => [item.key, item]));
      if (merged.size === 1 && !context.state.isOpened) {
        context.state.isOpened = true;
        location.replace(`#/recordings/${encodeURIComponent([...merged.keys()][0])}`);
      }
      return [...merged.values()];
    },
    render(data) {
      return [
        heading("Search", ["Recordings that are known by ", idText(text, "the id", 60)]),
        data.length ? rows(data, "Found recordings") : empty("ask", "No recording is known by this id", "The app knows a recording by its recording id, its key, and the ids of its call: call id, server call id, group call id, room id, call connection id. It knows those that it started and those that ACS sent an event about."),
      ];
    },
  };
}
