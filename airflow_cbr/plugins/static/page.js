// The page: what was read, as a table. Every word of Airflow goes into the document as text, never as markup.

import { AnswerError, Reading, VERDICTS, calledOf, chosen, findingsOf, known, readXcom, rowsOf, words } from "./rows.js";
import { duration, language, moment, text, theme } from "./texts.js";

// The page lies beside the REST API, below whatever path the server has.
const API = new URL("../api/v2/", document.baseURI);
const AIRFLOW = new URL("../", document.baseURI);
const OWN_FILES = 4;
const MOST_REQUESTS = 10;
const AGES_GROW = 30_000; // milliseconds
const MOST_LISTED = 1000; // findings and resources of a report, which is somebody's XCom
const COLUMNS = ["verdict", "vault", "age", "size", "copy", "task"];

const page = Object.fromEntries(["search", "refresh", "status", "problem", "rows", "older"].map((id) => [id, document.getElementById(id)]));
const sorting = { column: "verdict", isDescending: false };
const opened = new Map(); // keys of the rows whose details are shown, each with what was fetched for them
const numbers = new Map(); // of the rows by key, for ids that stay when the rows move
let reading = null;
let readAt = null;

// --- building ----------------------------------------------------------------------------------------------------------------

/** Make an element; its children are elements or words. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Words that came from somewhere else: their direction must not turn the page's around. */
const foreign = (words) => make("bdi", {}, words);

/** A link to another page of Airflow, or out of it. */
function link(href, label, isOutside = false) {
  return make("a", { href, rel: "noreferrer", target: isOutside ? "_blank" : null, click: leave, auxclick: leave }, label);
}

/** Follow a link from the document around this one: Airflow's frame lets this one open no window and replace no page. */
function leave(event) {
  if (window.parent === window || event.button > 1) return;
  event.preventDefault();
  const outer = window.parent.document.createElement("a");
  outer.href = event.currentTarget.href;
  outer.rel = "noopener noreferrer";
  if (event.currentTarget.target || event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey) outer.target = "_blank";
  outer.click();
}

const part = encodeURIComponent;

function taskLink(task) {
  return link(new URL(`dags/${part(task.dag)}/tasks/${part(task.task)}`, AIRFLOW), text("taskRuns"));
}

function logLink(task, label) {
  const mapped = task.mapIndex < 0 ? "" : `/mapped/${task.mapIndex}`;
  const tried = task.tryNumber > 0 ? `?try_number=${task.tryNumber}` : "";
  return link(new URL(`dags/${part(task.dag)}/runs/${part(task.run)}/tasks/${part(task.task)}${mapped}${tried}`, AIRFLOW), label);
}

/** A link to an address that a task gave; nothing where it is no address of the web. */
function outsideLink(address, label) {
  const isSecure = typeof address === "string" && URL.canParse(address) && new URL(address).protocol === "https:";
  return isSecure ? link(address, label, true) : null;
}

// --- the table ---------------------------------------------------------------------------------------------------------------

function table(rows) {
  const head = make("tr", { role: "row", id: "head" }, ...COLUMNS.map(heading));
  const body = make("tbody", { role: "rowgroup" }, ...rows.flatMap((row) => [line(row), details(row)]).filter(Boolean));
  return make("table", { role: "table", "aria-label": text("title") }, make("thead", { role: "rowgroup" }, head), body);
}

function heading(column) {
  const isSorted = sorting.column === column;
  const sort = () => {
    sorting.isDescending = isSorted && !sorting.isDescending;
    sorting.column = column;
    show();
  };
  const order = isSorted ? (sorting.isDescending ? "descending" : "ascending") : "none";
  const button = make("button", { id: `by-${column}`, type: "button", title: text("sortBy", { column: text(column) }), click: sort }, text(column));
  return make("th", { role: "columnheader", scope: "col", "aria-sort": order }, button);
}

