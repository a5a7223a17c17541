// The page in the navigation: an agenda, a week, who waits, what is watched, and what needs attention.

import {
  addressOf, ago, AIRFLOW, ask, at, changeList, chip, chips, DATE, dayOf, everyMinute, fold, format, h, hidden,
  isZone, link, LONG_DATE, midnight, muted, Panel, plural, short, span, stamp, stored, taskPath, titleOf, whomOf,
  word, ZONE, zoneName,
} from "./common.js";

const KEPT = "meetings-page";

function remembered() {
  const asked = Object.fromEntries(new URLSearchParams(location.search));
  let kept = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  } catch {
    // Nothing was kept.
  }
  const known = { view: "agenda", connection: "", dag_id: "", outcome: "", text: "", ...kept, ...asked };
  return { ...known, day: Number(known.day) || Date.now() };
}

const nameOf = (task) => `${task.dag_id} / ${task.task_id}${task.map_index >= 0 ? ` [${task.map_index}]` : ""}`;
const told = (one) => [chip(one.outcome), ` ${ago(one.at)} by `, link(taskPath(one), nameOf(one)), changeList(one.changes)];

function historyOf(meeting) {
  const [last] = meeting.history;
  const earlier = meeting.history.slice(1);
  return h("div", { class: "history" }, last.outcome !== meeting.outcome && `${word(last.outcome)} `, muted(`${ago(last.at)} by `),
    link(taskPath(last), nameOf(last)), changeList(last.changes),
    earlier.length > 0 && h("details", {},
      h("summary", {}, plural(earlier.length, "task"), " before", hidden(` that had to do with ${titleOf(meeting)}`)),
      h("ul", {}, earlier.map((one) => h("li", {}, told(one))))));
}

/** The meeting's own local time, where it is another one than that of the page. */
function ownTime(meeting) {
  const zone = meeting.time_zone;
  if (!isZone(zone) || span(meeting, zone) === span(meeting, ZONE)) {
    return null;
  }
  const day = dayOf(meeting.starts_at, zone) === dayOf(meeting.starts_at) ? "" : format(meeting.starts_at, { weekday: "short" }, zone);
  return h("div", { class: "muted" }, `${day} ${span(meeting, zone)}`, h("br"), zoneName(zone));
}

function meetingItem(meeting) {
  const off = meeting.cancelled || ["deleted", "gone"].includes(meeting.outcome);
  const facts = [
    meeting.title && meeting.type, whomOf(meeting) && `with ${whomOf(meeting)}`, meeting.location,
    meeting.owner_name && `by ${meeting.owner_name}`, meeting.connection,
  ].filter(Boolean);
  return h("li", { class: off ? "item off" : "item" },
    h("div", { class: "time" }, stamp(meeting.starts_at, span(meeting, ZONE)), ownTime(meeting)),
    h("div", { class: "about" },
      h("div", { class: "title" }, titleOf(meeting)),
      h("div", { class: "facts" }, facts.map((fact) => h("span", {}, fact)), addressOf(meeting)),
      historyOf(meeting)),
    h("div", { class: "chips" }, meeting.cancelled && chip("cancelled"), chip(meeting.outcome)));
}

function weekItem(meeting) {
  const off = meeting.cancelled || ["deleted", "gone"].includes(meeting.outcome);
  return h("li", { class: off ? "item off" : "item" },
    stamp(meeting.starts_at, span(meeting, ZONE)),
    h("div", { class: "title" }, titleOf(meeting)),
    whomOf(meeting) && h("div", {}, whomOf(meeting)),
    h("div", { class: "chips" }, meeting.cancelled && chip("cancelled"), chip(meeting.outcome)),
    h("div", {}, addressOf(meeting), " ", link(taskPath(meeting.last), "Log", { about: `of ${nameOf(meeting.last)}` })));
}

function byDay(meetings) {
  const days = new Map();
  meetings.forEach((meeting) => {
    const day = dayOf(meeting.starts_at);
    days.set(day, [...(days.get(day) ?? []), meeting]);
  });
  return days;
}

const isToday = (moment) => dayOf(moment) === dayOf(Date.now());

function dayHeading(moment, options) {
  return h("h3", {}, format(moment, options), isToday(moment) && " (today)");
}

function agendaOf(meetings) {
  return [...byDay(meetings).values()].map((own) =>
    h("section", { class: isToday(own[0].starts_at) ? "day today" : "day" },
      dayHeading(own[0].starts_at, LONG_DATE), h("ol", {}, own.map(meetingItem))));
}

