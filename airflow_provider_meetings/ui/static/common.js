// What the two Meetings pages share: elements, links, moments, and how they ask the server.
//
// Everything that comes from the server is put into the page as text, never as markup; the page's
// Content-Security-Policy forbids the other way as well.

const ROOT = new URL(".", location.href);
export const AIRFLOW = ROOT.pathname.replace(/\/meetings\/$/u, "");

// -- elements

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const muted = (...children) => h("span", { class: "muted" }, ...children);
export const hidden = (text) => h("span", { class: "hidden" }, text);

const TONES = {
  created: "good", adopted: "good", synced: "good", success: "good",
  updated: "info", running: "info", deferred: "info", up_for_reschedule: "info",
  moved_in: "info", moved_out: "info", changed: "info",
  deleted: "warn", gone: "warn", in_doubt: "warn", awaiting_input: "warn", up_for_retry: "warn", question: "warn",
  failed: "bad", refused: "bad", upstream_failed: "bad",
};
const WORDS = {
  in_doubt: "in doubt", up_for_retry: "to be retried", awaiting_input: "question", deferred: "waiting",
  up_for_reschedule: "waiting", moved_in: "moved in", moved_out: "moved out", upstream_failed: "upstream failed",
};
export const word = (name) => WORDS[name] ?? name;

export function chip(name, count) {
  return h("span", { class: `chip ${TONES[name] ?? ""}` }, count === undefined ? word(name) : `${count} ${word(name)}`);
}

export const chips = (counts) => {
  const found = Object.entries(counts);
  return found.length > 0 && h("span", { class: "chips" }, found.map(([name, count]) => chip(name, count)));
};
export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** A card that can be opened: what is in it is made when it is opened first. */
export function fold(level, label, open, fill) {
  const body = h("div", { class: "body", hidden: true });
  const button = h("button", { class: "fold", "aria-expanded": "false" }, ...label);
  const set = (state) => {
    button.setAttribute("aria-expanded", String(state));
    body.hidden = !state;
    if (state && !body.hasChildNodes()) {
      body.append(...[fill()].flat());
    }
  };
  button.addEventListener("click", () => set(body.hidden));
  set(open);
  const section = h("section", { class: "card" }, h(level, {}, button), body);
  section.set = set;
  return section;
}

// -- links: Airflow shows the page in a frame that may not navigate, so its own document has to follow them

function pathOf(run, ...rest) {
  const parts = ["dags", run.dag_id, "runs", run.run_id, ...rest].map(encodeURIComponent);
  return `${AIRFLOW}/${parts.join("/")}`;
}

export function taskPath(task) {
  return pathOf(task, "tasks", task.task_id) + (task.map_index >= 0 ? `/mapped/${task.map_index}` : "");
}

function follow(event) {
  const anchor = event.currentTarget;
  if (window.parent === window || (event.type === "auxclick" && event.button !== 1)) {
    return;
  }
  try {
    const outer = window.parent.document.createElement("a");
    const aside = event.ctrlKey || event.metaKey || event.shiftKey || event.button === 1;
    outer.href = anchor.href;
    outer.rel = "noopener noreferrer";
    outer.target = aside || anchor.target === "_blank" ? "_blank" : "_self";
    window.parent.document.body.append(outer);
    outer.click();
    outer.remove();
    event.preventDefault();
  } catch {
    // The page around this one is another site's: the browser does with the link what it may.
  }
}

export function link(href, text, { outside = false, about = "" } = {}) {
  const attributes = { href, onclick: follow, onauxclick: follow };
  if (outside) {
    Object.assign(attributes, { target: "_blank", rel: "noopener noreferrer" });
  }
  return h("a", attributes, text, about && hidden(` ${about}`), outside && hidden(" (in a new tab)"));
}

const isWebAddress = (text) => /^https?:\/\//u.test(text ?? "");

// -- what Airflow has chosen: light or dark, and the time zone

export function stored(key) {
  try {
    const text = localStorage.getItem(key);
    return text === null ? null : text.replace(/^"|"$/gu, "");
  } catch {
    return null;
  }
}

function followTheme() {
  const preference = matchMedia("(prefers-color-scheme: dark)");
  const outer = () => {
    try {
      return window.parent === window ? null : window.parent.document.documentElement;
    } catch {
      return null;
    }
  };
  const apply = () => {
    const around = outer()?.classList;
    const chosen = around?.contains("dark") ? "dark" : around?.contains("light") ? "light" : stored("theme");
    const dark = chosen === "dark" || (chosen !== "light" && preference.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  preference.addEventListener("change", apply);
  addEventListener("storage", apply);
  if (outer()) {
    new MutationObserver(apply).observe(outer(), { attributes: true, attributeFilter: ["class"] });
  }
}

export function isZone(name) {
  try {
    return Boolean(name && new Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}

const chosenZone = stored("timezone");
export const ZONE = isZone(chosenZone) ? chosenZone : Intl.DateTimeFormat().resolvedOptions().timeZone;

// -- moments

const formats = new Map();

export function format(moment, options, zone = ZONE) {
  const key = JSON.stringify([zone, options]);
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }));
  }
  return formats.get(key).format(moment);
}

