// Keeps a page as the backend has it: asks for its one document, and puts in the place of each section that has changed
// the HTML that came with it. Without this file the page is the same, and stands still.
"use strict";
(() => {
  const EVERY_S = 3, HIDDEN_S = 60, SLOWEST_S = 60, PATIENCE_S = 10;
  const address = document.body.dataset.polled;
  const shown = new Map(), unreachable = document.getElementById("unreachable");
  let etag = null, said = null, failures = 0, answeredAt = Date.now(), timer = 0, asking = false, plot = null;

  // The document

  async function ask() {
    clearTimeout(timer);
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch(address, request()).catch(() => null);
      await (answer ? take(answer) : missed("The backend does not answer"));
    } finally {
      asking = false;
      timer = setTimeout(ask, 1000 * pause());
    }
  }

  function request() {
    const headers = etag ? {"If-None-Match": etag} : {};
    return {headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(1000 * PATIENCE_S)};
  }

  async function take(answer) {
    if (answer.status === 304) return answered();
    if (answer.status === 401) return missed("The backend asks for credentials: load the page again");
    if (!answer.ok) return missed(`The backend answers with an error (${answer.status})`);
    const found = await answer.json().catch(() => null);
    if (!found) return missed("The backend's answer was cut short");
    etag = answer.headers.get("ETag");
    answered();
    renew(found);
  }

  function pause() {
    if (document.hidden) return HIDDEN_S;
    return Math.min(SLOWEST_S, EVERY_S * 2 ** Math.min(failures, 5));
  }

  function answered() {
    failures = 0;
    answeredAt = Date.now();
    unreachable.hidden = true;
  }

  function missed(why) {
    failures += 1;
    if (failures < 2) return;  // one answer may be lost while the backend starts again
    const since = new Date(answeredAt).toLocaleTimeString();
    const words = `${why}. What stands here was so at ${since}.`;
    if (unreachable.hidden || unreachable.textContent !== words) unreachable.textContent = words;
    unreachable.hidden = false;
  }

  // What has changed

  function renew(found) {
    said = found;
    for (const [name, html] of Object.entries(found.html)) {
      const panel = document.getElementById(`panel-${name}`);
      if (!panel || shown.get(name) === html) continue;
      if (shown.has(name) || !same(panel, html)) swap(panel, html);
      shown.set(name, html);
    }
    const title = document.querySelector("#title bdi");
    if (title) title.textContent = found.title;
    ages();
    draw();
  }

  // Whether what the server put there is already this.
  function same(panel, html) {
    const other = document.createElement("div");
    other.innerHTML = html;
    return other.innerHTML === panel.innerHTML;
  }

  function swap(panel, html) {
    const were = new Map(folds(panel).map((one) => [one.id, one.open]));
    const focused = panel.contains(document.activeElement) ? placeOf(document.activeElement) : "";
    if (plot && panel.contains(plot.root)) forget();
    panel.innerHTML = html;
    for (const one of folds(panel)) one.open = were.get(one.id) ?? (one.open && !narrow.matches);
    if (focused) document.querySelector(focused)?.focus({preventScroll: true});
  }

  // On a narrow screen nothing but what a lead asks first stands open, until somebody opens it.

  const narrow = matchMedia("(max-width: 40rem)");
  const folds = (within) => [...within.querySelectorAll("details[id]")];

  function fold() {
    for (const one of folds(document)) one.open &&= !narrow.matches;
    document.documentElement.classList.add("folded");
  }

  function placeOf(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const around = element.closest("[id]");
    return `#${CSS.escape(around.id)} > ${element.localName}`;
  }

  // What a button must send is good for half a day; a page is open for longer.

  async function tokens() {
    const answer = await fetch(address.replace(/page$/, "actions"), {cache: "no-store"}).catch(() => null);
    if (!answer?.ok) return;
    for (const {name, token} of (await answer.json()).actions) {
      const field = document.querySelector(`#form-${CSS.escape(name)} > input`);
      if (field) field.value = token;
    }
  }

  // How long ago

  const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [Infinity, "day"]];
  const words = new Intl.RelativeTimeFormat("en", {numeric: "always"});

  function ages() {
    for (const time of document.querySelectorAll("time")) {
      const at = Date.parse(time.dateTime), text = age((Date.now() - at) / 1000);
      time.title ||= new Date(at).toLocaleString();
      if (time.textContent !== text) time.textContent = text;
    }
  }

  function age(seconds) {
    let count = Math.max(0, seconds);
    for (const [most, unit] of STEPS) {
      if (count < most) return unit === "second" ? "less than a minute ago" : words.format(-Math.floor(count), unit);
      count /= most;
    }
  }

  // The learning curve

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function forget() {
    plot?.destroy();
    plot = null;
  }

  function draw() {
    const place = document.getElementById("plot");
    if (!place || !said?.history || !window.uPlot) return forget();
    if (plot || place.closest("details:not([open])")) return;  // nobody sees it: it is drawn when that is opened
    const rows = table(said.history, said.random);
    if (!rows.length) return;
    const columns = ["x", "value", "low", "high", "random", "majority"].map((key) => rows.map((row) => row[key] ?? null));
    plot = new uPlot(look(place.parentElement.clientWidth, columns[1].findLastIndex((value) => value !== null)), columns, place);
  }

  function table(history, random) {
    const at = new Map();
    const row = (x) => at.get(x) ?? at.set(x, {x}).get(x);
    for (const one of history) {
      if (!one.accuracy) continue;
      const {n, value, low, high} = one.accuracy;
      Object.assign(row(one.labels), n ? {value, low, high} : {value}, {majority: one.majority});
    }
    for (const one of random) row(one.labels).random = one.value;
    return [...at.values()].sort((a, b) => a.x - b.x);
  }

  function look(width, newest) {
    // The values below the figure are those of the newest version until somebody points to another one.
    const tell = (drawn) => { if (drawn.legend.idx === null) drawn.setLegend({idx: newest}); };
    const text = colour("quiet"), rule = colour("rule"), font = "12px system-ui, sans-serif";
    const percent = (value) => value === null || value === undefined ? "–" : `${(100 * value).toFixed(0)} %`;
    const axis = {stroke: text, grid: {stroke: rule, width: 1}, ticks: {stroke: rule}, font, labelFont: font};
    const line = (label, name, dash) => (
      {label, stroke: colour(name), width: 2, dash, spanGaps: true, points: {show: true, size: dash ? 4 : 6}, value: (_, v) => percent(v)}
    );
    const limit = (label) => ({label, stroke: "transparent", spanGaps: true, points: {show: false}, value: (_, v) => percent(v)});
    return {
      width, height: width < 500 ? 220 : 280,
      scales: {x: {time: false}, y: {range: (_, low, high) => [Math.max(0, low - 0.03), Math.min(1, high + 0.03)]}},
      axes: [{...axis, label: "Labels"}, {...axis, size: 52, values: (_, ticks) => ticks.map(percent)}],
      series: [
        {label: "Labels"}, line("Accuracy", "model"), limit("from"), limit("to"),
        line("Random", "random", [9, 5]), line("Most frequent", "majority", [2, 4]),
      ],
      bands: [{series: [3, 2], fill: colour("band")}],
      legend: {markers: {show: false}},
      hooks: {ready: [tell], setLegend: [tell]},
    };
  }

  function redraw() {
    forget();
    draw();
  }

  document.addEventListener("toggle", draw, true);
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth !== width) redraw();
    width = window.innerWidth;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  const pressing = document.querySelector("main > form");
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    ask();
    if (pressing) tokens();  // whoever comes back may have been away for days
  });
  fold();
  setInterval(ages, 20_000);
  if (pressing) setInterval(tokens, 3_600_000);
  ask();
})();
