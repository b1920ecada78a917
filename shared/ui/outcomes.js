// What replays and verifications come to, as badges.

import { plain } from "./format.js";
import { toneBadge } from "./parts.js";

const REST = {
  held: ["Held by a worker", "plain", "clock"],
  nothing_to_do: ["Nothing to do", "plain", "dot"],
  failed: ["Failed", "bad", "alert"],
};
const DONE = { ...REST, going: ["Set going", "good", "check"] };
const PLANNED = { ...REST, going: ["Would go on", "busy", "replay"] };
// What a look at a file found.
const RESULTS = {
  intact: ["Intact", "good", "check"],
  missing: ["Gone", "bad", "broken"],
  differs: ["Differs", "bad", "broken"],
  unknown: ["ETag changed", "warn", "ask"],
  unreachable: ["Not reachable", "warn", "alert"],
};

function badge(table, outcome) {
  return toneBadge(...(table[outcome] ?? [plain(outcome), "plain", "dot"]));
}

/** What a replay did about a recording or a file. */
export const doneBadge = (outcome) => badge(DONE, outcome);
/** The same, of a dry run. */
export const plannedBadge = (outcome) => badge(PLANNED, outcome);
export const resultBadge = (result) => badge(RESULTS, result);
