// Times, sizes and durations as people read them.

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** `38.0 MB`: decimal, as Azure's portal counts. */
export function bytes(count) {
  if (count === null || count === undefined) return "–";
  const power = count < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(count) / 3));
  return `${(count / 1000 ** power).toFixed(power ? 1 : 0)} ${UNITS[power]}`;
}

/** `23 h 5 min`, `4 min 10 s`, `12 s`: the two largest units. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/** `3 min ago`, `in 20 s`. */
export function relative(iso, now = Date.now()) {
  const away = Date.parse(iso) - now;
  if (Math.abs(away) < 1000) return "now";
  return away > 0 ? `in ${span(away)}` : `${span(-away)} ago`;
}

/** `2026-11-24 20:05:31 UTC`. */
export function absolute(iso) {
  return Number.isNaN(Date.parse(iso))
    ? String(iso)
    : `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** `20:05:31` of the reader's clock. */
export function clock(milliseconds) {
  return new Date(milliseconds).toTimeString().slice(0, 8);
}

/** `container_missing` as `Container missing`. */
export function plain(code) {
  const text = String(code)
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .replaceAll(".", ": ")
    .toLowerCase();
  return capital(text);
}

/** `app storage` as `App storage`; the rest stays as it is. */
export function capital(text) {
  return String(text).charAt(0).toUpperCase() + String(text).slice(1);
}

/** The beginning and the end of a long id. */
export function short(id, most = 28) {
  const text = String(id);
  return text.length <= most ? text : `${text.slice(0, most - 9)}…${text.slice(-8)}`;
}

export function count(number, noun, nouns = `${noun}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : nouns}`;
}
