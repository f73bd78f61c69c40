// What the page says, in English and Chinese. A language is one more catalogue; what it lacks is said in English.

const english = {
  title: "CBR replication",
  search: "Search",
  refresh: "Refresh",
  loading: "Reading Airflow's task instances …",
  asOf: "{vaults} vault pairs at {time}: {verdicts}.",
  verified: "verified",
  late: "too old",
  failed: "failed",
  running: "running",
  unknown: "unknown",
  unjudged: "verified, no RPO",
  verdict: "Verdict",
  vault: "Source and destination",
  age: "Newest verified replica",
  size: "GB verified",
  copy: "Copies",
  task: "Task",
  sortBy: "Sort by {column}",
  details: "Details of {vault}",
  oldOfMax: "{age} old, RPO {max}",
  old: "{age} old",
  none: "none",
  noneOfSome: "none for {count} of {total} resources",
  notKnown: "not known",
  progress: "{done} of {total} copied",
  copying: "copying",
  copiesFailed: "failed: {failed} of {total}",
  nothingCopied: "nothing to copy",
  why: {
    neverVerified: "No verify task among those that were read.",
    notVerifiedSince: "The replication failed, and nothing has been verified since.",
    noVerdict: "The verify task succeeded, but its verdict is not listed: look at its XCom \"verification\".",
    notProven: "The verify task succeeded, but proves no copy: nothing was there to judge, it judges no replica, or it only warns.",
    ageUnknown: "Verified, but it is not known how old the worst resource's newest verified replica is.",
    unprotected: "What was judged is verified, but a resource has no verified replica.",
    noRpo: "The verify task has no max_age, so the age is not judged.",
    late: "The newest verified replica of the worst resource is older than max_age.",
    partial: "Not all task instances of this run were read.",
    skipped: "The verify task was skipped.",
    retry: "The verify task will look again.",
  },
  failures: "Last failures",
  noReason: "The task ended without a verdict: its log says why.",
  more: "and {count} more: see the report",
  whatToDo: "What to do: {advice}",
  record: "Replication record",
  findings: "Warnings",
  links: "Links",
  log: "log",
  taskRuns: "all runs of the task",
  consoleSource: "console, source",
  consoleDestination: "console, destination",
  reportFile: "Report",
  showReport: "Show the report",
  resource: "Resource",
  reason: "Reason",
  advice: "What to do",
  noFindings: "Nothing is wrong.",
  reportAbsent: "This run has no report yet.",
  reportForbidden: "You may not read the XComs of this Dag.",
  notSignedIn: "You are not signed in to Airflow.",
  signIn: "Sign in",
  forbidden: "You may not see task instances in this Airflow. Ask its administrator for the right to read Dags.",
  noAnswer: "Airflow does not answer. Check the network, then refresh.",
  noJson: "The answer is not Airflow's: a proxy may be in between. Open Airflow anew, then refresh.",
  changed: "The list of task instances changed while it was read. Refresh.",
  httpError: "Airflow answers with HTTP {status}: {detail}",
  incomplete: "What is shown is not complete.",
  empty: "No replicate or verify task that you may see has run. Either none has, or you may not see its Dag.",
  noMatch: "No vault pair matches the search.",
  older: "Older runs were not read: a vault whose Dag has not run since {oldest} is not in the list.",
  readOlder: "Read older runs",
};

