// Rows of recordings, and the pages they come in.

import { get } from "./api.js";
import { h } from "./dom.js";
import { badge, button, byteBar, containerName, time, windowOf } from "./parts.js";
import { blameText, causeText } from "./words.js";

export const PAGE = 25;

/** As many pages as the reader asked for, in the API's order. */
export async function pages(context, query) {
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

export function more(data, context) {
  if (!data.hasMore) return null;
  return button("Show more", () => {
    context.state.pages = (context.state.pages ?? 1) + 1;
    context.refresh();
  });
}

function why(one) {
  if (one.cause)
    return [
      h("span", { class: "why" }, causeText(one.cause)),
      one.blame ? h("span", { class: "muted small" }, blameText(one.blame)) : null,
    ];
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
      h(
        "p",
        null,
        h(
          "a",
          { href: `#/recordings/${encodeURIComponent(one.key)}`, class: "row-link" },
          h("span", { class: "hidden" }, "Recording "),
          name,
        ),
        h("span", { class: "muted small" }, " · ", time(one.recordingStartTime ?? one.createdAt)),
      ),
      h("span", { class: "muted small", title: one.containerUrl }, containerName(one.containerUrl)),
    ),
    h(
      "div",
      { class: "row-bytes" },
      byteBar(one.bytesDone, one.bytesTotal ?? (one.closedAt ? one.size : null), one.closedAt),
    ),
    h("div", { class: "row-left" }, windowOf(one)),
    h("div", { class: "row-why" }, why(one)),
  );
}

export function rows(recordings, label) {
  return h("ul", { class: "rows", "aria-label": label }, recordings.map(row));
}
