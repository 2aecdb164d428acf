"use strict";
/* The report's page. A row has values by metric: [value, low, high, word, note]. */
const $ = (id) => document.getElementById(id);
const COLORS = {plain: "#777", wider: "#777", channel: "#0072B2", spatial: "#E69F00", mixed: "#009E73",
  "non-local": "#CC79A7", "large-kernel": "#D55E00", "parameter-free": "#56B4E9", control: "#999"};
const RANK = {better: 0, same: 1, inconclusive: 2, worse: 3, "did not learn": 4};
const LIMITS = [["budget1", "limit1"], ["budget2", "limit2"]];
const FIELDS = ["text", "place", "backbone", "runtime", "family", "verdict", "x", "y", "budget1", "limit1", "budget2", "limit2"];
const CHECKS = ["logx", "logy", "all"];
const FIRST_ROWS = 200;
/** Kinds of metrics in the order of the table's columns. */
const KINDS = ["percent", "overhead", "points", "count", "milliseconds"];
let report, metrics, isLong = false, state = {}, defaults = {}, sorting = [], shown = [], timing = 0;

/** The ends of a value's interval; a count is its own interval. */
const low = (value) => value[1] ?? value[0];
const high = (value) => value[2] ?? value[0];
const number = (row, key) => { const value = row.values[key]; return value ? value[0] ?? undefined : undefined; };
const measured = (row, ...keys) => keys.every((key) => number(row, key) !== undefined);

/** Whether more of a metric is better. */
const isGain = (key) => metrics.get(key)?.kind === "points";

/**
 * Each row's place: "front" where no other is at least as good on both axes and better on one by the middle
 * values; "dominated" where another is better on both beyond the intervals; else "not separated".
 */
function frontOf(rows, x, y) {
  const [signX, signY] = [isGain(x) ? -1 : 1, isGain(y) ? -1 : 1];
  const ends = (value, sign) => sign > 0 ? [low(value), value[0], high(value)] : [-high(value), -value[0], -low(value)];
  const points = rows.map((row) => [...ends(row.values[x], signX), ...ends(row.values[y], signY)]);
  return points.map((own) => {
    let beaten = false;
    for (const other of points) {
      if (other[2] < own[0] && other[5] < own[3]) return "dominated";
      if (other[1] <= own[1] && other[4] <= own[4] && (other[1] < own[1] || other[4] < own[4])) beaten = true;
    }
    return beaten ? "not separated" : "front";
  });
}

/** Whether a metric is of the network and the runtime that are chosen; counts and accuracies have no runtime. */
const isChosen = (metric) => (!state.backbone || metric.kind === "points" || metric.backbone === state.backbone)
  && (!state.runtime || !metric.runtime || metric.runtime === state.runtime);
const UNITS = {overhead: " overhead, %", percent: ", %", points: ", points", milliseconds: "", count: ""};
const label = (metric) => `${metric.label}${UNITS[metric.kind]} (${metric.backbone}${metric.machine ? ", " + metric.machine : ""})`;

/** Limits of the budget: metric and greatest value, of those that are switched on. */
const limits = () => LIMITS.filter(([metric]) => state[metric]).map(([metric, limit]) => [state[metric], Number(state[limit])]);

function isKept(row) {
  if (state.place && row.place !== state.place) return false;
  if (state.family && row.family !== state.family) return false;
  const words = Object.entries(row.values).filter(([key]) => isChosen(metrics.get(key))).map(([, value]) => value[3] ?? "");
  if (state.verdict && !words.includes(state.verdict)) return false;
  const text = state.text.trim().toLowerCase();
  if (text && !`${row.module} ${row.family} ${row.place} ${words.join(" ")}`.toLowerCase().includes(text)) return false;
  return limits().every(([key, most]) => row.module === "plain" || (measured(row, key) && high(row.values[key]) <= most));
}

/** The order of `attnbench choose`: the known accuracy, the sites filled, the overhead. */
function chosenOrder(rows) {
  const accuracies = report.metrics.filter((metric) => metric.kind === "points").map((metric) => metric.key);
  const cost = state.budget1 || state.x;
  const rank = (row) => Math.min(...accuracies.map((key) => RANK[row.values[key]?.[3]] ?? 2), 4);
  const worst = (row) => accuracies.some((key) => row.values[key]?.[3] === "did not learn") ? 4 : rank(row);
  return d3.sort(rows, (a, b) => worst(a) - worst(b) || b.sites - a.sites || (number(a, cost) ?? Infinity) - (number(b, cost) ?? Infinity));
}