export const DATE = { weekday: "short", day: "numeric", month: "short", year: "numeric" };
export const LONG_DATE = { weekday: "long", day: "numeric", month: "long", year: "numeric" };
const TIME = { hour: "2-digit", minute: "2-digit" };
export const dayOf = (moment, zone = ZONE) => format(moment, { year: "numeric", month: "2-digit", day: "2-digit" }, zone);
export const zoneName = (zone) => h("span", { class: "muted", title: zone }, zone.split("/").at(-1).replaceAll("_", " "));
export const at = (moment) => (typeof moment === "number" ? `${format(moment, DATE)}, ${format(moment, TIME)}` : (moment ?? "–"));
export const stamp = (moment, ...parts) => h("time", { datetime: new Date(moment).toISOString() }, ...parts);

/** The first moment of the day that holds this one, some days on; the clocks may change in between. */
export function midnight(moment, days = 0) {
  const [day, month, year] = dayOf(moment).split("/").map(Number);
  const target = Date.UTC(year, month - 1, day + days);
  let guess = target;
  for (let round = 0; round < 3; round += 1) {
    const [hour, minute] = format(guess, { ...TIME, hourCycle: "h23" }).split(":").map(Number);
    const [d, m, y] = dayOf(guess).split("/").map(Number);
    guess += target - (Date.UTC(y, m - 1, d) + (hour * 60 + minute) * 60_000);
  }
  return guess;
}

export function span(meeting, zone) {
  const end = meeting.ends_at > meeting.starts_at ? `–${format(meeting.ends_at, TIME, zone)}` : "";
  return `${format(meeting.starts_at, TIME, zone)}${end}`;
}

export function ago(moment) {
  const minutes = Math.round((Date.now() - moment) / 60_000);
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (Math.abs(minutes) < 60) {
    return relative.format(-minutes, "minute");
  }
  return Math.abs(minutes) < 2880
    ? relative.format(-Math.round(minutes / 60), "hour")
    : relative.format(-Math.round(minutes / 1440), "day");
}

// -- a meeting in words

const MAX_ID = 12;
/** An id, of which people compare the first characters. */
export const short = (id) => (String(id).length > MAX_ID ? `${String(id).slice(0, 8)}…` : String(id));
export const titleOf = (row) => row.title ?? (row.type && `${row.type} meeting`) ?? (row.id === undefined ? "a meeting" : `meeting ${short(row.id)}`);
export const whomOf = (row) => row.counterpart_name ?? (row.counterpart_id && `no. ${short(row.counterpart_id)}`);

export function shown(field, value) {
  if (value === null || value === undefined || value === "") {
    return "nothing";
  }
  const isMoment = /date|time|at$/iu.test(field) && /^\d{12,14}$/u.test(value);
  return isMoment ? `${at(Number(value))} (${ZONE})` : String(value);
}

export function changeList(changes) {
  const fields = Object.entries(changes ?? {});
  return fields.length > 0 && h("ul", { class: "changes" }, fields.map(([field, values]) => h("li", {}, muted(`${field}: `),
    values.length > 1 && [h("del", {}, hidden("was "), shown(field, values[0])), " → "],
    h("ins", {}, values.length > 1 && hidden("is now "), shown(field, values.at(-1))))));
}

export function addressOf(row) {
  return isWebAddress(row.url) && link(row.url, "Open", { outside: true, about: titleOf(row) });
}

// -- the server

class Refusal extends Error {}

const REFUSALS = {
  401: "You are not logged in to Airflow, or no longer. Reload Airflow's page and log in.",
  403: "You may not see this. Ask for the right to read this DAG, its task instances and its XComs.",
  404: "There is no such DAG run. It may have been deleted, or Airflow cleans its database.",
  503: "The Meetings pages cannot be loaded. The log of Airflow's API server says why.",
};

export async function ask(path, parameters = {}) {
  const url = new URL(`api/${path}`, ROOT);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") {
      url.searchParams.set(name, value);
    }
  }
  let answer;
  try {
    answer = await fetch(url, { headers: { accept: "application/json" } });
  } catch {
    throw new Refusal("Airflow's API server did not answer. Check your connection, and that Airflow is running.");
  }
  if (!answer.ok) {
    answer.body?.cancel();
    throw new Refusal(REFUSALS[answer.status] ?? `Airflow's API server answered with status ${answer.status}. Its log says why.`);
  }
  return answer.json();
}

function failure(error, again) {
  const text = error instanceof Refusal ? error.message : `The page has a fault: ${error.message}`;
  return h("div", { class: "note bad", role: "alert" }, h("p", {}, text), h("button", { onclick: again }, "Try again"));
}

/** Draw an answer when it comes, and again when it changes; what is open and focused stays so in between. */
export class Panel {
  constructor(place, load, draw) {
    Object.assign(this, { place, load, draw, last: null, number: 0 });
  }

  async refresh({ force = false } = {}) {
    const number = (this.number += 1);
    this.place.setAttribute("aria-busy", "true");
    try {
      const answer = await this.load();
      const text = JSON.stringify(answer);
      if (number === this.number && (force || text !== this.last)) {
        this.place.replaceChildren(...[this.draw(answer)].flat(Infinity).filter(Boolean));
        this.last = text;
      }
    } catch (error) {
      if (number === this.number) {
        this.last = null;
        this.place.replaceChildren(failure(error, () => this.refresh({ force: true })));
      }
    } finally {
      if (number === this.number) {
        this.place.removeAttribute("aria-busy");
      }
    }
  }
}

export function everyMinute(refresh, seconds = 60) {
  setInterval(() => document.visibilityState === "visible" && refresh(), seconds * 1000);
}

followTheme();
