// The form that asks for a key, where the app wants one.

import { key } from "./api.js";
import { h } from "./dom.js";
import { heading } from "./parts.js";

/** `why`: what is wrong with the key or the sign-in so far, if anything. `done` is called when there is a new key. */
export function keyForm(why, done) {
  function submit(event) {
    event.preventDefault();
    const given = new FormData(event.target).get("key").trim();
    if (!given) return;
    key.set(given);
    done();
  }
  return [
    heading("A key, please", "The page itself holds no data. It asks the app's API with a function key of yours."),
    why ? h("p", { class: "panel bad", role: "alert" }, why) : null,
    h(
      "form",
      { class: "key-form panel", onsubmit: submit },
      h("label", { for: "key" }, "Function key"),
      h(
        "div",
        { class: "joined" },
        h("input", { id: "key", name: "key", type: "password", autocomplete: "off", required: true }),
        h("button", { class: "primary" }, "Open"),
      ),
      h(
        "p",
        { class: "muted small" },
        "It stays in this tab and is gone when you close it. It is sent as a header to this app only, never in an address.",
      ),
      h(
        "p",
        { class: "muted small" },
        "Where to find one: ",
        h("code", null, "az functionapp keys list -g GROUP -n APP --query functionKeys.default -o tsv"),
      ),
    ),
  ];
}