function text(value, kind) {
  if (kind === "count") return d3.format(",")(value);
  if (kind === "milliseconds") return d3.format(".4~g")(value);
  return d3.format("+.2f")(value) + (kind === "points" ? "" : "%");
}

function cellOf(td, value, metric) {
  if (!value || value[0] === null) {
    td.append(Object.assign(document.createElement("span"), {className: "missing", textContent: value ? value[3] ?? "–" : "not measured"}));
    if (value?.[4]) td.title = value[4];
    return;
  }
  td.append(text(value[0], metric.kind));
  const add = (content, className) => td.append(" ", Object.assign(document.createElement("span"), {className, textContent: content}));
  if (value[1] != null && value[2] != null) add(`[${text(value[1], metric.kind)}, ${text(value[2], metric.kind)}]`.replaceAll("%", ""), "interval");
  if (value[3]) add(value[3], value[3].split(" ").pop());
  if (value[4]) td.title = value[4];
}

function columns() {
  const helper = (id, header, accessorFn, meta) => ({id, header, accessorFn, meta, sortUndefined: "last", sortingFn: "basic"});
  const own = [helper("module", "Module", (row) => row.module, {kind: "text", first: true}), helper("family", "Family", (row) => row.family, {kind: "text"}),
    helper("place", "Placement", (row) => row.place, {kind: "text"}), helper("sites", "Sites", (row) => row.sites, {kind: "count"})];
  const present = report.metrics.filter((metric) => isChosen(metric) && shown.some((row) => row.values[metric.key]));
  const groups = d3.group(d3.sort(present, (metric) => KINDS.indexOf(metric.kind)), (metric) => metric.backbone);
  return [{id: "row", header: "", columns: own}, ...[...groups].map(([backbone, list]) => ({id: `group:${backbone}`, header: backbone,
    columns: list.map((metric) => helper(metric.key, metric.label, (row) => number(row, metric.key), metric))}))];
}

function drawTable(places) {
  const table = TableCore.createTable({data: shown, columns: columns(), state: {}, onStateChange() {}, renderFallbackValue: null,
    getCoreRowModel: TableCore.getCoreRowModel(), getSortedRowModel: TableCore.getSortedRowModel()});
  table.setOptions((options) => ({...options, state: {...table.initialState, sorting}}));
  const head = document.createElement("thead"), body = document.createElement("tbody");
  table.getHeaderGroups().forEach((group, level) => {
    const tr = head.insertRow();
    tr.className = level ? "" : "groups";
    group.headers.forEach((header) => {
      const th = Object.assign(document.createElement("th"), {colSpan: header.colSpan, scope: "col"});
      if (!level) { th.textContent = header.column.columnDef.header; tr.append(th); return; }
      const {meta} = header.column.columnDef;
      const sort = sorting.find((entry) => entry.id === header.column.id);
      if (meta.kind === "text") th.className = "text";
      if (sort) th.ariaSort = sort.desc ? "descending" : "ascending";
      const button = Object.assign(document.createElement("button"), {type: "button", textContent: header.column.columnDef.header + (sort ? (sort.desc ? " ▾" : " ▴") : "")});
      button.dataset.sort = header.column.id;
      th.append(button); tr.append(th);
    });
  });
  const all = table.getRowModel().rows, drawn = isLong ? all : all.slice(0, FIRST_ROWS);
  for (const {original: row} of drawn) {
    const tr = body.insertRow();
    tr.className = (places.get(row) ?? "").replace("not separated", "open");
    for (const column of table.getAllLeafColumns()) {
      const {meta} = column.columnDef, td = tr.insertCell();
      if (meta.first) {
        const button = Object.assign(document.createElement("button"), {type: "button", textContent: row.module});
        button.dataset.module = row.module; td.append(button);
      } else if (meta.kind === "text") { td.className = "text"; td.append(row[column.id]); }
      else if (column.id === "sites") td.append(String(row.sites || "–"));
      else cellOf(td, row.values[column.id], meta);
    }
  }
  $("table").replaceChildren(head, body);
  $("count").textContent = `${shown.length} of ${report.rows.length} rows${drawn.length < all.length ? `, the first ${drawn.length} drawn` : ""}. `;
  $("more").hidden = drawn.length === all.length;
}

