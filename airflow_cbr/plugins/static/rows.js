// From Airflow's task instances to one row for each vault pair. Nothing here touches the document.

const VERIFY = "CbrVerifyReplicationOperator";
const REPLICATE = ["CbrReplicateCheckpointOperator", "CbrReplicateBackupOperator"];
const UNFINISHED = new Set([null, "scheduled", "queued", "running", "restarting", "deferred", "up_for_retry", "up_for_reschedule"]);
const FAILED = new Set(["failed", "upstream_failed"]);
const PAGE_SIZE = 500; // Airflow gives fewer: [api] maximum_page_limit, 100 unless changed
const WHOLE_PAGE_SIZE = 1000; // which Airflow does not cut
const FIRST_PAGES = 4;
const MOST_PAGES = 30;
const CLOCKS_APART = 300; // seconds
const MOST_FINDINGS = 20; // an operator lists three

export const VERDICTS = ["failed", "late", "unknown", "running", "unjudged", "verified"];

/** An answer of Airflow that is no list, or none that fits the others: kind is notSignedIn, forbidden, noAnswer, noJson, httpError or changed. */
export class AnswerError extends Error {
  constructor(kind, values = {}) {
    super(kind);
    this.kind = kind;
    this.values = values;
  }
}

/** Ask Airflow's REST API, as the user who is signed in; return the answer, and the server's time in milliseconds. */
async function ask(base, path, filters = null) {
  const sent = filters === null ? {} : { method: "POST", body: JSON.stringify(filters) };
  const type = filters === null ? {} : { "content-type": "application/json" };
  let response;
  try {
    response = await fetch(new URL(path, base), {
      ...sent,
      headers: { accept: "application/json", ...type },
      cache: "no-store",
      signal: AbortSignal.timeout(60_000),
    });
  } catch {
    throw new AnswerError("noAnswer");
  }
  if (response.status === 401) throw new AnswerError("notSignedIn");
  if (response.status === 403) throw new AnswerError("forbidden");
  let body;
  try {
    body = await response.json();
  } catch {
    if (response.ok) throw new AnswerError("noJson");
  }
  if (!response.ok) throw new AnswerError("httpError", { status: response.status, detail: String(body?.detail ?? "").slice(0, 300) });
  return { body, at: Date.parse(response.headers.get("date") ?? "") || Date.now() };
}

/** Return an object, empty where it is something else. */
export const known = (value) => (value !== null && typeof value === "object" && !Array.isArray(value) ? value : {});
/** Return a text; null where it is something else, or empty. */
export const words = (value) => (typeof value === "string" && value !== "" ? value : null);
const nameIn = (value) => words(words(value)?.trim());
// Airflow calls a mapped task instance by its index where there is no map_index_template: that names nothing.
const labelIn = (value) => (/^\d+$/.test(nameIn(value) ?? "") ? null : nameIn(value));
const number = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const time = (value) => (typeof value === "string" ? Date.parse(value) : NaN);

// --- reading -----------------------------------------------------------------------------------------------------------------

/** The task instances that were read, newest runs first, without a gap: whatever is newer than the oldest of them is among them. */
export class Reading {
  constructor(base) {
    this.base = base;
    this.requests = 0;
    this.isReadingOlder = false;
    this.#forget();
  }

