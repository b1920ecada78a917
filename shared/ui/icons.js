// Icons as line drawings on a grid of 16.

import { svg } from "./dom.js";

const PATHS = {
  check: "M3.5 8.5l3 3 6-7",
  alert: "M8 2.2l6.2 11H1.8zM8 6.5v3M8 11.4v.1",
  cross: "M4 4l8 8M12 4l-8 8",
  clock: "M8 1.8a6.2 6.2 0 110 12.4A6.2 6.2 0 018 1.8zM8 4.6V8l2.4 1.6",
  dot: "M8 5.2a2.8 2.8 0 110 5.6 2.8 2.8 0 010-5.6z",
  down: "M8 2v8M4.5 7L8 10.5 11.5 7M2.5 13.5h11",
  box: "M2 5l6-3 6 3v6l-6 3-6-3zM2 5l6 3 6-3M8 8v6",
  ask: "M6 6a2 2 0 113 1.7c-.7.5-1 .8-1 1.8M8 12v.1",
  broken: "M9 1.8L6.6 6h3L7 14.2M3 3v10h2M13 3v10h-2",
  list: "M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.1M2.5 8h.1M2.5 12h.1",
  group: "M2.5 3h5v4h-5zM9.5 3h4v4h-4zM2.5 9h4v4h-4zM8.5 9h5v4h-5z",
  chart: "M2.5 13.5h11M4 11V8M7 11V4M10 11V6.5M13 11V3",
  inbox: "M2 9l2-6h8l2 6v4.5H2zM2 9h3.5l1 2h3l1-2H14",
  pulse: "M1.5 8.5H5l2-5 2.5 9 2-4h3",
  archive: "M2 3h12v3H2zM3 6v7.5h10V6M6.5 9h3",
  replay: "M13 8a5 5 0 11-1.6-3.7M12.5 1.8v3h-3",
  shield: "M8 1.8l5 2v4c0 3-2 5.2-5 6.4-3-1.2-5-3.4-5-6.4v-4zM5.8 7.8l1.6 1.6 2.8-3",
  stop: "M4 4h8v8H4z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3l7.5 5L5 13z",
  copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
  left: "M9.5 3.5L5 8l4.5 4.5",
  key: "M6 10.5a3 3 0 112.5-4.6h6v2h-1.5v2h-2v-2H8.6A3 3 0 016 10.5z",
};

export function icon(name) {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", { d: PATHS[name] ?? PATHS.dot }),
  );
}