function weekOf(meetings, start) {
  const days = byDay(meetings);
  return h("ol", { class: "seven" }, Array.from({ length: 7 }, (_, number) => {
    const moment = midnight(start, number);
    const own = days.get(dayOf(moment)) ?? [];
    return h("li", { class: isToday(moment) ? "today" : "" },
      dayHeading(moment, { weekday: "short", day: "numeric", month: "short" }),
      own.length ? h("ol", {}, own.map(weekItem)) : h("p", { class: "item muted" }, "–"));
  }));
}

function troubleItem(one) {
  const what = one.meeting ? ` ${titleOf(one.meeting)}${one.meeting.starts_at ? `, ${at(one.meeting.starts_at)}` : ""}` : "";
  return h("li", {}, chip(one.outcome), h("strong", {}, nameOf(one), muted(what)),
    link(taskPath(one), "Log", { about: `of ${one.task_id}` }),
    one.error && h("p", {}, one.error), h("p", { class: "muted" }, `${ago(one.at)}. `, one.advice));
}

function questionItem(one) {
  return h("li", {}, chip("question"), h("strong", {}, one.subject),
    link(`${taskPath(one)}/required_actions`, "Answer", { about: `the question of ${one.task_id}` }),
    h("p", { class: "muted" }, `${nameOf(one)} waits for a person since ${at(one.since)}.`));
}

function attentionCard(told) {
  const items = [...told.questions.items.map(questionItem), ...told.troubles.items.map(troubleItem)];
  const total = told.questions.total + told.troubles.total;
  const counts = told.questions.total ? { question: told.questions.total } : {};
  told.troubles.items.forEach((one) => {
    counts[one.outcome] = (counts[one.outcome] ?? 0) + 1;
  });
  const rest = total > items.length && muted(`the latest ${items.length} of ${total}`);
  return items.length > 0 && fold("h2", ["Needs attention", chips(counts), rest].filter(Boolean), true,
    () => h("ul", { class: "alerts" }, items));
}

function waitItem(one) {
  const [start, end] = one.window;
  const enough = one.min_count === 1 ? "a meeting" : `${one.min_count} meetings`;
  return h("li", {}, link(taskPath(one), nameOf(one)),
    h("p", {}, `for ${enough}`, one.connection && ` on ${one.connection}`, `, ${at(start)} to ${at(end)}`,
      one.wanted.length > 0 && `, ${one.wanted.join(", ")}`),
    h("p", { class: "muted" }, one.since ? `since ${at(one.since)}` : "", one.until ? `, until ${at(one.until)}` : "",
      one.where === "worker" ? ", on a worker" : ""));
}

function watchItem(one) {
  const event = one.event;
  return h("li", {}, link(`${AIRFLOW}/assets/${one.asset_id}`, one.name),
    h("p", {}, one.watched ? (one.looked_at ? `stored what it knows ${ago(one.looked_at)}` : "watched") : "not watched by a trigger",
      one.dags.length > 0 && `, starts ${one.dags.join(", ")}`),
    h("p", { class: "muted" }, event
      ? ["last event: ", chip(event.kind ?? "event"), event.meeting_id ? ` meeting ${short(event.meeting_id)}` : "", ` ${ago(event.at)}`]
      : "no event yet"));
}

function sideCard(title, told, item, none, refused) {
  const items = told?.items ?? [];
  return h("section", { class: "card" }, h("h2", {}, title, " ", muted(told ? String(told.total) : "")),
    h("ul", {}, told === null ? h("li", { class: "muted" }, refused)
      : items.length ? items.map(item) : h("li", { class: "muted" }, none),
    told && told.total > items.length && h("li", { class: "muted" }, `and ${told.total - items.length} more`)));
}

function select(label, name, state, change) {
  const box = h("select", { id: name, onchange: () => change(name, box.value) });
  const fill = (facets) => {
    const names = facets.map((one) => one.name);
    const kept = state[name] && !names.includes(state[name]) ? [{ name: state[name], count: 0 }] : [];
    box.replaceChildren(h("option", { value: "" }, "any"),
      ...[...facets, ...kept].map((one) => h("option", { value: one.name }, `${word(one.name)} (${one.count})`)));
    box.value = state[name];
  };
  fill([]);
  return { element: h("span", { class: "choice" }, h("label", { for: name }, label), box), fill };
}