  #forget() {
    this.tasks = [];
    this.bare = []; // behind those: listed, but without what they worked on
    this.listsAreBare = undefined;
    this.isAtEnd = false;
    this.error = null;
    this.at = null;
    this.offset = 0;
    this.total = undefined;
    this.listed = 0;
    this.seen = new Set();
    this.names = new Set();
  }

  /** Read the newest task instances; once more from the beginning where the list changed meanwhile. */
  async begin() {
    await this.#readNewest();
    if (this.error?.kind !== "changed") return;
    this.#forget();
    await this.#readNewest();
  }

  /** Whether no task instance is left that was not read. */
  get isComplete() {
    return this.isAtEnd && this.bare.length === 0;
  }

  /** Go on while a page brings a vault that was not seen yet. */
  async #readNewest() {
    await this.#read(1);
    if (!this.isAtEnd && !this.error) await this.#read(FIRST_PAGES - 1);
    while (!this.isAtEnd && !this.error && this.broughtNews && this.requests < MOST_PAGES) await this.#read(1);
    await this.#readWhole();
  }

  /** Read the counts of copies that a worker follows: their task lists its outcome only once it has ended, or is deferred. */
  async readCounts(most) {
    const running = runningCopies(this.tasks).slice(0, Math.max(0, most));
    this.requests += running.length;
    const values = await Promise.allSettled(running.map((task) => readXcom(this.base, task, "replication")));
    values.forEach(({ value }, at) => {
      if (value) running[at].outcome = { kind: "replication", counts: known(value) };
    });
  }

  /** Read some more pages, however little they bring; one reading at a time, since each begins where the last has ended. */
  async readOlder() {
    if (this.isReadingOlder) return;
    this.isReadingOlder = true;
    this.error = null;
    await this.#read(FIRST_PAGES);
    await this.#readWhole();
    this.isReadingOlder = false;
  }

  /** The run_after of the oldest run that was read; it may have been read in part. */
  get oldest() {
    return this.tasks.length ? this.tasks[this.tasks.length - 1].runAfter : null;
  }

  async #read(pages) {
    const size = this.pageSize ?? PAGE_SIZE;
    const left = this.total === undefined ? pages : Math.min(pages, Math.ceil((this.total - this.offset) / size));
    const offsets = Array.from({ length: left }, (_, number) => this.offset + number * size);
    this.requests += offsets.length;
    const answers = await Promise.allSettled(offsets.map((offset) => ask(this.base, listing(size, offset))));
    for (const answer of answers) {
      // Behind a page that is missing, a newer failure could be hidden: what follows is not used.
      if (answer.status === "rejected") {
        this.error = answer.reason;
        return;
      }
      this.#take(answer.value);
      if (this.error) return;
    }
  }

  #take({ body, at }) {
    const found = Array.isArray(body?.task_instances) ? body.task_instances : null;
    if (found === null) {
      this.error = new AnswerError("noJson");
      return;
    }
    // Rows that went moved others to a page that was read before, unseen; a newer failure may be among them.
    if (number(body.total_entries) < this.listed) this.error = new AnswerError("changed");
    if (this.error) return;
    this.at = Math.max(this.at ?? 0, at);
    this.listed = number(body.total_entries) ?? 0;
    this.total = Math.max(this.listed, this.offset + found.length);
    this.offset += found.length;
    this.pageSize ??= found.length || PAGE_SIZE;
    const before = this.seen.size;
    const tasks = found.map(known).map(taskOf);
    this.listsAreBare ??= tasks.length > 0 && tasks.every((task) => !task.hasFields);
    for (const task of tasks) {
      // A run that begins while the pages are read moves some task instances to the next page.
      if (Number.isNaN(task.runAfter) || this.names.has(task.name)) continue;
      this.names.add(task.name);
      (this.listsAreBare ? this.bare : this.tasks).push(task);
      const worksOn = this.listsAreBare ? task.place : task.key;
      if (worksOn !== null) this.seen.add(`${task.kind} ${worksOn}`);
    }
    this.broughtNews = this.seen.size > before;
    this.isAtEnd = found.length === 0 || this.offset >= this.total;
  }

  /**
   * Read once more what was listed without its rendered fields: before Airflow 3.3, only the list that is asked for with POST has them.
   * That list knows no operators, so it is asked for the runs and the tasks that the other has named.
   */
  async #readWhole() {
    const each = (name) => [...new Set(this.bare.map((task) => task[name]))];
    const filters = { dag_ids: each("dag"), dag_run_ids: each("run"), task_ids: each("task"), page_limit: WHOLE_PAGE_SIZE };
    const whole = new Map();
    const missing = () => this.bare.findIndex((task) => !whole.has(task.name));
    try {
      for (let offset = 0, total = 1; missing() >= 0 && offset < total; ) {
        this.requests += 1;
        const { body, at } = await ask(this.base, "dags/~/dagRuns/~/taskInstances/list", { ...filters, page_offset: offset });
        if (!Array.isArray(body?.task_instances)) throw new AnswerError("noJson");
        for (const task of body.task_instances.map(known).map(taskOf)) whole.set(task.name, task);
        this.at = Math.max(this.at, at);
        total = body.task_instances.length > 0 ? number(body.total_entries) ?? 0 : 0;
        offset += body.task_instances.length;
      }
    } catch (error) {
      this.error ??= error;
      return;
    }
    // One that has gone meanwhile: what is behind it is not used.
    if (missing() >= 0) this.error ??= new AnswerError("changed");
    const read = this.bare.splice(0, missing() < 0 ? this.bare.length : missing());
    this.tasks.push(...read.map((task) => whole.get(task.name)));
  }
}