/** Bounds without outliers: three interquartile ranges around the middle half. */
function bounds(values, all) {
  const sorted = d3.sort(values), [a, b] = [d3.quantile(sorted, 0.25), d3.quantile(sorted, 0.75)], reach = 3 * (b - a || 1);
  if (all) return [sorted[0], sorted.at(-1)];
  return [Math.max(sorted[0], a - reach), Math.min(sorted.at(-1), b + reach)];
}

function drawPlot(rows, places) {
  const {x, y} = state, data = rows.map((row) => ({row, x: row.values[x], y: row.values[y], front: places.get(row)}));
  const domain = (name, isLog) => {
    const [from, to] = bounds(data.map((point) => point[name][0]), state.all), pad = (to - from || 1) * 0.08;
    return isLog && from > 0 ? [from / 1.2, to * 1.2] : [from - pad, to + pad];
  };
  const scale = (name, key, isLog) => {
    const limit = domain(name, isLog), type = isLog ? (limit[0] > 0 ? "log" : "symlog") : "linear";
    return {type, domain: limit, clamp: true, grid: true, label: label(metrics.get(key)), ...(type === "symlog" ? {constant: 1} : {}),
      ...(metrics.get(key).kind === "count" ? {tickFormat: "~s"} : {})};
  };
  const edge = (point) => ["x", "y"].some((name) => { const [a, b] = domain(name, false); return point[name][0] < a || point[name][0] > b; });
  const front = d3.sort(data.filter((point) => point.front === "front"), (point) => point.x[0]);
  const named = data.filter((point) => point.front === "front" || data.length <= 12);
  const families = [...new Set(data.map((point) => point.row.family))];
  const width = Math.min(960, $("plot").clientWidth || 960);
  const tip = (point) => [point.row.module, point.row.place, `${metrics.get(x).label}: ${text(point.x[0], metrics.get(x).kind)}`,
    `${metrics.get(y).label}: ${text(point.y[0], metrics.get(y).kind)}`, point.y[3] ?? "", point.front].filter(Boolean).join("\n");
  const opacity = (point) => point.front === "dominated" ? 0.35 : 1;
  const chart = Plot.plot({width, height: Math.max(340, width * 0.5), marginLeft: 60, ariaLabel: "Scatter of the rows",
    x: scale("x", x, state.logx), y: scale("y", y, state.logy), style: {background: "transparent", color: "inherit"},
    color: {domain: families, range: families.map((name) => COLORS[name] ?? "#777"), legend: true},
    marks: [
      Plot.ruleY(data, {y: (p) => p.y[0], x1: (p) => low(p.x), x2: (p) => high(p.x), stroke: (p) => p.row.family, strokeOpacity: 0.35}),
      Plot.ruleX(data, {x: (p) => p.x[0], y1: (p) => low(p.y), y2: (p) => high(p.y), stroke: (p) => p.row.family, strokeOpacity: 0.35}),
      Plot.line(front, {x: (p) => p.x[0], y: (p) => p.y[0], curve: "step-after", stroke: "currentColor", strokeOpacity: 0.5}),
      Plot.dot(data, {x: (p) => p.x[0], y: (p) => p.y[0], fill: (p) => p.row.family, fillOpacity: opacity, r: 4.5,
        symbol: (p) => edge(p) ? "triangle" : p.row.module === "plain" ? "star" : "circle", title: tip, tip: true}),
      Plot.text(named, {x: (p) => p.x[0], y: (p) => p.y[0], text: (p) => p.row.module, dy: -9, fontSize: 11}),
    ], symbol: {type: "identity"}});
  $("plot").replaceChildren(chart);
}

