// The app's own check-up: each line with its fix.

import { get } from "./api.js";
import { h } from "./dom.js";
import { capital, plain } from "./format.js";
import { button, heading, time, toneBadge } from "./parts.js";

const STATUS = { ok: ["OK", "good", "check"], warn: ["Warning", "warn", "alert"], fail: ["Failed", "bad", "cross"] };
const ORDER = ["fail", "warn", "ok"];
const VERDICT = {
  ok: "Everything that was looked at is well.",
  warn: "It works. Some lines deserve a look.",
  fail: "Something has to be mended.",
};

export function doctorView() {
  return {
    title: "Doctor",
    every: 60,
    load: (context) => get("doctor", {}, context.signal),
    render(answer, context) {
      const checks = ORDER.flatMap((status) => answer.checks.filter((one) => one.status === status));
      return [
        heading("Doctor", VERDICT[answer.status] ?? "", button("Look again", context.refresh, { name: "replay" })),
        h(
          "p",
          { class: "muted small", "data-key": "about" },
          tally(answer.checks),
          ` · version ${answer.version ?? "unknown"} · looked `,
          time(answer.at),
        ),
        h("ul", { class: "checks panel" }, checks.map(check)),
      ];
    },
  };
}

function tally(checks) {
  const number = (status) => checks.filter((one) => one.status === status).length;
  return `${number("fail")} failed, ${number("warn")} to look at, ${number("ok")} well`;
}

function check(one) {
  return h(
    "li",
    { class: "check-line", "data-key": one.name },
    toneBadge(...(STATUS[one.status] ?? [plain(one.status), "plain", "dot"])),
    h(
      "div",
      null,
      h("h2", { class: "wrap" }, capital(one.name)),
      h("p", { class: "wrap" }, capital(one.message)),
      one.fix ? h("p", { class: "fix wrap" }, h("strong", null, "Fix: "), one.fix) : null,
    ),
  );
}
