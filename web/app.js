/**
 * The reference client: when places are released, and what is free at the chosen office.
 *
 * Reads two calls, `/v1/offices` and `/v1/offices/{id}/availability`, and shows them as they are. Every countdown
 * runs on the server's clock and every time is the office's own. It writes once, when somebody comes by the link of
 * an activation mail; it never stores more than the language, and never hides that what it shows is old. One file, so
 * that the page is readable without a build.
 */

const POLL_MS = 2000;
const OFFICES_POLL_MS = 60_000;
const RETRY_MS_MAX = 30_000;
const DEADLINE_MS = 6000;
const DAYS_SHOWN = 14;
const SERVICES = ["regular", "electronic"];
const CHANNEL = "online";
const ZONES = ["WIB", "WITA", "WIT"];
const LOCALES = { id: "id-ID", en: "en-GB" };
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const FLASH = [{ backgroundColor: "var(--flash)" }, { backgroundColor: "transparent" }];
const TEXTS = await (await fetch("texts.json")).json();

const $ = (id) => document.getElementById(id);
const state = { language: "id", offices: [], chosen: null, availability: null, updated_ms: 0, fault: null };
const clock = { offset_ms: 0, rtt_ms: Infinity, sampled_ms: -Infinity };

/* Time ---------------------------------------------------------------------------------------------------------- */

const nowMs = () => Date.now() + clock.offset_ms;

/** The quickest recent answer knows the server's time best. */
function sampleClock(serverMs, sentMs, gotMs) {
  const rtt_ms = gotMs - sentMs;
  if (rtt_ms > clock.rtt_ms && gotMs - clock.sampled_ms < OFFICES_POLL_MS) return;
  Object.assign(clock, { offset_ms: serverMs - (sentMs + gotMs) / 2, rtt_ms, sampled_ms: gotMs });
}