/** Spearman's coefficient of two metrics over the rows that have both. */
function rankCorrelation(rows, a, b) {
  const both = rows.filter((row) => measured(row, a, b));
  if (both.length < 4) return null;
  const ranks = (key) => { const order = d3.rank(both, (row) => number(row, key)); return Float64Array.from(order); };
  const [first, second] = [ranks(a), ranks(b)], [ma, mb] = [d3.mean(first), d3.mean(second)];
  const cross = d3.sum(first, (value, i) => (value - ma) * (second[i] - mb));
  const spread = Math.sqrt(d3.sum(first, (value) => (value - ma) ** 2) * d3.sum(second, (value) => (value - mb) ** 2));
  return spread ? {rho: cross / spread, rows: both.length} : null;
}

function drawRanks(rows) {
  const found = report.metrics.filter((metric) => metric.kind === "overhead" && isChosen(metric)).flatMap((metric) => {
    const macs = `${metric.backbone}|macs${metrics.has(`${metric.backbone}|macs%`) ? "%" : ""}`;
    const result = metrics.has(macs) ? rankCorrelation(rows.filter((row) => row.module !== "plain"), macs, metric.key) : null;
    return result ? [`${metric.label} ${result.rho.toFixed(2)} (${result.rows} rows)`] : [];
  });
  $("ranks").textContent = found.length ? `Do MACs order the rows as time does? Spearman's coefficient, 1 for the same order: ${found.slice(0, 12).join(", ")}.` : "";
}

function draw() {
  const start = performance.now();
  shown = chosenOrder(report.rows.filter(isKept));
  const points = shown.filter((row) => measured(row, state.x, state.y));
  const places = new Map(frontOf(points, state.x, state.y).map((place, i) => [points[i], place]));
  timing = performance.now() - start;
  drawTable(places);
  if (points.length) drawPlot(points, places); else $("plot").textContent = "No row has both axes.";
  const names = (place) => points.filter((row) => places.get(row) === place).map((row) => row.module);
  $("front").textContent = `On the front: ${names("front").join(", ") || "none"}. Not separated from it: ${names("not separated").length}; dominated beyond the intervals (pale): ${names("dominated").length}; without both values: ${shown.length - points.length}.`;
  drawRanks(shown);
  for (const [metric, limit] of LIMITS) document.querySelector(`output[for=${limit}]`).textContent = state[metric] ? `+${state[limit]}%` : "";
}

function writeState() {
  const entries = [...FIELDS.filter((name) => state[name] !== defaults[name]).map((name) => [name, state[name]]),
    ...CHECKS.filter((name) => state[name] !== defaults[name]).map((name) => [name, state[name] ? 1 : 0])];
  if (sorting.length) entries.push(["sort", sorting.map(({id, desc}) => (desc ? "-" : "+") + id).join("~")]);
  if (document.documentElement.dataset.theme) entries.push(["theme", document.documentElement.dataset.theme]);
  history.replaceState(null, "", `#${new URLSearchParams(entries)}`);
}

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  state = {...defaults};
  for (const name of FIELDS) if (given.has(name)) state[name] = given.get(name);
  for (const name of CHECKS) if (given.has(name)) state[name] = given.get(name) === "1";
  for (const name of ["x", "y"]) if (!metrics.has(state[name])) state[name] = defaults[name];
  for (const [name] of LIMITS) if (!metrics.has(state[name])) state[name] = "";
  const known = new Set(["module", "family", "place", "sites", ...metrics.keys()]);
  sorting = (given.get("sort") ?? "").split("~").filter(Boolean).map((word) => ({id: word.slice(1), desc: word[0] === "-"})).filter(({id}) => known.has(id));
  if (["dark", "light"].includes(given.get("theme"))) document.documentElement.dataset.theme = given.get("theme");
  for (const name of FIELDS) $(name).value = state[name];
  for (const name of CHECKS) $(name).checked = state[name];
}

function fill(id, options, first) {
  const make = ([value, content]) => Object.assign(document.createElement("option"), {value, textContent: content});
  $(id).replaceChildren(...(first ? [make(["", first])] : []), ...options.map(make));
}

