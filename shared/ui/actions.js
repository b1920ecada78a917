// What can be done with one recording: each asks first, and shows what came of it.

import { post } from "./api.js";
import { askFirst } from "./ask-first.js";
import { h } from "./dom.js";
import { capital, plain } from "./format.js";
import { doneBadge, resultBadge } from "./outcomes.js";
import { button } from "./parts.js";

/** The buttons for `one`; `path` is the recording's in the API. */
export function actions(one, path, context) {
  const done = () => context.refresh();
  const buttons = [];
  if (one.state === "started") {
    buttons.push(
      button(
        "Stop",
        () =>
          verb(
            "stop",
            "Stop this recording?",
            "ACS ends the recording. The call goes on. What was recorded is exported as usual.",
            path,
            done,
            true,
          ),
        { name: "stop" },
      ),
    );
    buttons.push(
      button(
        "Pause",
        () => verb("pause", "Pause this recording?", "ACS records nothing until it is resumed.", path, done),
        { name: "pause" },
      ),
    );
    buttons.push(
      button("Resume", () => verb("resume", "Resume this recording?", "ACS goes on recording.", path, done), {
        name: "play",
      }),
    );
  } else {
    buttons.push(button("Verify", () => verify(path, done), { name: "shield" }));
  }
  buttons.push(button("Replay", () => replay(path, done), { kind: "primary", name: "replay" }));
  return buttons;
}

function verb(name, title, text, path, done, isDangerous = false) {
  return askFirst({
    title,
    confirm: plain(name),
    isDangerous,
    body: () => h("p", null, text),
    run: () => post(`${path}/${name}`),
    result: (answer) =>
      h(
        "p",
        { class: "panel good" },
        "Done. ACS reports the recording as ",
        h("strong", null, answer.recordingState),
        ".",
      ),
    done,
  });
}

function replay(path, done) {
  return askFirst({
    title: "Replay this recording?",
    confirm: "Replay",
    body: () =>
      h(
        "p",
        null,
        "Everything of it that can go on goes on now: attempts, delivery, digest, manifest. What a worker holds is left to it. No alert and no entry is erased.",
      ),
    run: () => post(`${path}/replay`),
    result: (answer) => replayResult(answer.replay ?? {}),
    done,
  });
}

function replayResult({ outcome, reason, chunks: files }) {
  return [
    h("p", { class: outcome === "going" ? "panel good" : "panel" }, doneBadge(outcome), ` ${capital(reason)}.`),
    h(
      "ul",
      { class: "results" },
      (files ?? []).map((one) => h("li", null, doneBadge(one.outcome), ` File ${one.index + 1}: ${one.reason}`)),
    ),
  ];
}

function verify(path, done) {
  return askFirst({
    title: "Verify this recording?",
    confirm: "Verify",
    body: () =>
      h(
        "p",
        null,
        "The app looks at every file now: is it there, with the size and the ETag that were proved? Then it reads each one back in the background and compares its SHA-256. A file that is gone or differs makes the recording damaged, and raises an alert.",
      ),
    run: () => post(`${path}/verify`),
    result: (answer) => [
      h(
        "ul",
        { class: "results" },
        (answer.files ?? []).map((file) => {
          const rest = [file.digest === "pending" ? "its SHA-256 is being compared" : null, file.error?.message].filter(
            Boolean,
          );
          return h(
            "li",
            null,
            resultBadge(file.result),
            ` File ${file.index + 1}`,
            rest.length ? h("span", { class: "muted" }, ` · ${rest.join(" · ")}`) : null,
          );
        }),
      ),
      answer.files?.length ? null : h("p", null, "There is no file to verify yet."),
    ],
    done,
  });
}
