// A day and a month in numbers: small SVG charts, one for each thing that happens, and the same as a table.

import { get } from "./api.js";
import { h, svg } from "./dom.js";
import { span } from "./format.js";
import { heading, section } from "./parts.js";

const SERIES = [
  ["started", "Started", "plain"],
  ["exported", "Exported by ACS", "good"],
  ["rescued", "Rescued", "busy"],
  ["delivered", "Delivered from the fallback", "busy"],
  ["inFallback", "In the fallback", "warn"],
  ["lost", "Lost", "bad"],
  ["unconfirmed", "Unconfirmed", "warn"],
  ["damaged", "Damaged", "bad"],
];
const WIDTH = 320;
const HEIGHT = 72;

export function chartsView(params) {
  const days = params.get("days") === "31" ? 31 : 1;
  return {
    title: "Charts",
    every: 60,
    load: (context) => get("statistics", { days: String(days) }, context.signal),
    render: (data) => [
      heading(
        "Charts",
        days === 1 ? "The last 24 hours, hour by hour." : "The last 31 days, day by day.",
        choice(days),
      ),
      safety(data.eventToSafe ?? {}),
      h(
        "ul",
        { class: "charts" },
        SERIES.map((one) => chart(one, data.buckets, days)),
      ),
      table(data.buckets, days),
    ],
  };
}

function choice(days) {
  const link = (value, text) =>
    h("a", { class: "button", href: `#/charts?days=${value}`, "aria-current": days === value ? "true" : null }, text);
  return h("div", { class: "segmented", role: "group", "aria-label": "Period" }, link(1, "Day"), link(31, "Month"));
}

function safety({ count: number = 0, p50Seconds, p95Seconds }) {
  const value = (seconds) =>
    seconds === undefined || seconds === null ? "–" : seconds < 1 ? "< 1 s" : span(seconds * 1000);
  return h(
    "div",
    { class: "tiles" },
    h(
      "div",
      { class: "tile" },
      h("p", { class: "tile-label" }, "From event to safe, half of them"),
      h("p", { class: "tile-value" }, value(p50Seconds)),
      h("p", { class: "muted small" }, "p50"),
    ),
    h(
      "div",
      { class: "tile" },
      h("p", { class: "tile-label" }, "From event to safe, 95 of 100"),
      h("p", { class: "tile-value" }, value(p95Seconds)),
      h("p", { class: "muted small" }, "p95"),
    ),
    h(
      "div",
      { class: "tile" },
      h("p", { class: "tile-label" }, "Measured"),
      h("p", { class: "tile-value" }, number.toLocaleString("en")),
      h("p", { class: "muted small" }, number === 1 ? "recording in the period" : "recordings in the period"),
    ),
  );
}

function label(iso, days) {
  return days === 1 ? `${iso.slice(11, 16)}` : iso.slice(5, 10);
}

function chart([name, title, tone], buckets, days) {
  const values = buckets.map((one) => one[name] ?? 0);
  const total = values.reduce((sum, one) => sum + one, 0);
  const most = Math.max(1, ...values);
  const step = WIDTH / Math.max(1, buckets.length);
  const bars = values.map((value, place) => {
    const height = value ? Math.max(3, (value / most) * (HEIGHT - 4)) : 1;
    const bar = {
      class: value ? "chart-bar" : "chart-none",
      x: (place * step + step * 0.12).toFixed(1),
      y: (HEIGHT - height).toFixed(1),
      width: (step * 0.76).toFixed(1),
      height: height.toFixed(1),
      rx: 1.5,
    };
    return svg("rect", bar, svg("title", null, `${label(buckets[place].from, days)}: ${value}`));
  });
  const said = total
    ? `${title}: ${total} in all, at most ${most} in ${days === 1 ? "an hour" : "a day"}`
    : `${title}: none`;
  return h(
    "li",
    { class: `panel chart ${total ? tone : "none"}-chart`, "data-key": name },
    h("p", { class: "tile-label" }, title),
    h("p", { class: "tile-value" }, total.toLocaleString("en")),
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": said },
      bars,
    ),
    buckets.length
      ? h(
          "p",
          { class: "axis muted small", "aria-hidden": "true" },
          h("span", null, label(buckets[0].from, days)),
          h("span", null, `${label(buckets.at(-1).to ?? buckets.at(-1).from, days)} UTC`),
        )
      : null,
  );
}

function table(buckets, days) {
  return section(
    "As a table",
    h(
      "details",
      null,
      h("summary", null, "Show the numbers"),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": "Numbers of the charts" },
        h(
          "table",
          null,
          h(
            "thead",
            null,
            h(
              "tr",
              null,
              h("th", { scope: "col" }, days === 1 ? "Hour (UTC)" : "Day (UTC)"),
              SERIES.map(([, title]) => h("th", { scope: "col" }, title)),
            ),
          ),
          h(
            "tbody",
            null,
            buckets.map((one) =>
              h(
                "tr",
                null,
                h("th", { scope: "row" }, label(one.from, days)),
                SERIES.map(([name]) => h("td", { class: "num" }, one[name] ?? 0)),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}
