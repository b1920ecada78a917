// What a replay did about a recording or a file.

import { plain } from "./format.js";
import { toneBadge } from "./parts.js";

const OUTCOMES = {
  going: ["Set going", "good", "check"],
  held: ["Held by a worker", "plain", "clock"],
  nothing_to_do: ["Nothing to do", "plain", "dot"],
  failed: ["Failed", "bad", "alert"],
};

export function outcomeText(outcome) {
  const [label, tone, icon] = OUTCOMES[outcome] ?? [plain(outcome), "plain", "dot"];
  return { label, tone, icon };
}

export function outcomeBadge(outcome) {
  const { label, tone, icon } = outcomeText(outcome);
  return toneBadge(label, tone, icon);
}