function listing(limit, offset) {
  const query = new URLSearchParams([...[VERIFY, ...REPLICATE].map((name) => ["operator", name]), ["order_by", "-run_after"]]);
  query.set("limit", limit);
  query.set("offset", offset);
  return `dags/~/dagRuns/~/taskInstances?${query}`;
}

function taskOf(row) {
  const fields = known(row.rendered_fields);
  const kind = row.operator === VERIFY ? "verification" : "replication";
  let outcome = known(fields.outcome);
  if (outcome.kind !== undefined && outcome.kind !== kind) outcome = {};
  const source = known(outcome.source);
  const there = known(outcome.destination);
  const pair = {
    vault: words(source.vault_id) ?? words(fields.vault_id),
    name: nameIn(source.vault_name),
    region: words(source.region) ?? words(fields.region),
    toVault: words(there.vault_id) ?? words(fields.destination_vault_id),
    toName: nameIn(there.vault_name),
    toRegion: words(there.region) ?? words(fields.destination_region),
    toProject: words(there.project_id) ?? words(fields.destination_project_id),
  };
  const isKnown = pair.vault !== null && pair.toVault !== null;
  const mapIndex = number(row.map_index) ?? -1;
  return {
    name: JSON.stringify([row.dag_id, row.dag_run_id, row.task_id, mapIndex]),
    place: JSON.stringify([row.dag_id, row.task_id, mapIndex]),
    hasFields: Object.keys(fields).length > 0,
    kind,
    pair,
    outcome,
    key: isKnown ? JSON.stringify([pair.vault, pair.toRegion, pair.toProject, pair.toVault]).toLowerCase() : null,
    state: row.state ?? null,
    dag: String(row.dag_id),
    run: String(row.dag_run_id),
    task: String(row.task_id),
    mapIndex,
    tryNumber: number(row.try_number) ?? 0,
    label: labelIn(row.rendered_map_index),
    runAfter: time(row.run_after),
    began: time(row.start_date) || 0,
    ended: time(row.end_date) || 0,
  };
}

/** Read one XCom of a task instance; null where there is none. */
export async function readXcom(base, task, key) {
  const [dag, run, name] = [task.dag, task.run, task.task].map(encodeURIComponent);
  try {
    const { body } = await ask(base, `dags/${dag}/dagRuns/${run}/taskInstances/${name}/xcomEntries/${key}?map_index=${task.mapIndex}`);
    return typeof body.value === "string" ? JSON.parse(body.value) : body.value;
  } catch (error) {
    if (error instanceof AnswerError && error.values.status === 404) return null;
    throw error instanceof AnswerError ? error : new AnswerError("noJson");
  }
}

function runningCopies(tasks) {
  return tasks.filter((task) => task.kind === "replication" && task.state === "running" && task.outcome.counts === undefined);
}

// --- judging -----------------------------------------------------------------------------------------------------------------

/**
 * Return one row for each vault pair.
 *
 * @param {Reading} reading what was read
 * @param {number} now the server's time in milliseconds
 */
export function rowsOf(reading, now) {
  const pairs = new Map();
  const newestFirst = [...reading.tasks].sort((one, other) => other.runAfter - one.runAfter || other.began - one.began);
  const keys = keysOf(newestFirst);
  newestFirst.forEach((task, at) => {
    if (keys[at] === null) return;
    if (!pairs.has(keys[at])) pairs.set(keys[at], []);
    pairs.get(keys[at]).push(task);
  });
  return [...pairs].map(([key, tasks]) => rowOf(key, tasks, now, reading.isComplete ? -Infinity : reading.oldest));
}

/**
 * Return what each task works on. One that has begun and has no fields is taken for the next older one of the same task, so that its failure
 * hides behind no older success: it may have failed before it had any, and Airflow 3.1 throws those of runs without a logical date away first.
 */
