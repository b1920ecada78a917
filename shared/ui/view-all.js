// All recordings, finished and unfinished, with the API's filters.

import { h } from "./dom.js";
import { empty, errorPanel, heading } from "./parts.js";
import { more, pages, rows } from "./rows.js";
import { RECORDING_STATES, recordingState } from "./words.js";

const CALL_IDS = ["callId", "serverCallId", "groupCallId", "roomId", "callConnectionId"];

function field(label, name, input) {
  return h("div", { class: "field" }, h("label", { for: `filter-${name}` }, label), input);
}

function textField(params, label, name, more = {}) {
  return field(
    label,
    name,
    h("input", {
      id: `filter-${name}`,
      name,
      value: params.get(name),
      autocomplete: "off",
      spellcheck: "false",
      ...more,
    }),
  );
}

function choice(params, label, name, options) {
  const at = params.get(name) ?? options[0][0];
  return field(
    label,
    name,
    h(
      "select",
      { id: `filter-${name}`, name },
      options.map(([value, text]) => h("option", { value, selected: value === at }, text)),
    ),
  );
}

function filters(params) {
  const idName = CALL_IDS.find((name) => params.get(name)) ?? "callId";
  function submit(event) {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.target));
    const kept = new URLSearchParams();
    for (const name of ["state", "order", "container", "cause", "route"])
      if (given[name]?.trim()) kept.set(name, given[name].trim());
    for (const name of ["from", "to"]) if (given[name]) kept.set(name, new Date(`${given[name]}Z`).toISOString());
    if (given.id?.trim()) kept.set(given.idName, given.id.trim());
    location.hash = `#/all?${kept}`;
  }
  const local = (name) => (params.get(name) ? params.get(name).slice(0, 16) : null);
  const states = [
    ["all", "All"],
    ["unfinished", "Unfinished"],
    ["finished", "Finished"],
    ...RECORDING_STATES.map((one) => [one, recordingState(one).label]),
  ];
  return h(
    "form",
    { class: "filters panel", onsubmit: submit, "data-key": "filters" },
    choice(params, "State", "state", states),
    choice(params, "Order", "order", [
      ["newest", "Newest first"],
      ["risk", "Nearest deadline"],
    ]),
    choice(params, "Route", "route", [
      ["", "Any"],
      ["exported", "Exported"],
      ["rescued", "Rescued"],
      ["delivered", "Delivered"],
      ["mixed", "Mixed"],
    ]),
    textField(params, "Cause", "cause", { placeholder: "container_missing" }),
    field(
      "From (UTC)",
      "from",
      h("input", { id: "filter-from", name: "from", type: "datetime-local", value: local("from") }),
    ),
    field("To (UTC)", "to", h("input", { id: "filter-to", name: "to", type: "datetime-local", value: local("to") })),
    h("div", { class: "wide" }, textField(params, "Container URL", "container")),
    h(
      "div",
      { class: "field wide" },
      h("label", { for: "filter-id" }, "Id of a call"),
      h(
        "div",
        { class: "joined" },
        h(
          "select",
          { name: "idName", "aria-label": "Kind of id" },
          CALL_IDS.map((name) => h("option", { value: name, selected: name === idName }, name)),
        ),
        h("input", {
          id: "filter-id",
          name: "id",
          value: params.get(idName),
          autocomplete: "off",
          spellcheck: "false",
        }),
      ),
    ),
    h(
      "div",
      { class: "field end" },
      h("button", { class: "primary" }, "Apply"),
      h("a", { class: "button", href: "#/all" }, "Clear"),
    ),
  );
}

export function allView(params) {
  const asked = { state: "all", order: "newest", ...Object.fromEntries(params) };
  return {
    title: "All recordings",
    every: 30,
    async load(context) {
      try {
        return await pages(context, asked);
      } catch (error) {
        // A filter that the API does not accept belongs beside the form.
        if (error.status !== 400) throw error;
        return { recordings: [], error };
      }
    },
    render(data, context) {
      return [
        heading("All recordings", "Finished and unfinished. Filters go to the API as they are."),
        filters(params),
        data.error
          ? errorPanel(data.error, "The API does not accept these filters")
          : data.recordings.length
            ? [rows(data.recordings, "Recordings"), more(data, context)]
            : empty("list", "No recording fits", "Clear a filter, or search for an id at the top."),
      ];
    },
  };
}
