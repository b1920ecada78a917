// The API's words in sentences: states, causes, timeline. A word that is not here is shown as it is.

import { plain } from "./format.js";

// tone: the colour; an icon and the text say the same without it.
const RECORDING = {
  started: ["Started", "busy", "clock", "No event of ACS about it yet: the call may still be running."],
  saving: ["Saving", "busy", "down", "At least one file is not safe yet: ACS has it, and the app is at it."],
  safe: [
    "Safe",
    "good",
    "shield",
    "Every byte is safe. Some wait in the app's own fallback container for their place.",
  ],
  complete: ["Complete", "good", "check", "Every file is in its container."],
  lost: ["Lost", "bad", "cross", "ACS's window closed before the bytes of a file were safe."],
  unconfirmed: ["Unconfirmed", "warn", "ask", "An event reported a file that no source ever confirmed."],
  no_event: ["No event", "warn", "ask", "It was started, and no event about it ever came."],
  damaged: ["Damaged", "bad", "broken", "A file that was in place is gone or differs from what was proved."],
};
const CHUNK = {
  expected: ["Being verified", "busy", "clock", "ACS reports the export; the app looks for the file."],
  pending: ["Not exported", "warn", "down", "The app fetches it from ACS."],
  exported: ["Exported", "good", "check", "ACS wrote it; the app verified it."],
  rescued: ["Rescued", "good", "check", "The app fetched it from ACS."],
  in_fallback: ["In the fallback", "good", "shield", "Safe in the app's own container; delivery follows."],
  delivered: ["Delivered", "good", "check", "Fetched into the fallback, then moved to its place."],
  undeliverable: ["Undeliverable", "warn", "box", "Safe in the fallback; delivery was given up. A replay tries again."],
  lost: ["Lost", "bad", "cross", "The window closed before the bytes were safe."],
  unconfirmed: ["Unconfirmed", "warn", "ask", "No source confirmed that there is such a file."],
  damaged: ["Damaged", "bad", "broken", "The file is gone or differs from what was proved."],
};
const BLAME = {
  caller: "The caller",
  destination: "Your container",
  acs: "ACS",
  app: "This app",
};
const CAUSES = {
  storage_access_denied: "The role Storage Blob Data Contributor is missing",
  storage_network_denied: "The account's firewall does not let the app in",
  container_missing: "The container does not exist",
  container_not_allowed: "The container is not on the allow-list",
  storage_immutable: "An immutability policy or a lease forbids the write",
  storage_full: "The storage account has reached a limit",
  storage_refused: "Storage refuses until it is mended",
  storage_throttled: "Storage asks to slow down",
  storage_unavailable: "Storage does not answer",
  media_unavailable: "ACS's media store does not answer",
  media_not_found: "ACS does not have the media",
  media_unauthorized: "ACS does not accept the app's credential for media",
  media_throttled: "ACS's media store asks to slow down",
  media_empty: "ACS sent no bytes",
  media_truncated: "ACS sent fewer bytes than it announced",
  media_is_a_page: "ACS sent a web page in place of media",
  export_not_found: "The export is not where ACS reported it",
  export_empty: "The exported file is empty",
  export_broken: "The exported file is not whole",
  destination_conflict: "Another file lies in the recording's place",
  fallback_missing: "The bytes are gone from the fallback",
  worker_crashed: "A worker of the app went away",
  damaged: "A file is gone or differs",
  lost: "The window closed before the bytes were safe",
  unconfirmed: "No source confirmed the file",
  deadline: "The end of the window is near",
  event_overdue: "The recording ended and no event came",
  no_event: "No event ever came",
  unproven: "Nothing shows that all bytes are there",
  none: "Nothing failed so far",
};
const KINDS = {
  started: "Recording started",
  replayed: "Replay asked for",
  attempt_failed: "Attempt failed",
  delivery_failed: "Delivery failed",
  exported: "Export verified in the container",
  rescued: "Fetched from ACS into the container",
  kept_in_fallback: "Stored in the fallback: the bytes are safe",
  delivered: "Moved from the fallback to its place",
  digest: "SHA-256 noted",
  digest_unavailable: "SHA-256 could not be read",
  continued: "Went on in another invocation",
  rescheduled: "Attempt was put off",
  worker_died: "A worker went away in the middle",
  late_export: "ACS exported it late",
  looked_again: "Looked for the bytes once more",
  manifest_failed: "The manifest could not be written",
  still_recording: "ACS is still recording",
  ended: "ACS no longer records",
  event_unmatched: "No event names this recording",
  linked: "Another record is about the same recording",
  closed: "Finished",
  verification: "Verification asked for",
  checked: "File looked at",
  intact_again: "File is intact again",
  stopped: "Recording stopped",
  paused: "Recording paused",
  resumed: "Recording resumed",
};
const FAILURES =
  /^alert\.|failed|died|crash|given_up|missing|unproven|conflict|lost|refused|overdue|unavailable|unmatched|damaged|differs|broken|dropped|_fault$|at_odds/;

function entry(table, word) {
  const [label, tone, icon, text] = (Object.hasOwn(table, word) && table[word]) || [plain(word), "plain", "dot", ""];
  return { label, tone, icon, text };
}

export const recordingState = (state) => entry(RECORDING, state);
export const chunkState = (state) => entry(CHUNK, state);
export const RECORDING_STATES = Object.keys(RECORDING);

function look(table, word) {
  return Object.hasOwn(table, word) ? table[word] : plain(word);
}

export const blameText = (blame) => look(BLAME, blame);
export const causeText = (cause) => look(CAUSES, cause);

/** A timeline entry's sentence. */
export function kindText(kind) {
  return kind.startsWith("alert.") ? `Alert: ${look(CAUSES, kind.slice(6))}` : look(KINDS, kind);
}

export const isFailure = (one) => FAILURES.test(one.kind) || (one.kind === "checked" && one.code !== "intact");