function keysOf(newestFirst) {
  const last = new Map();
  const keys = [...newestFirst].reverse().map((task) => {
    const place = `${task.kind} ${task.place}`;
    if (task.key !== null) last.set(place, task.key);
    return task.key ?? (task.began > 0 || FAILED.has(task.state) ? last.get(place) ?? null : null);
  });
  return keys.reverse();
}

function rowOf(key, tasks, now, partialUntil) {
  const verifications = tasks.filter((task) => task.kind === "verification");
  const replications = tasks.filter((task) => task.kind === "replication");
  const newest = runOf(verifications);
  const copying = runOf(replications);
  const told = runOf(verifications.filter((task) => task.outcome.verdict !== undefined));
  const maxAge = number(verifications.find((task) => number(task.outcome.max_age) !== null)?.outcome.max_age);
  const verifiedAt = oldestReplica(told);
  const age = verifiedAt === null ? null : (now - verifiedAt) / 1000;
  const unprotected = age === null ? unprotectedOf(told) : null;
  const facts = { newest, copying, maxAge, age, unprotected, isPartial: (newest[0] ?? tasks[0]).runAfter <= partialUntil };
  const [verdict, why] = judge(facts);
  const size = Math.max(...told.map((task) => number(task.outcome.size_gb) ?? -1));
  return {
    key,
    verdict,
    why,
    maxAge,
    verifiedAt,
    age: age === null ? null : Math.max(age, 0),
    unprotected,
    pair: Object.assign({}, ...[...tasks].reverse().map((task) => given(task.pair))),
    label: tasks.find((task) => task.label !== null)?.label ?? null,
    size: size < 0 ? null : size,
    copies: copiesOf(copying),
    verification: newest[0] ?? null,
    replication: copying[0] ?? null,
    task: newest[0] ?? copying[0],
    consoles: known(tasks.find((task) => task.outcome.consoles !== undefined)?.outcome.consoles),
    reportPath: words(told[0]?.outcome.report),
    warnings: verdict === "failed" ? [] : findingsOf(told),
    failures: tasks.filter((task) => hasFailed(task) || (task.state === "up_for_retry" && findingsOf([task]).length > 0)).slice(0, 3),
  };
}

const given = (pair) => Object.fromEntries(Object.entries(pair).filter(([, value]) => value !== null));
const isUnfinished = (task) => UNFINISHED.has(task.state);
// What a verify task has found stays true while it waits for its retry.
const hasFailed = (task) => FAILED.has(task.state) || (task.outcome.verdict === "failed" && ["skipped", "up_for_retry"].includes(task.state));

/** Return the tasks of the newest run; they are newest first. */
function runOf(tasks) {
  return tasks.filter((task) => task.dag === tasks[0].dag && task.run === tasks[0].run);
}

/** Return when the source backup of the worst resource's newest verified replica was made; null unless every task knows it. */
function oldestReplica(told) {
  const times = told.map((task) => time(task.outcome.verified_at));
  return times.length === 0 || times.some(Number.isNaN) ? null : Math.min(...times);
}

/**
 * Return how many of how many resources have no verified replica, count and total; null where that is not known, or none lacks one.
 * Several tasks of a run may each have judged a part: only where none of them has seen any replica is it known that there is none.
 */
function unprotectedOf(told) {
  const counts = told.map(({ outcome }) => known(outcome.resources)).map((all) => ({ total: number(all.total), count: number(all.unprotected) }));
  if (counts.length === 0 || !counts.every(({ total, count }) => total !== null && count > 0 && count <= total)) return null;
  return counts.length === 1 || counts.every(({ total, count }) => count === total) ? counts[0] : null;
}