function line(row) {
  const cell = (column, ...children) => make("td", { role: "cell", "data-column": text(column), class: column }, ...children);
  return make(
    "tr",
    { role: "row", id: `row-${row.number}`, class: row.verdict, "data-verdict": row.verdict },
    cell("verdict", opener(row), row.why ? make("small", {}, text(`why.${row.why}`)) : null),
    cell("vault", ...vaults(row)),
    cell("age", ...age(row)),
    cell("size", row.size === null ? "" : row.size.toLocaleString(language, { maximumFractionDigits: 1 })),
    cell("copy", ...copies(row.copies)),
    cell("task", logLink(row.task, foreign(`${row.task.dag} · ${row.task.task}`)), make("small", {}, moment(row.task.runAfter))),
  );
}

function opener(row) {
  const isOpen = opened.has(row.key);
  const toggle = () => {
    if (isOpen) opened.delete(row.key);
    else opened.set(row.key, {});
    show();
  };
  return make(
    "button",
    {
      type: "button",
      class: "badge",
      "aria-expanded": String(isOpen),
      "aria-controls": isOpen ? `details-${row.number}` : null,
      "aria-label": `${text(row.verdict)}. ${text("details", { vault: calledOf(row) })}`,
      click: toggle,
    },
    text(row.verdict),
  );
}

function vaults({ label, pair }) {
  const place = (arrow, name, vault, region) => {
    const where = region ? foreign(region) : "?";
    const id = make("code", {}, foreign(vault));
    const parts = name ? [make("strong", {}, foreign(name)), " ", where, " ", make("small", {}, id)] : [where, " ", id];
    return make("span", { class: "place" }, arrow, ...parts);
  };
  // What the operators offer for a map_index_template says the same as the two lines below it.
  const ways = [`${pair.region} -> ${pair.toRegion}`, `-> ${pair.toRegion}`];
  const offered = [pair.name, pair.vault].flatMap((vault) => [vault, ...ways.map((way) => `${vault}: ${way}`)]);
  const called = label === null || offered.includes(label) ? null : make("strong", {}, foreign(label));
  return [called, place("", pair.name, pair.vault, pair.region), place("→ ", pair.toName, pair.toVault, pair.toRegion)];
}

function age(row) {
  const lacking = row.unprotected;
  if (lacking !== null) return [lacking.count === lacking.total ? text("none") : text("noneOfSome", lacking)];
  if (row.verifiedAt === null) return [text("notKnown")];
  const values = { age: duration(row.age), max: row.maxAge === null ? "" : duration(row.maxAge) };
  const shown = [make("span", {}, text(row.maxAge === null ? "old" : "oldOfMax", values))];
  if (row.maxAge !== null) {
    const minutes = Math.floor(Math.min(row.age, row.maxAge) / 60);
    shown.push(make("progress", { max: row.maxAge, value: minutes * 60, "aria-label": text("age") }));
  }
  return [...shown, make("small", {}, moment(row.verifiedAt))];
}

function copies(state) {
  if (state === null) return [];
  const { done, failed, total, isRunning } = state;
  if (total === null) return [isRunning ? text("copying") : state.hasFailed ? text("failed") : ""];
  if (total === 0 && failed === 0) return [isRunning ? text("copying") : state.hasFailed ? text("failed") : text("nothingCopied")];
  const said = make("span", {}, failed > 0 ? text("copiesFailed", { failed, total }) : text("progress", { done, total }));
  return isRunning ? [said, make("progress", { max: Math.max(total, 1), value: done, "aria-label": text("copy") })] : [said];
}

// --- the details -------------------------------------------------------------------------------------------------------------

function details(row) {
  if (!opened.has(row.key)) return null;
  const parts = [failures(row), warnings(row), links(row), report(row)].filter(Boolean);
  const cell = make("td", { role: "cell", colspan: COLUMNS.length }, ...parts);
  return make("tr", { role: "row", class: "details", id: `details-${row.number}` }, cell);
}

function failures(row) {
  if (row.failures.length === 0) return null;
  const entries = row.failures.map((task) => {
    const found = findingsOf([task]);
    const title = make("p", {}, logLink(task, foreign(`${task.dag} · ${task.task}`)), ` ${moment(task.ended || task.runAfter)}`);
    return make("li", {}, title, ...(found.length ? [reasons(found)] : [make("p", {}, text("noReason"))]));
  });
  return make("section", {}, make("h2", {}, text("failures")), make("ul", {}, ...entries));
}