const chinese = {
  title: "CBR 复制",
  search: "搜索",
  refresh: "刷新",
  loading: "正在读取 Airflow 的任务实例……",
  asOf: "{time}：{vaults} 对存储库，{verdicts}。",
  verified: "已核实",
  late: "过旧",
  failed: "失败",
  running: "运行中",
  unknown: "未知",
  unjudged: "已核实，无 RPO",
  verdict: "结论",
  vault: "源与目标",
  age: "最新已核实副本",
  size: "已核实 GB",
  copy: "复制",
  task: "任务",
  sortBy: "按“{column}”排序",
  details: "{vault} 的详细信息",
  oldOfMax: "距今 {age}，RPO {max}",
  old: "距今 {age}",
  none: "没有",
  noneOfSome: "{total} 个资源中有 {count} 个没有",
  notKnown: "不明",
  progress: "已复制 {done} / {total}",
  copying: "复制中",
  copiesFailed: "失败：{failed} / {total}",
  nothingCopied: "无需复制",
  why: {
    neverVerified: "已读取的任务中没有核实任务。",
    notVerifiedSince: "复制失败，此后未再核实。",
    noVerdict: "核实任务成功，但列表中没有其结论：请查看其 XCom “verification”。",
    notProven: "核实任务成功，但不能证明副本存在：没有可判断的内容、未判断副本，或仅发出警告。",
    ageUnknown: "已核实，但不知道最差资源的最新副本有多旧。",
    unprotected: "已判断的内容已核实，但有资源没有已核实的副本。",
    noRpo: "核实任务没有 max_age，因此不判断新旧。",
    late: "最差资源的最新已核实副本超过了 max_age。",
    partial: "未读取此次运行的全部任务实例。",
    skipped: "核实任务被跳过。",
    retry: "核实任务将再次检查。",
  },
  failures: "最近的失败",
  noReason: "任务结束时没有结论：原因见其日志。",
  more: "另有 {count} 项：见报告",
  whatToDo: "处理建议：{advice}",
  record: "复制记录",
  findings: "警告",
  links: "链接",
  log: "日志",
  taskRuns: "该任务的全部运行",
  consoleSource: "控制台（源）",
  consoleDestination: "控制台（目标）",
  reportFile: "报告",
  showReport: "显示报告",
  resource: "资源",
  reason: "原因",
  advice: "处理建议",
  noFindings: "没有问题。",
  reportAbsent: "此次运行还没有报告。",
  reportForbidden: "您无权读取此 Dag 的 XCom。",
  notSignedIn: "您尚未登录 Airflow。",
  signIn: "登录",
  forbidden: "您无权查看此 Airflow 的任务实例。请向管理员申请读取 Dag 的权限。",
  noAnswer: "Airflow 没有应答。请检查网络后刷新。",
  noJson: "应答不是 Airflow 的：中间可能有代理。请重新打开 Airflow 后刷新。",
  changed: "读取期间任务实例列表发生了变化。请刷新。",
  httpError: "Airflow 应答 HTTP {status}：{detail}",
  incomplete: "显示的内容不完整。",
  empty: "没有您可以查看的复制或核实任务运行过：要么尚未运行，要么您无权查看其 Dag。",
  noMatch: "没有符合搜索的存储库。",
  older: "更早的运行未读取：自 {oldest} 起 Dag 未运行过的存储库不在列表中。",
  readOlder: "读取更早的运行",
};

function stored(name) {
  try {
    return window.localStorage.getItem(name);
  } catch {
    return null; // the browser keeps nothing
  }
}

// The language chosen in Airflow, else the browser's.
export const language = (stored("i18nextLng") || navigator.language || "en").toLowerCase().startsWith("zh") ? "zh-CN" : "en";
const catalogue = language === "zh-CN" ? chinese : english;

/** Return a text of the catalogue with its {values}. */
export function text(key, values = {}) {
  const find = (from) => key.split(".").reduce((part, name) => part?.[name], from);
  return (find(catalogue) ?? find(english)).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const moments = new Intl.DateTimeFormat(language === "en" ? navigator.language : language, { dateStyle: "medium", timeStyle: "short" });

/** Return a moment in milliseconds as the reader writes it. */
export const moment = (at) => moments.format(new Date(at));

/** Return seconds as two units, for example 1 d 4 h. */
export function duration(seconds) {
  const units = language === "en" ? ["d", "h", "min"] : ["天", "小时", "分钟"];
  const minutes = Math.floor(seconds / 60);
  const parts = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24, minutes % 60];
  const first = Math.max(0, parts.findIndex((part) => part > 0));
  if (minutes === 0) return `0 ${units[2]}`;
  return parts
    .map((part, at) => [part, units[at]])
    .slice(first, first + 2)
    .filter(([part]) => part > 0)
    .map(([part, unit]) => `${part} ${unit}`)
    .join(" ");
}

/** The theme chosen in Airflow, or null for the browser's. */
export const theme = () => (["light", "dark"].includes(stored("theme")) ? stored("theme") : null);
