// The tab on a DAG run: what the run has done to which meetings.

import {
  addressOf, ask, changeList, chip, chips, DATE, everyMinute, fold, format, h, hidden, isZone, link, muted,
  Panel, plural, shown, span, stamp, taskPath, titleOf, whomOf, ZONE, zoneName,
} from "./common.js";

// So many rows are drawn at once.
const CHUNK = 500;

function whenCell(row) {
  if (row.starts_at === undefined) {
    return muted("–");
  }
  const zone = isZone(row.time_zone) ? row.time_zone : ZONE;
  return stamp(row.starts_at, format(row.starts_at, DATE, zone), h("br"), `${span(row, zone)} `,
    zoneName(zone));
}

function meetingRow(instance, row, mapped) {
  return h("tr", {},
    mapped && h("td", {}, muted(hidden("map index "), instance.label ?? String(instance.map_index))),
    h("td", {}, chip(row.outcome)),
    h("td", { class: "when" }, whenCell(row)),
    h("td", { title: row.id }, titleOf(row), row.title && row.type && [h("br"), muted(row.type)], row.cancelled && [" ", chip("cancelled")]),
    h("td", { title: row.counterpart_id }, whomOf(row) ?? muted("–"), row.owner_name && [h("br"), muted(`by ${row.owner_name}`)]),
    h("td", {}, row.location ?? muted("–")),
    h("td", {}, row.changes ? changeList(row.changes) : muted("–")),
    h("td", { class: "links" }, addressOf(row), link(taskPath(instance), "Log", { about: `of ${instance.task_id}` })));
}

const STATES = {
  deferred: "Waits for meetings.",
  up_for_reschedule: "Waits for meetings.",
  running: "Is running.",
  awaiting_input: "Waits for a person's answer.",
  up_for_retry: "Ended without saying why; Airflow tries again by itself.",
  failed: "Ended without saying why: see its log.",
  upstream_failed: "Was not started: a task before it failed.",
  skipped: "Was skipped.",
  success: "Wrote nothing: its log and its result say what it found.",
};

function instanceRow(instance, mapped) {
  const text = instance.error?.message ?? (instance.count
    ? `${plural(instance.count, "meeting")}, of which none is kept here.`
    : instance.outcome ? "No meeting." : STATES[instance.state] ?? "Has not ended yet.");
  const answer = instance.state === "awaiting_input"
    && link(`${taskPath(instance)}/required_actions`, "Answer", { about: `the question of ${instance.task_id}` });
  return h("tr", {},
    mapped && h("td", {}, muted(instance.label ?? String(instance.map_index))),
    h("td", {}, chip(instance.outcome ?? instance.state ?? "scheduled")),
    h("td", { colspan: 5, class: instance.error ? "error" : "" }, instance.error ? text : muted(text)),
    h("td", { class: "links" }, answer, link(taskPath(instance), "Log", { about: `of ${instance.task_id}` })));
}

