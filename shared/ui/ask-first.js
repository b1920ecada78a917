// Actions ask first, in a dialog; the same dialog then shows what they did.

import { flat, h, morph } from "./dom.js";
import { button, errorPanel } from "./parts.js";

/**
 * Asks, runs and shows.
 *
 * `prepare`: loads what the question needs (a dry run); its answer is handed to `body` and `run`.
 * `body(plan)`: nodes that say what will happen. `run(plan)`: does it. `result(answer)`: nodes that say what it did.
 * `canRun(plan)`: false where there is nothing to confirm. `done`: called when the dialog closes after a run.
 */
export async function askFirst({
  title,
  confirm,
  isDangerous = false,
  prepare,
  body,
  run,
  result,
  canRun = () => true,
  done,
}) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" });
  let hasRun = false;
  const show = (content, ...buttons) =>
    morph(dialog, [
      h("h2", { id: "dialog-title" }, title),
      h("div", { class: "dialog-body", "aria-live": "polite" }, flat(content)),
      h("div", { class: "dialog-buttons" }, buttons),
    ]);
  const close = (label) => button(label, () => dialog.close());
  dialog.onclose = () => {
    dialog.remove();
    if (hasRun) done?.();
  };
  document.body.append(dialog);
  show(h("p", { class: "muted" }, "Looking at what would happen…"), close("Cancel"));
  dialog.showModal();

  let plan;
  try {
    plan = await prepare?.();
  } catch (error) {
    return show(errorPanel(error, "This could not be prepared"), close("Close"));
  }
  const go = async () => {
    show(
      [body(plan), h("p", { class: "muted" }, "Working…")],
      button(confirm, null, { kind: "primary", disabled: true }),
    );
    try {
      const answer = await run(plan);
      hasRun = true;
      show(result(answer), close("Close"));
    } catch (error) {
      hasRun = true;
      show(errorPanel(error, "It did not work"), close("Close"), button("Try again", go, { kind: "primary" }));
    }
    dialog.querySelector(".dialog-buttons button")?.focus();
  };
  const confirmed = canRun(plan) ? button(confirm, go, { kind: isDangerous ? "danger" : "primary" }) : null;
  show(body(plan), close(confirmed ? "Cancel" : "Close"), confirmed);
  dialog.querySelector(".dialog-buttons button")?.focus();
}
