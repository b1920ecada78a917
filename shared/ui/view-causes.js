// The unfinished in groups by cause, with one replay for a whole group: a dry run first, then the real one.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { count } from "./format.js";
import { askFirst } from "./ask-first.js";
import { doneBadge, plannedBadge } from "./outcomes.js";
import { button, containerName, empty, facts, heading, leftBar } from "./parts.js";
import { blameText, causeText } from "./words.js";

const MOST_ROUNDS = 50;

export function causesView() {
  return {
    title: "Causes",
    every: 15,
    load: (context) => get("causes", {}, context.signal),
    render: ({ causes }, context) => [
      heading("Causes", "Why the unfinished recordings wait. Mend a cause once, then replay the whole group."),
      causes.length
        ? h(
            "ul",
            { class: "cards" },
            causes.map((one) => group(one, context)),
          )
        : empty("check", "Nothing is held up", "Recordings that wait for the same reason appear here as one group."),
    ],
  };
}

function group(one, context) {
  return h(
    "li",
    { class: "panel card", "data-key": `${one.cause} ${one.containerUrl ?? ""}` },
    h(
      "div",
      { class: "card-top" },
      h("p", { class: "card-number num" }, one.count.toLocaleString("en")),
      h(
        "div",
        null,
        h("h2", null, causeText(one.cause)),
        h(
          "p",
          { class: "muted small" },
          one.count === 1 ? "recording waits" : "recordings wait",
          one.blame ? [" · ", blameText(one.blame)] : null,
          " · ",
          h("code", null, one.cause),
        ),
      ),
    ),
    one.hint ? h("p", { class: "note" }, one.hint) : null,
    facts([
      ["Container", one.containerUrl ? containerName(one.containerUrl) : null],
      ["Nearest deadline", one.nearestRisk ? leftBar(one.nearestRisk) : null],
      [
        "For example",
        (one.sample ?? []).map((key) => [
          h("a", { class: "mono", href: `#/recordings/${encodeURIComponent(key)}` }, key.slice(0, 8)),
          " ",
        ]),
      ],
    ]),
    h(
      "div",
      { class: "card-foot" },
      button(
        one.count === 1 ? "Replay it" : `Replay all ${one.count.toLocaleString("en")}`,
        () => replayAll(one, context),
        { kind: "primary", name: "replay" },
      ),
    ),
  );
}

function replayAll(one, context) {
  const asked = { state: "unfinished", cause: one.cause, ...(one.containerUrl ? { container: one.containerUrl } : {}) };
  return askFirst({
    title: `Replay ${count(one.count, "recording")}?`,
    confirm: "Replay all",
    prepare: () => everyPage({ ...asked, dryRun: true }),
    body: (plan) => [
      h(
        "p",
        null,
        h("strong", null, causeText(one.cause)),
        one.containerUrl ? [" in ", h("code", null, containerName(one.containerUrl))] : null,
        ".",
      ),
      facts([
        ["Fit", count(plan.results.length, "recording")],
        ["Would be set going", String(plan.going)],
        ["Left alone", String(plan.results.length - plan.going)],
      ]),
      plan.isCut ? h("p", { class: "muted small" }, "There are more; replay again for the rest.") : null,
      results(plan.results, plannedBadge),
    ],
    canRun: (plan) => plan.going > 0,
    run: () => everyPage({ ...asked, dryRun: false }),
    result: (answer) => [
      h(
        "p",
        { class: "panel good" },
        count(answer.going, "recording"),
        answer.going === 1 ? " was" : " were",
        " set going.",
      ),
      results(answer.results, doneBadge),
    ],
    done: context.refresh,
  });
}

/** All pages of `POST /replays`; `isCut` where there is even more. */
async function everyPage(asked) {
  const found = [];
  let going = 0;
  let cursor;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const answer = await post("replays", cursor ? { ...asked, cursor } : asked);
    found.push(...(answer.results ?? []));
    going += answer.going ?? 0;
    cursor = answer.nextCursor;
    if (!cursor) break;
  }
  return { results: found, going, isCut: Boolean(cursor) };
}

function results(list, badge) {
  const shown = list.slice(0, 100);
  return h(
    "ul",
    { class: "results" },
    shown.map((one) =>
      h(
        "li",
        null,
        badge(one.outcome),
        " ",
        h("span", { class: "mono" }, one.key.slice(0, 8)),
        one.reason ? h("span", { class: "muted" }, ` · ${one.reason}`) : null,
      ),
    ),
    list.length > shown.length ? h("li", { class: "muted" }, `and ${list.length - shown.length} more`) : null,
  );
}