function taskTable(run, task, rows) {
  const heads = [task.mapped && "Map index", "Outcome", "When", "Meeting", "With", "Where", "Changes", "Links"];
  const body = h("tbody");
  const more = h("button", {}, "Show more");
  const foot = h("p", { class: "bar" }, more);
  let done = 0;
  const grow = () => {
    const next = rows.slice(done, done + CHUNK);
    body.append(...next.map(([one, row]) => (row ? meetingRow(one, row, task.mapped) : instanceRow(one, task.mapped))));
    done += next.length;
    foot.hidden = done >= rows.length;
    more.textContent = `Show ${Math.min(CHUNK, rows.length - done)} more of ${rows.length}`;
  };
  more.addEventListener("click", grow);
  grow();
  const left = task.count - rows.filter(([, row]) => row).length;
  return [
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Meetings of task ${task.task_id}` },
      h("table", {}, h("thead", {}, h("tr", {}, heads.filter(Boolean).map((head) => h("th", { scope: "col", class: head.toLowerCase().replace(" ", "-") }, head)))), body)),
    foot,
    run.filter === "" && left > 0 && h("p", { class: "bar muted" },
      `${plural(left, "meeting")} more ${left === 1 ? "is" : "are"} counted above and not listed: only the first ones of a task are kept, and what stayed as it was may be left out.`),
  ].filter(Boolean);
}

function rowsOf(task, filter) {
  const sought = filter.toLowerCase();
  const passes = (instance, row) => !sought
    || JSON.stringify([row ?? instance.error, instance.label, instance.outcome, instance.state]).toLowerCase().includes(sought);
  return task.instances.flatMap((instance) => {
    const rows = instance.rows.filter((row) => passes(instance, row)).map((row) => [instance, row]);
    const alone = (instance.error || !instance.rows.length) && passes(instance, null);
    return alone ? [[instance, null], ...rows] : rows;
  });
}

function tab(main) {
  const asked = new URLSearchParams(location.search);
  const run = { dag_id: asked.get("dag_id") ?? "", run_id: asked.get("run_id") ?? "", filter: "" };
  const open = new Map();
  let answer = null;
  const search = h("input", { type: "search", placeholder: "Find a meeting", "aria-label": "Find a meeting of this run" });
  const status = h("p", { role: "status" });
  const list = h("div", { class: "run" });
  let cards = [];

  const draw = (told) => {
    answer = told;
    told.tasks.forEach((task) => task.instances.forEach((one) => Object.assign(one, { dag_id: run.dag_id, run_id: run.run_id })));
    const total = told.tasks.reduce((sum, task) => sum + task.count, 0);
    const counts = {};
    told.tasks.forEach((task) => Object.entries(task.counts).forEach(([name, count]) => {
      counts[name] = (counts[name] ?? 0) + count;
    }));
    cards = told.tasks.map((task) => {
      const rows = rowsOf(task, run.filter);
      if (run.filter && !rows.length) {
        return null;
      }
      const unusual = {};
      task.instances.filter((one) => !one.outcome && one.state !== "success").forEach((one) => {
        unusual[one.state ?? "scheduled"] = (unusual[one.state ?? "scheduled"] ?? 0) + 1;
      });
      const label = [
        task.task_id,
        task.mapped && muted(plural(task.instances.length, "mapped instance")),
        task.count > 0 && muted(plural(task.count, "meeting")),
        chips(task.counts), chips(unusual),
      ];
      const few = rows.length <= 25 || told.tasks.length === 1;
      const card = fold("h2", label.filter(Boolean), open.get(task.task_id) ?? (few || run.filter !== ""), () => taskTable(run, task, rows));
      card.querySelector(".fold").addEventListener("click", () => open.set(task.task_id, !card.querySelector(".body").hidden));
      return card;
    }).filter(Boolean);
    status.replaceChildren(...[plural(total, "meeting"), " ", chips(counts)].filter(Boolean));
    const none = told.tasks.length === 0
      ? "No task of this run has had to do with meetings yet. Tasks of this provider appear here when they have ended, or wait."
      : "No meeting of this run has that text.";
    return [
      !told.complete && h("p", { class: "note" }, "This run has more task instances than are shown here. Airflow's own pages list all of them."),
      cards.length ? cards : h("p", { class: "note empty" }, none),
    ];
  };

  const path = `dags/${encodeURIComponent(run.dag_id)}/runs/${encodeURIComponent(run.run_id)}`;
  const panel = new Panel(list, () => ask(path), draw);
  let pause;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => {
      run.filter = search.value.trim();
      if (answer) {
        list.replaceChildren(...draw(answer).flat(Infinity).filter(Boolean));
      }
    }, 150);
  });
  const setAll = (state) => cards.forEach((card) => {
    card.set(state);
    open.set(card.querySelector(".fold").firstChild.textContent, state);
  });
  main.replaceChildren(
    h("h1", { class: "hidden" }, "Meetings of this run"),
    h("div", { class: "bar" }, status, h("span", { class: "space" }), search,
      h("button", { onclick: () => setAll(true) }, "Open all"),
      h("button", { onclick: () => setAll(false) }, "Fold all"),
      h("button", { onclick: () => panel.refresh() }, "Refresh")),
    list);
  panel.refresh();
  everyMinute(() => ["running", "queued"].includes(answer?.run.state) && panel.refresh(), 10);
}

tab(document.getElementById("main"));