function page(main) {
  const state = remembered();
  const places = { attention: h("div"), meetings: h("div"), side: h("aside", { class: "side", "aria-label": "Waiting and watched" }) };
  const range = h("strong");
  const status = h("p", { role: "status", class: "muted" });

  const daysShown = () => {
    if (state.view === "agenda") {
      return [midnight(state.day), midnight(state.day, 14)];
    }
    const weekday = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].indexOf(format(state.day, { weekday: "short" }));
    return [midnight(state.day, -weekday), midnight(state.day, 7 - weekday)];
  };
  const change = (name, value) => {
    state[name] = value;
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ ...state, day: undefined }));
    } catch {
      // The browser keeps nothing: the filters last as long as the page.
    }
    show();
  };
  const filters = ["connection", "dag_id", "outcome"];
  const boxes = [
    select("Connection", "connection", state, change), select("DAG", "dag_id", state, change),
    select("Outcome", "outcome", state, change),
  ];
  const search = h("input", { type: "search", placeholder: "Find a meeting", "aria-label": "Find a meeting", value: state.text });
  let pause;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => change("text", search.value.trim()), 250);
  });
  const clear = () => {
    Object.assign(state, { connection: "", dag_id: "", outcome: "" });
    search.value = "";
    change("text", "");
  };
  const views = ["agenda", "week"].map((name) => h("button", { onclick: () => change("view", name) }, name === "agenda" ? "Agenda" : "Week"));
  const step = (days) => () => change("day", days ? midnight(state.day, days * (state.view === "agenda" ? 2 : 1)) : Date.now());

  const draw = (told) => {
    const filtered = filters.some((name) => state[name]) || state.text;
    boxes.forEach((box, number) => box.fill(told.facets[["connections", "dags", "outcomes"][number]]));
    status.textContent = told.total > told.meetings.length
      ? `The first ${told.meetings.length} of ${plural(told.total, "meeting")}. Narrow them down with the filters.`
      : plural(told.total, "meeting");
    if (!told.complete) {
      status.textContent += ` From the newest ${told.records.toLocaleString("en")} records.`;
    }
    if (told.total) {
      return state.view === "week" ? weekOf(told.meetings, daysShown()[0]) : agendaOf(told.meetings);
    }
    return h("div", { class: "note empty" }, filtered
      ? [h("p", {}, "No meeting of these days passes the filters."), h("button", { onclick: clear }, "Clear the filters")]
      : [h("p", {}, "No task has booked, changed or listed a meeting of these days."),
        h("p", { class: "muted" }, "Meetings appear here when a task of this provider, in a DAG that you may read, has had to do with them in the last 90 days.")]);
  };
  const meetings = new Panel(places.meetings, () => {
    const [start, end] = daysShown();
    return ask("meetings", { start, end, connection: state.connection, dag_id: state.dag_id, outcome: state.outcome, text: state.text });
  }, draw);
  const attention = new Panel(places.attention, async () => {
    const told = await ask("attention");
    places.side.replaceChildren(
      sideCard("Waiting", told.waiting, waitItem, "No sensor waits for a meeting."),
      sideCard("Watched", told.watched, watchItem, "No DAG is scheduled by meetings, and no task writes them as an asset.", "You may not read assets."));
    return { questions: told.questions, troubles: told.troubles };
  }, (told) => [attentionCard(told)]);

  const show = () => {
    const [start, end] = daysShown();
    columns.className = `columns ${state.view}`;
    range.textContent = `${format(start, DATE)} – ${format(midnight(end, -1), DATE)}`;
    views.forEach((button, number) => button.setAttribute("aria-pressed", String(["agenda", "week"][number] === state.view)));
    meetings.refresh({ force: true });
  };
  const columns = h("div", { class: "columns" }, places.meetings, places.side);
  main.replaceChildren(
    h("h1", {}, "Meetings"),
    places.attention,
    h("div", { class: "bar" },
      h("div", { class: "joined", role: "group", "aria-label": "View" }, views),
      h("div", { class: "joined", role: "group", "aria-label": "Days" },
        h("button", { onclick: step(-7), "aria-label": "Earlier" }, "←"), h("button", { onclick: step(0) }, "Today"),
        h("button", { onclick: step(7), "aria-label": "Later" }, "→")),
      range, zoneName(ZONE), h("span", { class: "space" }),
      h("button", { onclick: () => { meetings.refresh(); attention.refresh(); } }, "Refresh")),
    h("div", { class: "bar", role: "search" }, boxes.map((box) => box.element), search, status),
    columns);
  show();
  attention.refresh();
  everyMinute(() => { meetings.refresh(); attention.refresh(); });
}

page(document.getElementById("main"));