/** Return a verdict and why. Only a verify task that said verified, of a replica that is young enough by now, makes a row green. */
function judge({ newest, copying, maxAge, age, unprotected, isPartial }) {
  const copied = copying[0];
  if (copying.some((task) => FAILED.has(task.state)) && (newest.length === 0 || copied.runAfter > newest[0].runAfter)) {
    return ["failed", "notVerifiedSince"];
  }
  if (newest.length === 0) return copying.some(isUnfinished) ? ["running", null] : ["unknown", "neverVerified"];
  if (newest.some(hasFailed)) return ["failed", newest.some((task) => task.state === "up_for_retry") ? "retry" : null];
  if (newest.some(isUnfinished)) return ["running", null];
  if (newest.some((task) => task.state === "skipped")) return ["unknown", "skipped"];
  const say = (...verdicts) => newest.every((task) => task.state === "success" && verdicts.includes(task.outcome.verdict));
  if (!say("verified", "unproven")) return ["unknown", "noVerdict"];
  if (!say("verified")) return ["unknown", "notProven"];
  if (isPartial) return ["unknown", "partial"];
  if (unprotected !== null) return ["unknown", "unprotected"];
  if (age === null || age < -CLOCKS_APART) return ["unknown", "ageUnknown"];
  if (maxAge === null) return ["unjudged", "noRpo"];
  return age > maxAge ? ["late", "late"] : ["verified", null];
}

/** Return how far the newest replication is: isRunning, done and total; total is null where it is not known. */
function copiesOf(tasks) {
  if (tasks.length === 0) return null;
  const told = tasks.filter((task) => task.outcome.counts !== undefined);
  const sum = (...names) => told.reduce((all, task) => all + names.reduce((some, name) => some + (number(known(task.outcome.counts)[name]) ?? 0), 0), 0);
  return {
    isRunning: tasks.some(isUnfinished),
    hasFailed: tasks.some((task) => FAILED.has(task.state)),
    done: sum("succeeded"),
    failed: sum("failed", "missing"),
    total: told.length < tasks.length ? null : sum("accepted", "adopted"),
  };
}

/** Return what a task found: subject, reason, advice and replication record of each, and how many more there are. */
export function findingsOf(tasks) {
  return tasks.flatMap((task) => {
    const { outcome } = task;
    const few = (value) => (Array.isArray(value) ? value.slice(0, MOST_FINDINGS) : []);
    const found = few(outcome.findings).map(known);
    const error = words(outcome.error);
    const problems = few(outcome.problems).map((reason) => ({ reason }));
    const isError = found.length === 0 && error !== null;
    const listed = isError ? [{ reason: error, advice: outcome.advice }, ...problems] : found;
    const more = isError ? (number(outcome.problems_total) ?? 0) - problems.length : (number(outcome.findings_total) ?? 0) - found.length;
    return listed.map((one, at) => ({
      subject: words(one.subject),
      reason: words(one.reason),
      advice: words(one.advice),
      record: words(one.record_id),
      more: at === listed.length - 1 ? Math.max(0, more) : 0,
    }));
  });
}

// --- choosing ----------------------------------------------------------------------------------------------------------------

/** Return what a row is called: what its tasks' map_index_template says, else the name of the source vault, else its id. */
export const calledOf = ({ label, pair }) => label ?? pair.name ?? pair.vault;

const SORT_KEYS = {
  verdict: (row) => VERDICTS.indexOf(row.verdict),
  vault: (row) => `${calledOf(row)}\n${row.key}`, // names are not unique, and rows must not change places
  age: (row) => -(row.age ?? Infinity),
  size: (row) => row.size ?? -1,
  copy: (row) => (row.copies?.isRunning ? 0 : 1),
  task: (row) => `${row.task.dag} ${row.task.task}`,
};

/** Return the rows that contain every word of a search, sorted; the worst and oldest first among equals. */
export function chosen(rows, search, column, isDescending, said) {
  const wanted = search.toLowerCase().split(/\s+/).filter(Boolean);
  const haystack = (row) => [...Object.values(row.pair), row.label, row.task.dag, row.task.task, said(row.verdict)].join("\n").toLowerCase();
  const direction = isDescending ? -1 : 1;
  return rows
    .filter((row) => wanted.every((word) => haystack(row).includes(word)))
    .sort((one, other) => direction * compare(SORT_KEYS[column], one, other) || worstFirst(one, other));
}

function worstFirst(one, other) {
  return ["verdict", "age", "vault"].reduce((order, column) => order || compare(SORT_KEYS[column], one, other), 0);
}

function compare(key, one, other) {
  const [left, right] = [key(one), key(other)];
  return left < right ? -1 : left > right ? 1 : 0;
}
