// What a browser adds to pages that work without it: keys, and tables that keep themselves fresh.
"use strict";

const table = document.getElementById("tabla");
const panel = document.getElementById("panel");
const dialog = document.getElementById("teclas");
const links = () => [...document.querySelectorAll("#tabla .row-link, main .rows .row-link")].filter((link, at, all) => all.indexOf(link) === at);

// Keys.

const wanted = document.getElementById("teclas-activas");
const keysOn = () => {
  try { return localStorage.getItem("almena-keys") !== "off"; } catch { return true; }
};

function move(step) {
  const all = links();
  if (!all.length) return;
  const row = document.activeElement?.closest?.("tr");
  let at = row ? all.findIndex((link) => row.contains(link)) : -1;
  if (at < 0) at = all.findIndex((link) => link.closest("tr").classList.contains("selected"));
  const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1);
  all[next].focus();
  all[next].scrollIntoView({ block: "nearest" });
}

function acknowledge() {
  const row = document.activeElement?.closest?.("#tabla tr");
  const place = row ?? panel ?? document.querySelector("article");
  place?.querySelector("[data-acknowledge]")?.click();
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  a: acknowledge,
  "/": () => document.getElementById("q")?.focus(),
  "?": () => dialog.showModal(),
  Escape: () => document.getElementById("cerrar-panel")?.click(),
};

if (dialog) {
  wanted.checked = keysOn();
  wanted.addEventListener("change", () => {
    try { localStorage.setItem("almena-keys", wanted.checked ? "on" : "off"); } catch { /* this visit only */ }
  });
  const opener = document.querySelector("[data-keys-open]");
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat && event.key === "a") return;
    if (dialog.open || !Object.hasOwn(keys, event.key)) return;
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key !== "Escape" && !keysOn()) return;
    event.preventDefault();
    keys[event.key]();
  });
}

// A panel that was opened is where reading goes on.

if (panel) panel.focus({ preventScroll: true });

// Fresh tables.

const said = document.getElementById("vivo");
const pause = document.getElementById("pausa");
let paused = false;
let hovered = false;

const say = (text) => { if (said && said.textContent !== text) said.textContent = text; };

// A row is being read while the mouse is over it, the focus is in it, or its panel is open.
const held = () => hovered || panel !== null || table.contains(document.activeElement);

async function refresh() {
  if (document.hidden || paused || held()) {
    if (!document.hidden) say(paused ? said?.dataset.paused : said?.dataset.held);
    return true;
  }
  const answer = await fetch(table.dataset.address, { headers: { accept: "text/html" }, redirect: "error" });
  if (answer.status === 401) {
    say(said?.dataset.ended);
    return false;
  }
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (held()) return true;
  const known = new Set([...table.querySelectorAll("tr[data-id]")].map((row) => row.dataset.id));
  const rows = [...fresh.querySelectorAll("tr[data-id]")].filter((row) => !known.has(row.dataset.id));
  for (const row of rows) row.classList.add("new");
  table.replaceChildren(...fresh.body.childNodes);
  say(rows.length && said ? `${said.dataset.new} ${rows.length}` : said?.dataset.live);
  return true;
}

async function keepFresh() {
  const every = Math.max(Number(table.dataset.refresh) || 5, 1) * 1000;
  for (let going = true; going; ) {
    await new Promise((done) => setTimeout(done, every));
    try {
      going = await refresh();
    } catch {
      say(said?.dataset.lost);
    }
  }
}

if (table?.dataset.address) {
  table.addEventListener("pointerenter", () => { hovered = true; });
  table.addEventListener("pointerleave", () => { hovered = false; });
  if (pause) {
    pause.closest(".live").hidden = false;
    say(said.dataset.live);
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      say(paused ? said.dataset.paused : said.dataset.live);
    });
  }
  keepFresh();
}
