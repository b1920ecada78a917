// Events that could not be used: look at them, send them again.

import { get, post } from "./api.js";
import { h } from "./dom.js";
import { askFirst } from "./ask-first.js";
import { plain } from "./format.js";
import { button, empty, fullTime, heading, idText, time } from "./parts.js";

const PAGE = 20;

export function rejectedView() {
  return {
    title: "Rejected events",
    every: 60,
    async load(context) {
      const events = [];
      let cursor = "";
      for (let page = 0; page < (context.state.pages ?? 1); page += 1) {
        const answer = await get("rejected-events", { limit: PAGE, cursor }, context.signal);
        events.push(...answer.events);
        cursor = answer.nextCursor ?? "";
        if (!cursor) break;
      }
      return { events, hasMore: Boolean(cursor) };
    },
    render: ({ events, hasMore }, context) => [
      heading(
        "Rejected events",
        "Events that the app could not read. They are kept without the secrets in them, until you decide.",
      ),
      events.length
        ? h(
            "ul",
            { class: "cards wide" },
            events.map((one) => card(one, context)),
          )
        : empty(
            "inbox",
            "No event was rejected",
            "An event appears here when it cannot be read as ACS documents it: a wrong form, a location that is not ACS's.",
          ),
      hasMore
        ? button("Show more", () => {
            context.state.pages = (context.state.pages ?? 1) + 1;
            context.refresh();
          })
        : null,
    ],
  };
}

function card(one, context) {
  return h(
    "li",
    { class: "panel card", "data-key": one.id },
    h(
      "div",
      { class: "card-top" },
      h(
        "div",
        null,
        h("h2", null, plain(one.code ?? "rejected")),
        h("p", { class: "muted small" }, fullTime(one.receivedAt), " · ", idText(one.id, "the event's id", 24)),
      ),
    ),
    one.reason ? h("p", { class: "wrap" }, one.reason) : null,
    one.replayed
      ? h(
          "p",
          { class: "note" },
          h("span", null, "Sent again ", time(one.replayed.at), " by ", one.replayed.by, ": ", outcome(one.replayed)),
        )
      : null,
    h(
      "details",
      null,
      h("summary", null, "The event"),
      h("pre", { tabindex: 0, "aria-label": "The event as JSON" }, indented(one.event)),
      one.isCut ? h("p", { class: "muted small" }, "Only its beginning is shown; the blob has all of it.") : null,
    ),
    h(
      "div",
      { class: "card-foot" },
      button("Send again", () => sendAgain(one, context), { name: "replay" }),
    ),
  );
}

function sendAgain(one, context) {
  return askFirst({
    title: "Send this event again?",
    confirm: "Send again",
    body: () =>
      h(
        "p",
        null,
        "The app reads the event as if Event Grid had delivered it now. That helps after an upgrade that reads more forms, or when a container was added to the allow-list.",
      ),
    run: () => post(`rejected-events/${encodeURIComponent(one.id)}/replay`),
    result: (answer) => h("p", { class: "panel" }, "Result: ", outcome(answer)),
    done: context.refresh,
  });
}

function outcome({ result, reason, keys }) {
  return [
    h("strong", null, plain(result)),
    reason ? ` (${reason})` : null,
    (keys ?? []).map((key) => [
      " ",
      h("a", { class: "mono", href: `#/recordings/${encodeURIComponent(key)}` }, key.slice(0, 8)),
    ]),
  ];
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return String(text);
  }
}
