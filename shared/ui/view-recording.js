// One recording: where it is, its files with their proofs, its timeline, and what can be done.

import { actions } from "./actions.js";
import { get } from "./api.js";
import { h } from "./dom.js";
import { bytes, plain, span } from "./format.js";
import { icon } from "./icons.js";
import { resultBadge } from "./outcomes.js";
import { supportText } from "./support.js";
import {
  badge,
  button,
  byteBar,
  chunkBadge,
  copy,
  copyButton,
  empty,
  facts,
  fullTime,
  heading,
  idText,
  section,
  time,
  windowOf,
} from "./parts.js";
import { blameText, causeText, isFailure, kindText, recordingState } from "./words.js";

const PROOFS = {
  none: "None yet",
  structure: "The file is whole in itself",
  length: "It has the length that ACS announced",
  digest: "Two copies have one SHA-256",
};
const WHERE = {
  destination: "Your container",
  fallback: "The app's fallback container",
  acs: "ACS",
  nowhere: "No place that is known",
};

export function recordingView(id) {
  const path = `recordings/${encodeURIComponent(id)}`;
  return {
    title: "Recording",
    every: 5,
    load: (context) => get(path, {}, context.signal),
    render: (one, context) => [
      h(
        "p",
        { class: "back", "data-key": "back" },
        h("a", { href: one.closedAt ? "#/all" : "#/" }, icon("left"), one.closedAt ? "All recordings" : "Unfinished"),
      ),
      heading(
        ["Recording ", h("span", { class: "mono" }, one.key.slice(0, 8))],
        recordingState(one.state).text,
        actions(one, `recordings/${one.key}`, context),
      ),
      summary(one),
      chunks(one),
      timeline(one, context),
      support(one),
    ],
  };
}

function summary(one) {
  const asked = one.started ?? {};
  const { kind, id } = asked.locator ?? {};
  return h(
    "div",
    { class: "panel summary", "data-key": "summary" },
    h(
      "div",
      { class: "summary-top" },
      badge(one.state),
      one.cause
        ? h("span", { class: "why" }, causeText(one.cause), one.blame ? [" · ", blameText(one.blame)] : null)
        : null,
    ),
    h(
      "div",
      { class: "summary-bars" },
      h(
        "div",
        null,
        h("p", { class: "label" }, "Bytes safe"),
        byteBar(one.bytesDone, one.bytesTotal ?? (one.closedAt ? one.size : null), one.closedAt),
      ),
      h("div", null, h("p", { class: "label" }, "ACS's window"), windowOf(one)),
    ),
    facts([
      ["Recording id", idText(one.recordingId, "the recording id", 36)],
      ["Key", idText(one.key, "the key", 36)],
      ["Call id", idText(one.callId, "the call id", 36)],
      ["Server call id", idText(one.serverCallId, "the server call id", 36)],
      ["Container", idText(one.containerUrl, "the container's URL", 48)],
      ["Asked for", [asked.recordingContent, asked.recordingFormat, asked.recordingChannel].filter(Boolean).join(", ")],
      ["Found the call by", id ? [plain(kind), " ", idText(id, "the id", 36)] : kind ? plain(kind) : null],
      ["Started by", asked.by],
      ["Began", fullTime(one.recordingStartTime ?? one.createdAt)],
      ["Length", one.recordingDurationMs ? span(one.recordingDurationMs) : null],
      ["Window ends, earliest", fullTime(one.atRiskFrom)],
      ["Window ends, latest", fullTime(one.abandonAfter)],
      ["Next step", one.nextDueAt ? fullTime(one.nextDueAt) : null],
      ["Finished", fullTime(one.closedAt)],
      ["Way", one.route ? plain(one.route) : null],
      ["Attempts", one.attempts || null],
      [
        "Manifest",
        one.manifest?.blob
          ? idText(one.manifest.blob, "the manifest's name", 48)
          : one.manifest?.state
            ? plain(one.manifest.state)
            : null,
      ],
      [
        "Same recording",
        one.links?.length
          ? one.links.map((link) =>
              h("a", { class: "mono", href: `#/recordings/${encodeURIComponent(link)}` }, link.slice(0, 8), " "),
            )
          : null,
      ],
      ["Alerts", one.alerts?.length ? one.alerts.map((name) => causeText(name)).join(", ") : null],
      ["Alerts not sent yet", one.alertsOwed?.length ? one.alertsOwed.map((name) => causeText(name)).join(", ") : null],
    ]),
  );
}

function chunks(one) {
  return section(
    ["Files ", h("span", { class: "count" }, one.chunks.length)],
    one.chunks.length
      ? h("ol", { class: "chunks" }, one.chunks.map(chunk))
      : empty(
          "clock",
          "No file is reported yet",
          "ACS reports the files a minute or a few after the call's end. The app asks ACS by itself when no event comes.",
        ),
  );
}

