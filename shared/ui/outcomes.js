// What a replay does about a recording or a file: in a plan, and when it is done.

import { plain } from "./format.js";
import { toneBadge } from "./parts.js";

const REST = {
  held: ["Held by a worker", "plain", "clock"],
  nothing_to_do: ["Nothing to do", "plain", "dot"],
  failed: ["Failed", "bad", "alert"],
};
const DONE = { ...REST, going: ["Set going", "good", "check"] };
const PLANNED = { ...REST, going: ["Would go on", "busy", "replay"] };

function badge(table, outcome) {
  return toneBadge(...(table[outcome] ?? [plain(outcome), "plain", "dot"]));
}

export const doneBadge = (outcome) => badge(DONE, outcome);
export const plannedBadge = (outcome) => badge(PLANNED, outcome);