const formatters = new Map();
function format(ms, timeZone, options) {
  const key = JSON.stringify([state.language, timeZone, options]);
  const make = () => new Intl.DateTimeFormat(LOCALES[state.language], { timeZone, ...options });
  if (!formatters.has(key)) formatters.set(key, make());
  return formatters.get(key).format(ms);
}
const clockTime = (ms, zone) => format(ms, zone, { hour: "2-digit", minute: "2-digit" });
const exactTime = (ms, zone) => format(ms, zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const shortDate = (ms, zone) => format(ms, zone, { weekday: "short", day: "numeric", month: "short" });
const longDate = (ms, zone) => format(ms, zone, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const moment = (ms, { timezone, zone_label }) =>
  t("moment", longDate(ms, timezone), clockTime(ms, timezone), zone_label);

/* Words --------------------------------------------------------------------------------------------------------- */

/** Sessions and services are data: one without a translation is shown by its own key. */
function t(key, ...values) {
  const text = TEXTS[state.language][key] ?? key.replace(/^[a-z]+_/, "");
  return text.replace(/\{(\d)\}/g, (_, index) => values[index]);
}
const count = (number) => number.toLocaleString(LOCALES[state.language]);

function setLanguage(language) {
  state.language = language;
  document.documentElement.lang = language;
  document.title = t("title");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  remember(language);
  showOffices();
  rebuildDetail();
  tick();
}

/** Storage may be refused; the language is then asked of the browser each time. */
function remember(language) {
  try { localStorage.setItem("language", language); } catch { /* private window */ }
}
function remembered() {
  try { return localStorage.getItem("language"); } catch { return null; }
}

function announce(text) {
  if ($("announcer").textContent !== text) $("announcer").textContent = text;
}

/* Elements ------------------------------------------------------------------------------------------------------ */

function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Writing the same text again would wake screen readers and layout for nothing. */
function setText(node, text) {
  if (node.textContent === text) return false;
  node.textContent = text;
  return true;
}

/* The server ---------------------------------------------------------------------------------------------------- */

class Refused extends Error {
  constructor(message, retryAfterMs) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The body of an answer, or `Refused`, or whatever the network throws. Never waits longer than its deadline. */
async function ask(path, leave) {
  const sentMs = Date.now();
  const deadline = setTimeout(() => leave.abort("deadline"), DEADLINE_MS);
  const options = { headers: { "Accept-Language": state.language }, cache: "no-store", signal: leave.signal };
  try {
    const response = await fetch(path, options);
    if (!response.ok) throw await refusal(response);
    const body = await response.json();
    sampleClock(body.server_time_ms, sentMs, Date.now());
    return body;
  } finally {
    clearTimeout(deadline);
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After")) || 0;
  return new Refused(problem.title ?? t("refused", response.status), seconds * 1000);
}

/** Ask again and again: at `everyMs` while it works, ever more slowly while it does not, not at all while unseen. */
class Poll {
  constructor(everyMs, path, take) {
    Object.assign(this, { everyMs, path, take, faults: 0, timer: 0, leave: null, turn: 0 });
  }

  start() {
    this.stop();
    this.round(this.turn);
  }

  stop() {
    this.turn += 1;
    clearTimeout(this.timer);
    this.leave?.abort("left");
  }

  async round(turn) {
    let waitMs = this.everyMs;
    this.leave = new AbortController();
    try {
      const body = await ask(this.path(), this.leave);
      if (turn !== this.turn) return;
      this.succeeded();
      this.take(body);
    } catch (error) {
      if (turn !== this.turn) return;
      waitMs = this.failed(error);
    }
    if (!document.hidden) this.timer = setTimeout(() => this.round(turn), waitMs);
  }

  succeeded() {
    this.faults = 0;
    if (state.fault?.poll !== this) return;
    showFault(null);
    announce(t("recovered"));
  }

  /** A little chance in the wait keeps a whole country from returning in the same instant. */
  failed(error) {
    this.faults += 1;
    const backoffMs = Math.min(RETRY_MS_MAX, POLL_MS * 2 ** (this.faults - 1)) * (0.75 + Math.random() / 2);
    const waitMs = Math.max(backoffMs, error.retryAfterMs ?? 0);
    const said = error instanceof Refused ? error.message : t("unreachable");
    showFault({ poll: this, said, again_ms: Date.now() + waitMs });
    return waitMs;
  }
}

const officesPoll = new Poll(OFFICES_POLL_MS, () => "/v1/offices", (body) => {
  state.offices = body.offices.map(named).sort((one, other) => one.short.localeCompare(other.short, "id"));
  showOffices();
  choose();
  tick();
});

const availabilityPoll = new Poll(POLL_MS, availabilityPath, (body) => {
  state.availability = body;
  state.updated_ms = nowMs();
  state.chosen.window = body.window;
  showAvailability();
});

function availabilityPath() {
  const { office_id, timezone } = state.chosen;
  const today = new Intl.DateTimeFormat("en-CA", { timeZone: timezone }).format(nowMs());
  return `/v1/offices/${encodeURIComponent(office_id)}/availability?from=${today}&days=${DAYS_SHOWN}`;
}

/** What is old stays in sight, and is said to be old. */
function showFault(fault) {
  state.fault = fault;
  $("fault").hidden = fault === null;
  document.body.classList.toggle("stale", fault !== null);
  if (fault === null) return;
  const seen = state.updated_ms && exactTime(state.updated_ms, state.chosen.timezone);
  setText($("fault-text"), `${fault.said.replace(/[.]?$/, ".")} ${seen ? t("stale_since", seen) : t("nothing_yet")}`);
  showRetry();
}

function showRetry() {
  const left = Math.max(0, Math.ceil((state.fault.again_ms - Date.now()) / 1000));
  setText($("fault-again"), t("again_in", left));
}

/* Offices ------------------------------------------------------------------------------------------------------- */

const plain = (text) => text.normalize("NFD").replace(/\p{Mark}/gu, "").toLowerCase();

function named(office) {
  const short = office.name.replace(/^Kantor Imigrasi Kelas .+? TPI /, "");
  return { ...office, short, haystack: plain(`${office.name} ${office.city} ${office.province} ${office.zone_label}`) };
}

/** Built anew only when it says something new: somebody may be in the middle of it with the keyboard. */
function showOffices() {
  const words = plain($("search").value).split(/\s+/).filter(Boolean);
  const found = state.offices.filter((office) => words.every((word) => office.haystack.includes(word)));
  setText($("found"), state.offices.length ? t("found", count(found.length), count(state.offices.length)) : "");
  const fingerprint = [state.chosen?.office_id, ...found.map((office) => office.office_id)].join();
  if ($("offices").dataset.shown === fingerprint) return;
  $("offices").dataset.shown = fingerprint;
  $("offices").replaceChildren(...found.map(officeItem));
  keepInSight($("offices").querySelector("[aria-current]"));
}

/** Scrolls the list alone: the page stays where its reader is. */
function keepInSight(link) {
  const list = $("offices");
  if (link) list.scrollTop = link.offsetTop - list.offsetTop - list.clientHeight / 3;
}

function officeItem(office) {
  const current = office.office_id === state.chosen?.office_id;
  return h("li", null, h("a", { href: `#${office.office_id}`, "aria-current": current ? "true" : null },
    h("strong", null, office.short), h("span", { class: "zone" }, office.zone_label),
    h("span", { class: "quiet" }, `${office.city}, ${office.province}`)));
}

/** The address names the office, so that a link or the back button leads to it. */
function choose() {
  const id = decodeURIComponent(location.hash.slice(1));
  const office = state.offices.find((one) => one.office_id === id) ?? null;
  const same = office?.office_id === state.chosen?.office_id;
  state.chosen = office;
  if (same) return;
  Object.assign(state, { availability: null, updated_ms: 0 });
  if (state.fault?.poll === availabilityPoll) showFault(null);
  showOffices();
  rebuildDetail();
  tick();
  if (office === null) return availabilityPoll.stop();
  availabilityPoll.start();
  announce(t("chosen", office.name));
}

/* Windows ------------------------------------------------------------------------------------------------------- */

/** What a window says at this moment: its state, and the moment it waits for. */
function reading(window) {
  const at = (iso) => (iso ? Date.parse(iso) : NaN);
  const now = nowMs();
  if (!window) return { state: "none", at_ms: null };
  if (now < at(window.opens_at)) return { state: "not_open", at_ms: at(window.opens_at) };
  if (now < at(window.closes_at) && window.state !== "closed") return { state: "open", at_ms: at(window.closes_at) };
  const next = at(window.next_opens_at);
  return next > now ? { state: "closed", at_ms: next } : { state: "none", at_ms: null };
}

/** The chosen office, else one that is open, else the one to open first. */
function leading() {
  if (state.chosen) return { office: state.chosen, ...reading(state.chosen.window) };
  const order = { open: 0, not_open: 1, closed: 1, none: 2 };
  const all = state.offices.map((office) => ({ office, ...reading(office.window) }));
  return all.sort((one, other) => order[one.state] - order[other.state] || one.at_ms - other.at_ms)[0];
}

let boundary_ms = Infinity;
function tick() {
  const now = nowMs();
  const lead = leading();
  setText($("clock"), [exactTime(now, state.chosen?.timezone), state.chosen?.zone_label ?? ""].join(" "));
  if (state.fault) showRetry();
  if (!lead) return;
  setText($("opening-title"), t(`opening_${lead.state}`, state.chosen ? state.chosen.short : t("whole_country")));
  setText($("opening-when"), lead.at_ms ? t(`when_${lead.state}`, moment(lead.at_ms, lead.office)) : t("when_none"));
  document.body.dataset.window = lead.state;
  showCountdown(lead.at_ms && lead.at_ms - now);
  showZones();
  crossed(lead, now);
}

/** Once each second of the server's clock. */
function ticking() {
  tick();
  setTimeout(ticking, 1000 - (((nowMs() % 1000) + 1000) % 1000) + 5);
}

/** The moment a window opens or closes everything is asked afresh. */
function crossed(lead, now) {
  if (now >= boundary_ms) {
    announce($("opening-title").textContent);
    if (state.chosen) availabilityPoll.start();
    setTimeout(() => officesPoll.start(), Math.random() * POLL_MS);
  }
  boundary_ms = lead.at_ms ?? Infinity;
}

function showCountdown(left_ms) {
  $("countdown").hidden = left_ms === null;
  const left = Math.max(0, Math.ceil((left_ms ?? 0) / 1000));
  const parts = { days: left / 86_400, hours: (left / 3600) % 24, minutes: (left / 60) % 60, seconds: left % 60 };
  for (const [unit, value] of Object.entries(parts)) setText($(unit), String(Math.floor(value)).padStart(2, "0"));
}

function showZones() {
  const cards = ZONES.map(zoneCard).filter(Boolean);
  const fingerprint = JSON.stringify(cards);
  if ($("zones").dataset.shown === fingerprint) return;
  $("zones").dataset.shown = fingerprint;
  $("zones").replaceChildren(...cards.map(({ label, kind, text, size }) =>
    h("li", { class: kind }, h("b", null, label), h("span", null, text), h("small", null, size))));
}

function zoneCard(label) {
  const all = state.offices.filter((office) => office.zone_label === label);
  if (!all.length) return null;
  const readings = all.map((office) => reading(office.window));
  const open = readings.filter((one) => one.state === "open").length;
  const next_ms = Math.min(...readings.filter((one) => one.at_ms && one.state !== "open").map((one) => one.at_ms));
  const zone = all[0].timezone;
  const next = Number.isFinite(next_ms) ? `${shortDate(next_ms, zone)}, ${clockTime(next_ms, zone)}` : t("zone_none");
  const text = open === all.length ? t("zone_all_open") : open ? t("zone_open", count(open)) : next;
  return { label, kind: open ? "open" : "shut", text, size: t("zone_offices", count(all.length)) };
}

/* The chosen office --------------------------------------------------------------------------------------------- */

const cells = new Map();

function rebuildDetail() {
  cells.clear();
  const office = state.chosen;
  $("empty").hidden = office !== null;
  $("detail").hidden = office === null;
  $("office").setAttribute("aria-labelledby", office ? "detail-name" : "office-name");
  if (office === null) return;
  $("detail").replaceChildren(
    h("p", { class: "eyebrow" }, `${office.city}, ${office.province}`),
    h("h2", { id: "detail-name" }, office.short),
    h("p", { class: "quiet" }, t("detail_line", office.name, office.zone_label)),
    h("div", { class: "summary" }, h("p", { id: "total" }), h("p", { id: "updated", class: "live" })),
    h("p", { id: "next-step", class: "next-step", hidden: "" }),
    h("div", { id: "table" }, h("p", { class: "quiet" }, t("loading_places"))));
  if (state.availability) showAvailability();
}

function showAvailability() {
  const slots = state.availability.slots.filter((slot) => slot.channel === CHANNEL);
  if (slots.length !== cells.size || slots.some((slot) => !cells.has(slot.slot_id))) buildDays(slots);
  for (const slot of slots) fillCell(cells.get(slot.slot_id), slot);
  const free = slots.reduce((sum, slot) => sum + slot.free, 0);
  const capacity = slots.reduce((sum, slot) => sum + slot.capacity, 0);
  const planned = slots.every((slot) => slot.state === "not_open");
  setText($("total"), planned ? t("total_planned", count(capacity)) : t("total", count(free), count(capacity)));
  setText($("updated"), t("updated", exactTime(state.updated_ms, state.chosen.timezone), state.chosen.zone_label));
  showNextStep(slots);
  tick();
}

/** A week without a free place still has an answer: when the next one begins. */
function showNextStep(slots) {
  const soldOut = slots.length > 0 && slots.every((slot) => slot.state === "sold_out");
  const next = Date.parse(state.chosen.window?.next_opens_at);
  $("next-step").hidden = !soldOut;
  if (!soldOut) return;
  setText($("next-step"), next ? t("all_sold_out", moment(next, state.chosen)) : t("all_sold_out_no_next"));
  announce($("next-step").textContent);
}

function buildDays(slots) {
  cells.clear();
  if (!slots.length) return $("table").replaceChildren(h("p", { class: "quiet" }, t("no_slots")));
  const starts = (slot) => clockTime(Date.parse(slot.starts_at), state.chosen.timezone);
  const byTime = [...slots].sort((one, other) => starts(one).localeCompare(starts(other)));
  const sessions = [...new Map(byTime.map((slot) => [slot.session, slot])).values()];
  const dates = [...new Set(slots.map((slot) => slot.date))].sort();
  const heads = [t("day"), ...sessions.map(sessionName)].map((text) =>
    h("th", { role: "columnheader", scope: "col" }, text));
  const rows = dates.map((date) => dayRow(date, slots.filter((slot) => slot.date === date), sessions));
  $("table").replaceChildren(h("table", { role: "table" },
    h("caption", null, t("caption", state.chosen.zone_label)),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)),
    h("tbody", { role: "rowgroup" }, ...rows)));
}

function sessionName(slot) {
  const [starts, ends] = [slot.starts_at, slot.ends_at].map((iso) => clockTime(Date.parse(iso), state.chosen.timezone));
  return `${t(`session_${slot.session}`)} ${starts}–${ends}`;
}

function dayRow(date, slots, sessions) {
  const noon = Date.parse(`${date}T12:00:00Z`);
  const weekday = format(noon, "UTC", { weekday: "long" });
  const day = format(noon, "UTC", { day: "numeric", month: "long" });
  return h("tr", { role: "row" },
    h("th", { role: "rowheader", scope: "row" }, h("b", null, weekday), " ", h("span", null, day)),
    ...sessions.map(({ session }) =>
      h("td", { role: "cell" }, ...sessionCells(slots.filter((slot) => slot.session === session)))));
}

function sessionCells(slots) {
  if (!slots.length) return [];
  const rank = (slot) => SERVICES.indexOf(slot.service);
  const name = h("span", { class: "session", "aria-hidden": "true" }, sessionName(slots[0]));
  return [name, ...slots.sort((one, other) => rank(one) - rank(other)).map(slotCell)];
}

function slotCell(slot) {
  const cell = { free: h("b"), of: h("span", { class: "of" }), word: h("span", { class: "word" }), bar: h("i") };
  cell.root = h("div", { class: "slot", "data-slot": slot.slot_id },
    h("span", { class: "service" }, t(`service_${slot.service}`)), " ",
    h("span", { class: "number" }, cell.free, " ", cell.of),
    h("span", { class: "bar", "aria-hidden": "true" }, cell.bar), " ", cell.word);
  cells.set(slot.slot_id, cell);
  return cell.root;
}

function fillCell(cell, slot) {
  const shown = cell.root.dataset.state !== undefined;
  const changed = setText(cell.free, count(slot.free));
  setText(cell.of, t("of", count(slot.capacity)));
  setText(cell.word, t(`slot_${slot.state}`));
  cell.root.dataset.state = slot.state;
  cell.bar.style.width = `${slot.capacity ? (100 * slot.free) / slot.capacity : 0}%`;
  if (shown && changed && !STILL.matches) cell.root.animate(FLASH, { duration: 900 });
}

/* Activation ---------------------------------------------------------------------------------------------------- */

/** The link of the activation mail ends here. Doing it twice is doing it once, so a reload may try again. */
async function activate() {
  const token = location.hash.match(/^#activation=([\w-]+)$/)?.[1];
  if (!token) return;
  $("notice").hidden = false;
  $("notice-text").dataset.t = await activation(token);
  $("notice-text").textContent = t($("notice-text").dataset.t);
}

/** What to say about it. */
async function activation(token) {
  const headers = {
    "Content-Type": "application/json",
    "Accept-Language": state.language,
    "Idempotency-Key": `activate-${token.slice(0, 64)}`,
  };
  const options = { method: "POST", headers, body: JSON.stringify({ token }), signal: AbortSignal.timeout(DEADLINE_MS) };
  try {
    const response = await fetch("/v1/accounts/activation", options);
    if (response.status >= 500) return "activation_later";
    history.replaceState(null, "", location.pathname);
    return response.ok ? "activation_done" : "activation_refused";
  } catch {
    return "activation_later";
  }
}

/* Start --------------------------------------------------------------------------------------------------------- */

$("search").addEventListener("input", showOffices);
document.querySelector(".skip").addEventListener("click", (event) => {
  // The address is the office's: jumping there would choose another.
  event.preventDefault();
  $("office").focus();
});
$("fault-now").addEventListener("click", () => state.fault?.poll.start());
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => setLanguage(button.dataset.language));
}
addEventListener("hashchange", () => {
  choose();
  if (state.chosen) $("office").focus();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  officesPoll.start();
  if (state.chosen) availabilityPoll.start();
});

setLanguage(remembered() ?? (navigator.language.toLowerCase().startsWith("en") ? "en" : "id"));
officesPoll.start();
ticking();
activate();