function chunk(one) {
  const { lease } = one;
  return h(
    "li",
    { class: "panel chunk", "data-key": `${one.index}-${one.documentId}` },
    h(
      "div",
      { class: "chunk-top" },
      h("h3", null, `File ${one.index + 1}`),
      chunkBadge(one.state),
      h("span", { class: "muted small" }, WHERE[one.where] ?? one.where),
    ),
    byteBar(one.bytesDone, one.bytesTotal ?? one.size, one.finishedAt),
    lease
      ? h(
          "p",
          { class: "note busy" },
          icon("pulse"),
          h(
            "span",
            null,
            "A worker is at it",
            lease.step ? ` (${plain(lease.step).toLowerCase()})` : "",
            lease.worker ? [", ", h("code", null, lease.worker)] : null,
            lease.since ? [", since ", time(lease.since)] : null,
            ". It holds the file until ",
            time(lease.until),
            ".",
          ),
        )
      : null,
    facts([
      ["Blob", idText(one.blob, "the blob's URL", 64)],
      ["Size", one.size ? `${bytes(one.size)} (${one.size.toLocaleString("en")} bytes)` : null],
      [
        "SHA-256",
        one.sha256
          ? idText(one.sha256, "the SHA-256", 28)
          : (one.digestProblem ?? (one.digest === "pending" ? "Being read" : null)),
      ],
      ["Proof", one.proof && one.proof !== "none" ? (PROOFS[one.proof] ?? plain(one.proof)) : null],
      ["Proved", fullTime(one.provedAt)],
      [
        "Last look",
        one.check
          ? [
              resultBadge(one.check.result),
              " ",
              time(one.check.at),
              one.checkDue ? h("span", { class: "muted" }, " · SHA-256 is being compared") : null,
            ]
          : null,
      ],
      [
        "Metadata",
        one.metadataBlob
          ? idText(one.metadataBlob, "the metadata's URL", 40)
          : one.metadata
            ? plain(one.metadata)
            : null,
      ],
      ["Document id", idText(one.documentId, "the document id", 36)],
      ["Attempts", one.attempts || null],
      ["Worker crashes", one.crashes],
      ["Next attempt", one.nextAttemptAt ? fullTime(one.nextAttemptAt) : null],
      ["Window ends", one.atRiskFrom ? fullTime(one.atRiskFrom) : null],
      ["Call ended by", one.endReason ? plain(one.endReason) : null],
      ["Deletion at ACS", one.deletionAtAcs ? plain(one.deletionAtAcs) : null],
    ]),
    errors(one.errors ?? []),
  );
}

function errors(list) {
  if (!list.length) return null;
  const newest = list.at(-1);
  return h(
    "details",
    { class: "errors" },
    h(
      "summary",
      null,
      icon("alert"),
      h(
        "span",
        { class: "grow" },
        `Last error: ${causeText(newest.code)} `,
        h("span", { class: "muted small" }, time(newest.at)),
      ),
    ),
    h(
      "ol",
      { class: "error-list" },
      list
        .toReversed()
        .map((one) =>
          h(
            "li",
            null,
            h(
              "p",
              null,
              h("code", null, one.code),
              " · ",
              blameText(one.blame),
              one.step ? ` · ${plain(one.step)}` : "",
            ),
            h("p", { class: "wrap" }, one.message),
            h(
              "p",
              { class: "muted small" },
              fullTime(one.at),
              one.traceId ? [" · trace ", h("code", null, one.traceId), copyButton(one.traceId, "the trace id")] : null,
            ),
          ),
        ),
    ),
  );
}

function timeline(one, context) {
  const onlyFailed = context.state.onlyFailed ?? false;
  const entries = (one.timeline ?? []).filter((entry) => !onlyFailed || isFailure(entry));
  const toggle = h(
    "label",
    { class: "check" },
    h("input", {
      type: "checkbox",
      id: "only-failed",
      onchange: (event) => {
        context.state.onlyFailed = event.target.checked;
        context.redraw();
      },
    }),
    "Failed only",
  );
  return h(
    "section",
    { class: "section", "data-key": "timeline" },
    h(
      "div",
      { class: "section-top" },
      h("h2", null, "Timeline ", h("span", { class: "count" }, entries.length)),
      toggle,
    ),
    entries.length
      ? h("ol", { class: "timeline" }, entries.map(moment))
      : empty(
          "check",
          onlyFailed ? "Nothing failed" : "Nothing happened yet",
          onlyFailed ? "Untick the filter to see what happened." : "Entries appear with the first event.",
        ),
  );
}

function moment(one) {
  const isBad = isFailure(one);
  return h(
    "li",
    { class: isBad ? "moment bad" : "moment" },
    h("span", { class: "moment-mark" }, icon(isBad ? "alert" : "dot")),
    h(
      "div",
      null,
      h(
        "p",
        null,
        h("strong", null, kindText(one.kind)),
        one.chunk !== undefined ? h("span", { class: "muted" }, ` · file ${one.chunk + 1}`) : null,
        one.code ? [" ", h("code", null, one.code)] : null,
        one.count > 1 ? h("span", { class: "count" }, `${one.count} times`) : null,
      ),
      one.detail ? h("p", { class: "wrap small" }, one.detail) : null,
      h(
        "p",
        { class: "muted small" },
        fullTime(one.at),
        one.lastAt ? [", last ", time(one.lastAt)] : null,
        " · by ",
        one.by ?? "app",
      ),
    ),
  );
}

function support(one) {
  const text = supportText(one);
  return section(
    "For Microsoft's support",
    h(
      "p",
      { class: "muted" },
      "Ids, times and trace ids of this recording. No secret, no address of media, no participant.",
    ),
    h("pre", { class: "support", tabindex: 0, "aria-label": "Text for Microsoft's support" }, text),
    button("Copy the text", () => copy(text, "the text for support"), { name: "copy" }),
  );
}
