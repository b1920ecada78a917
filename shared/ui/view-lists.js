// Lists of recordings: unfinished by deadline, lost and damaged, and what a search finds.

import { ApiError, get } from "./api.js";
import { h } from "./dom.js";
import { count, span } from "./format.js";
import { containerName, empty, heading, idText, section } from "./parts.js";
import { PAGE, more, pages, rows } from "./rows.js";
import { causeText, recordingState } from "./words.js";

const TROUBLE = ["lost", "damaged", "unconfirmed", "no_event"];
const IDS = ["callId", "serverCallId", "groupCallId", "roomId", "callConnectionId"];

function tile(label, value, text, tone = "") {
  return h(
    "div",
    { class: `tile ${tone}` },
    h("p", { class: "tile-label" }, label),
    h("p", { class: "tile-value" }, value),
    h("p", { class: "muted small" }, text),
  );
}

function tiles({ recordings, hasMore, causes }) {
  const plus = hasMore ? "+" : "";
  const saving = recordings.filter((one) => one.atRiskFrom).length;
  const safe = recordings.filter((one) => one.state === "safe").length;
  const started = recordings.filter((one) => one.state === "started").length;
  const nearest = recordings
    .map((one) => one.atRiskFrom)
    .filter(Boolean)
    .sort()[0];
  const left = nearest ? Date.parse(nearest) - Date.now() : Infinity;
  const groups = causes?.filter((one) => one.blame === "destination" || one.blame === "app") ?? [];
  return h(
    "div",
    { class: "tiles", "data-key": "tiles" },
    tile(
      "Not safe yet",
      `${saving}${plus}`,
      saving ? "The app is at them" : "Every byte that is known is safe",
      saving ? "busy" : "good",
    ),
    tile(
      "Nearest deadline",
      nearest ? span(left) : "–",
      nearest ? "until ACS may delete the first" : "Nothing depends on ACS",
      left < 3600000 ? "bad" : left < 6 * 3600000 ? "warn" : "",
    ),
    causes
      ? tile(
          "For you to mend",
          String(groups.length),
          groups.length
            ? count(
                groups.reduce((sum, one) => sum + one.count, 0),
                "recording waits",
                "recordings wait",
              )
            : "No cause needs a person",
          groups.length ? "warn" : "good",
        )
      : null,
    tile("Running or awaited", `${started}${plus}`, `${safe}${plus} safe, on the way to their place`),
  );
}

function causeBanner(causes) {
  if (!causes?.length) return null;
  return h(
    "ul",
    { class: "banner-list", "aria-label": "Why they wait", "data-key": "banner" },
    causes
      .slice(0, 3)
      .map((one) =>
        h(
          "li",
          null,
          h(
            "a",
            { href: "#/causes" },
            h("strong", { class: "num" }, count(one.count, "recording")),
            " ",
            one.count === 1 ? "waits" : "wait",
            ": ",
            causeText(one.cause),
            one.containerUrl ? [" (", containerName(one.containerUrl), ")"] : null,
          ),
        ),
      ),
  );
}

// The API lists by what comes first, a deadline or a next step; here the deadlines are apart.
function groups(recordings) {
  const named = [
    ["ACS still has them", recordings.filter((one) => one.atRiskFrom)],
    ["Safe, or not ended yet", recordings.filter((one) => !one.atRiskFrom)],
  ];
  return named
    .filter(([, list]) => list.length)
    .map(([name, list]) => section([name, " ", h("span", { class: "count" }, list.length)], rows(list, name)));
}

export function unfinishedView() {
  return {
    title: "Unfinished",
    every: 10,
    async load(context) {
      const grouped = get("causes", {}, context.signal).then(
        (answer) => answer.causes,
        (error) => (error instanceof ApiError ? null : Promise.reject(error)),
      );
      const [page, causes] = await Promise.all([pages(context, { state: "unfinished" }), grouped]);
      return { ...page, causes };
    },
    render(data, context) {
      return [
        heading("Unfinished", "Recordings that are not in their place yet, nearest deadline first."),
        tiles(data),
        causeBanner(data.causes),
        data.recordings.length
          ? [groups(data.recordings), more(data, context)]
          : empty(
              "check",
              "Everything is in its place",
              "Recordings appear here when they start, and leave when every file is verified in its container.",
            ),
      ];
    },
  };
}

export function troubleView() {
  return {
    title: "Lost and damaged",
    every: 30,
    async load(context) {
      const lists = await Promise.all(TROUBLE.map((state) => pages(context, { state, order: "newest" })));
      return TROUBLE.map((state, place) => ({ state, ...lists[place] }));
    },
    render(data, context) {
      const shown = data.filter((one) => one.recordings.length);
      return [
        heading(
          "Lost and damaged",
          "What the app could not save, what nobody confirmed, and files that changed after they were proved.",
        ),
        shown.length
          ? shown.map((one) =>
              section(
                [
                  recordingState(one.state).label,
                  " ",
                  h("span", { class: "count" }, `${one.recordings.length}${one.hasMore ? "+" : ""}`),
                ],
                h("p", { class: "muted" }, recordingState(one.state).text),
                rows(one.recordings, recordingState(one.state).label),
                more(one, context),
              ),
            )
          : empty(
              "shield",
              "No recording is lost or damaged",
              "A recording appears here when ACS's window closed before its bytes were safe, or when a verification finds a file gone or different.",
            ),
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
      const quiet = (promise) =>
        promise.catch((error) => (error.status === 404 || error.status === 400 ? null : Promise.reject(error)));
      const lists = IDS.map((name) =>
        quiet(get("recordings", { [name]: text, state: "all", order: "newest", limit: PAGE }, context.signal)),
      );
      const [one, ...found] = await Promise.all([
        quiet(get(`recordings/${encodeURIComponent(text)}`, {}, context.signal)),
        ...lists,
      ]);
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
        data.length
          ? rows(data, "Found recordings")
          : empty(
              "ask",
              "No recording is known by this id",
              "The app knows a recording by its recording id, its key, and the ids of its call: call id, server call id, group call id, room id, call connection id. It knows those that it started and those that ACS sent an event about.",
            ),
      ];
    },
  };
}