/** The two metrics to begin with: cost and gain, or two costs, that most rows have both of. */
function firstAxes() {
  const keys = (kind) => report.metrics.filter((metric) => metric.kind === kind).map((metric) => metric.key);
  for (const [costs, gains] of [["overhead", "points"], ["percent", "points"], ["overhead", "percent"], ["overhead", "count"], ["percent", "percent"], ["count", "count"]]) {
    const pairs = d3.cross(keys(costs), keys(gains)).filter(([a, b]) => a !== b);
    const best = d3.greatest(pairs, ([a, b]) => d3.sum(report.rows, (row) => measured(row, a, b)));
    if (best && report.rows.some((row) => measured(row, ...best))) return best;
  }
  return [report.metrics[0].key, report.metrics.at(-1).key];
}

function fillChoices() {
  const unique = (list) => [...new Set(list)].map((value) => [value, value]);
  const numeric = report.metrics.map((metric) => [metric.key, label(metric)]);
  fill("place", unique(report.rows.map((row) => row.place)), "all");
  fill("backbone", unique(report.metrics.filter((metric) => metric.kind !== "points").map((metric) => metric.backbone)), "all");
  fill("runtime", unique(report.metrics.flatMap((metric) => metric.runtime ?? [])), "all");
  fill("family", unique(report.rows.map((row) => row.family)), "all");
  fill("verdict", unique(report.rows.flatMap((row) => Object.values(row.values).map((value) => value[3]).filter(Boolean))), "all");
  fill("x", numeric); fill("y", numeric);
  fill("budget1", report.metrics.filter((metric) => metric.kind === "overhead").map((metric) => [metric.key, label(metric)]), "no limit");
  fill("budget2", report.metrics.filter((metric) => metric.kind === "percent").map((metric) => [metric.key, label(metric)]), "no limit");
  const [x, y] = firstAxes();
  const place = d3.greatest(d3.group(report.rows.filter((row) => measured(row, x, y)), (row) => row.place), ([, rows]) => rows.length)?.[0] ?? "";
  defaults = {text: "", place, backbone: metrics.get(x).backbone, runtime: "", family: "", verdict: "", x, y, budget1: "", limit1: "5", budget2: "", limit2: "1",
    logx: false, logy: false, all: false};
}

function describe(name) {
  const card = report.cards[name] ?? {}, box = $("module").querySelector("div"), parts = [];
  const add = (tag, content) => parts.push(Object.assign(document.createElement(tag), {textContent: content}));
  add("h2", `${name}${card.title ? ": " + card.title : ""}`);
  for (const [title, content, tag] of card.sections ?? []) { add("h3", title); add(tag ?? "p", content); }
  if (card.bibtex) { add("h3", "BibTeX"); add("pre", card.bibtex); }
  const rows = report.rows.filter((row) => row.module === name);
  add("h3", "Measured");
  for (const row of rows) for (const metric of report.metrics) {
    const value = row.values[metric.key];
    if (value && value[0] !== null && ["overhead", "points", "percent"].includes(metric.kind)) add("p", `${row.place}, ${label(metric)}: ${text(value[0], metric.kind)} ${value[3] ?? ""}`);
  }
  add("h3", "LaTeX row"); add("pre", latexRow(name));
  box.replaceChildren(...parts);
  $("module").showModal();
}