function reasons(found) {
  const entries = found.map(({ subject, reason, advice, record, more }) =>
    make(
      "li",
      {},
      subject ? make("strong", {}, foreign(subject), ": ") : null,
      foreign(reason ?? ""),
      record ? make("p", {}, `${text("record")}: `, make("code", {}, foreign(record))) : null,
      advice ? make("p", { class: "advice" }, foreign(text("whatToDo", { advice }))) : null,
      more > 0 ? make("p", {}, text("more", { count: more })) : null,
    ),
  );
  return make("ul", {}, ...entries);
}

function warnings(row) {
  return row.warnings.length ? make("section", {}, make("h2", {}, text("findings")), reasons(row.warnings)) : null;
}

function links(row) {
  const tasks = [row.verification, row.replication].filter(Boolean);
  const entries = [
    ...tasks.map((task) => [foreign(`${task.task}: `), logLink(task, text("log")), ", ", taskLink(task)]),
    [outsideLink(row.consoles.source, text("consoleSource"))],
    [outsideLink(row.consoles.destination, text("consoleDestination"))],
    row.reportPath === null ? [] : [`${text("reportFile")}: `, outsideLink(row.reportPath, foreign(row.reportPath)) ?? make("code", {}, foreign(row.reportPath))],
  ].filter((entry) => entry.some(Boolean));
  return make("section", {}, make("h2", {}, text("links")), make("ul", { class: "links" }, ...entries.map((entry) => make("li", {}, ...entry))));
}

function report(row) {
  if (row.verification === null) return null;
  const fetched = opened.get(row.key);
  if (fetched.problem) return make("p", {}, fetched.problem);
  if (fetched.report) return resources(fetched.report);
  const read = async () => {
    try {
      const value = await readXcom(API, row.verification, "verification");
      opened.set(row.key, value ? { report: value } : { problem: text("reportAbsent") });
    } catch (error) {
      opened.set(row.key, { problem: error.kind === "forbidden" ? text("reportForbidden") : problemText(error) });
    }
    show();
  };
  return make("p", {}, make("button", { type: "button", click: read }, text("showReport")));
}

function resources(body) {
  const all = (value) => (Array.isArray(value) ? value : []);
  const list = (value) => all(value).slice(0, MOST_LISTED).map(known);
  const listed = list(body.findings);
  const found = listed.map((one, at) => ({
    subject: [words(one.name), words(one.id)].filter(Boolean).join(" "),
    reason: words(one.reason),
    advice: words(one.advice),
    record: words(one.record_id),
    more: at === listed.length - 1 ? all(body.findings).length - listed.length : 0,
  }));
  const rows = list(body.resources).map((one) => {
    const at = Date.parse(words(one.verified_at) ?? "");
    const name = [words(one.name), words(one.id)].filter(Boolean).join(" ");
    return make("li", {}, foreign(name), ": ", Number.isNaN(at) ? text("none") : moment(at));
  });
  return make(
    "section",
    {},
    make("h2", {}, text("reportFile")),
    found.length ? reasons(found) : make("p", {}, text("noFindings")),
    rows.length ? make("h3", {}, `${text("resource")}: ${text("age")}`) : null,
    rows.length ? make("ul", {}, ...rows) : null,
  );
}

// --- showing -----------------------------------------------------------------------------------------------------------------

function problemText(error) {
  return error instanceof AnswerError ? text(error.kind, error.values) : String(error);
}

function showProblem(error, isPartial) {
  page.problem.hidden = error === null;
  const said = error === null ? [] : [isPartial ? `${text("incomplete")} ` : "", problemText(error)];
  const signIn = error?.kind === "notSignedIn" ? link(AIRFLOW, text("signIn")) : null;
  page.problem.replaceChildren(...said, ...(signIn ? [" ", signIn] : []));
}

/** The server's time: the browser's clock only says how long ago it was read. */
const now = () => reading.at + Math.max(performance.now() - readAt.steady, Date.now() - readAt.clock);

function show() {
  if (reading === null) return;
  showProblem(reading.error, reading.tasks.length > 0);
  const rows = reading.at === null ? [] : rowsOf(reading, now());
  for (const row of rows) row.number = numbers.get(row.key) ?? numbers.set(row.key, numbers.size).size - 1;
  const shown = chosen(rows, page.search.value, sorting.column, sorting.isDescending, text);
  const nothing = rows.length ? text("noMatch") : text("empty");
  const isUnknown = rows.length === 0 && reading.error !== null;
  draw(...(shown.length ? [table(shown)] : isUnknown ? [] : [make("p", {}, nothing)]));
  const said = rows.length ? summary(rows) : "";
  // What is written again is read out again.
  if (page.status.textContent !== said) page.status.textContent = said;
  showOlder();
}

/** Put something in place of the rows, unless it is the same; the keyboard stays in its row. */
function draw(...children) {
  const drawn = page.rows.children;
  if (drawn.length === children.length && children.every((child, at) => child.isEqualNode(drawn[at]))) return;
  const reachable = (line) => [...(line?.querySelectorAll("a, button") ?? [])];
  const focused = document.activeElement.closest("#rows tr");
  const at = reachable(focused).indexOf(document.activeElement);
  page.rows.replaceChildren(...children);
  if (at < 0) return;
  const left = reachable(document.getElementById(focused.id));
  (left[at] ?? left.at(-1))?.focus({ preventScroll: true });
}

function summary(rows) {
  const count = (verdict) => rows.filter((row) => row.verdict === verdict).length;
  const verdicts = VERDICTS.filter(count).map((verdict) => `${count(verdict)} ${text(verdict)}`);
  return text("asOf", { vaults: rows.length, time: moment(reading.at), verdicts: verdicts.join(" · ") });
}

function showOlder() {
  const isMore = !reading.isComplete && reading.tasks.length > 0;
  page.older.hidden = !isMore;
  if (!isMore) return page.older.replaceChildren();
  const more = async () => {
    await reading.readOlder();
    show();
  };
  const button = make("button", { type: "button", click: more }, text("readOlder"));
  return page.older.replaceChildren(`${text("older", { oldest: moment(reading.oldest) })} `, button);
}

async function refresh() {
  page.refresh.disabled = true;
  page.rows.setAttribute("aria-busy", "true");
  if (reading === null) page.status.textContent = text("loading");
  const found = new Reading(API);
  await found.begin();
  await found.readCounts(MOST_REQUESTS - OWN_FILES - found.requests);
  reading = found;
  readAt = { steady: performance.now(), clock: Date.now() };
  for (const key of opened.keys()) opened.set(key, {});
  show();
  page.refresh.disabled = false;
  page.rows.removeAttribute("aria-busy");
}

/** Return what the address around this page asks to search for: a task's link leads here with its vault. */
const searched = () => new URLSearchParams(window.parent.location.search).get("search")?.slice(0, 200) ?? "";

/** Open the row that an address leads to: the only one, or the only one of them that failed, where a vault has several destinations. */
function openSearched() {
  if (searched() === "" || reading.at === null) return;
  const found = chosen(rowsOf(reading, now()), searched(), sorting.column, sorting.isDescending, text);
  const failed = found.filter((row) => row.verdict === "failed");
  const only = [found, failed].find((rows) => rows.length === 1);
  if (only === undefined) return;
  opened.set(only[0].key, {});
  show();
}

function followTheme() {
  if (theme()) document.documentElement.dataset.theme = theme();
  else delete document.documentElement.dataset.theme;
}

document.documentElement.lang = language;
document.title = text("title");
for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
followTheme();
window.addEventListener("storage", followTheme);
page.search.value = searched();
page.refresh.addEventListener("click", refresh);
page.search.addEventListener("input", show);
// Ages grow while nobody refreshes: what was green must not stay so.
setInterval(show, AGES_GROW);
await refresh();
openSearched();