function latexRow(name) {
  const row = shown.find((entry) => entry.module === name) ?? report.rows.find((entry) => entry.module === name);
  const cell = (key) => { const value = row.values[key]; return value && value[0] !== null ? `$${text(value[0], metrics.get(key).kind).replace("%", "\\%")}$` : "--"; };
  const escape = (content) => content.replace(/[\\{}$&#^_%~]/g, (sign) => sign === "\\" ? "\\textbackslash{}" : sign === "^" || sign === "~" ? `\\${sign}{}` : `\\${sign}`);
  return [escape(name), cell(state.x), cell(state.y)].join(" & ") + " \\\\";
}

function download(name, type, content) {
  const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(new Blob([content], {type})), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A CSV cell; one that a spreadsheet would run as a formula begins with an apostrophe. */
function csvCell(value) {
  const content = value == null ? "" : String(value), safe = typeof value === "string" && /^[=+\-@\t\r]/.test(content) ? `'${content}` : content;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function save(kind) {
  const keys = report.metrics.filter((metric) => isChosen(metric) && shown.some((row) => row.values[metric.key]));
  if (kind === "json") download("report.json", "application/json", JSON.stringify(shown, null, 1));
  if (kind === "csv") {
    const head = ["module", "family", "placement", "sites", ...keys.flatMap((metric) => ["", " low", " high", " verdict"].map((end) => label(metric) + end))];
    const lines = shown.map((row) => [row.module, row.family, row.place, row.sites, ...keys.flatMap((metric) => [0, 1, 2, 3].map((i) => row.values[metric.key]?.[i]))]);
    download("report.csv", "text/csv", [head, ...lines].map((line) => line.map(csvCell).join(",")).join("\r\n"));
  }
  if (kind === "bib") download("report.bib", "text/plain", [...new Set(shown.map((row) => report.cards[row.module]?.bibtex).filter(Boolean))].join("\n"));
  if (kind === "svg" || kind === "png") saveFigure(kind);
}

function saveFigure(kind) {
  const svg = [...$("plot").querySelectorAll("svg")].at(-1)?.cloneNode(true);
  if (!svg) return;
  svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  svg.style.color = getComputedStyle(document.body).color;
  const content = new XMLSerializer().serializeToString(svg);
  if (kind === "svg") return download("report.svg", "image/svg+xml", content);
  const image = new Image(), [width, height] = [Number(svg.getAttribute("width")), Number(svg.getAttribute("height"))];
  image.onload = () => {
    const canvas = Object.assign(document.createElement("canvas"), {width: 2 * width, height: 2 * height}), pen = canvas.getContext("2d");
    pen.fillStyle = getComputedStyle(document.body).backgroundColor;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => download("report.png", "image/png", blob));
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(content)}`;
}

function drawProvenance() {
  const box = $("provenance"), runs = report.runs;
  box.querySelector("summary").textContent = `${runs.map((run) => run.name).join(", ")}; ${[...new Set(runs.map((run) => run.machine))].join("; ")}; ${[...new Set(runs.map((run) => run.date).filter(Boolean))].join(", ")}`;
  const parts = runs.flatMap((run) => [`${run.name}: ${run.title}. ${run.machine}; commit ${run.commit || "unknown"}; ${run.date || "no date"}; attnbench run ${run.name}`,
    Object.entries(run.versions).map(([name, version]) => `${name} ${version}`).join(", "), ...run.notes]);
  box.querySelector("div").replaceChildren(...parts.map((content) => Object.assign(document.createElement("p"), {textContent: content})));
}

function listen() {
  const change = (event) => {
    const {id} = event.target;
    if (FIELDS.includes(id)) state[id] = event.target.value;
    if (CHECKS.includes(id)) state[id] = event.target.checked;
    writeState(); draw();
  };
  document.addEventListener("input", change);
  document.addEventListener("click", (event) => {
    const {sort, module, save: kind} = event.target.dataset ?? {};
    if (sort) {
      const before = sorting.find((entry) => entry.id === sort);
      sorting = before?.desc ? [] : [{id: sort, desc: Boolean(before)}];
      writeState(); draw();
      document.querySelector(`[data-sort="${CSS.escape(sort)}"]`)?.focus();
    }
    if (module) describe(module);
    if (kind) save(kind);
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { isLong = true; draw(); });
  $("close").addEventListener("click", () => $("module").close());
  $("reset").addEventListener("click", () => { history.replaceState(null, "", "#"); readState(); draw(); });
  $("theme").addEventListener("click", () => {
    const isDark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    writeState(); draw();
  });
  addEventListener("hashchange", () => { readState(); draw(); });
  addEventListener("resize", () => draw());
}

async function start() {
  const bytes = Uint8Array.from(atob($("data").textContent.trim()), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  report = JSON.parse(await new Response(stream).text());
  report.rows.forEach((row) => { row.values = {}; });
  for (const {key, at, parts} of report.metrics) at.forEach((row, i) => { report.rows[row].values[key] = parts.map((part) => part[i]); });
  metrics = new Map(report.metrics.map((metric) => [metric.key, metric]));
  drawProvenance();
  if (!report.metrics.length) { $("count").textContent = "These runs have no measured row yet."; return; }
  fillChoices(); readState(); listen(); draw();
  document.documentElement.dataset.ready = "1";
}
start();
