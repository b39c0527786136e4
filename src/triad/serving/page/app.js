"use strict";
const at = id => document.getElementById(id);
const events = {}; // customer → what was done on this page
let shop = null, listing = 0, searching = 0;

function made(tag, text, more = {}) {
  const node = Object.assign(document.createElement(tag), more);
  if (text !== undefined) node.textContent = text; // never as HTML: titles and messages are the shop's and the customers'
  return node;
}

async function ask(path, body) {
  const said = await fetch(path, body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const told = await said.json();
  if (!said.ok) throw new Error(`${told.what}. ${told.mend}.`);
  return told;
}

const price = item => item.price_cents === null ? "" : (item.price_cents / 100).toFixed(2);
const about = item => [item.category, item.brand, price(item)].filter(Boolean).join(" · ");
const customer = () => at("customer").value;

async function list() {
  const mine = ++listing, who = customer(), done = events[who] || [];
  at("list-state").textContent = "Asking …";
  try {
    const begun = performance.now();
    const told = await ask("recommend", { user_id: who, k: 12, events: done, why: true });
    if (mine !== listing) return; // a later one was asked for
    const took = Math.round(performance.now() - begun);
    const since = done.length ? `, after ${done.length} thing${done.length > 1 ? "s" : ""} done here` : "";
    at("list-state").textContent = `${told.items.length} items${since}. Answered in ${took} ms.`;
    const held = at("list").contains(document.activeElement); // the button that was pressed goes
    at("list").replaceChildren(...told.items.map(item => card(item, told.why_sums_to)));
    if (held) at("list-title").focus({ preventScroll: true });
  } catch (error) {
    if (mine === listing) at("list-state").textContent = `No list: ${error.message}`;
  }
}

function card(item, sums) {
  const node = made("li"), doing = made("div", undefined, { className: "doing" });
  const told = made("div", undefined, { className: "why", hidden: true });
  const why = button("Why this?", `Why this? ${item.title || item.item_id}`, () => {
    told.hidden = !told.hidden;
    why.setAttribute("aria-expanded", String(!told.hidden));
  });
  why.setAttribute("aria-expanded", "false");
  for (const [name, kind] of [["View", "click"], ["Cart", "cart"], ["Buy", "purchase"]])
    doing.append(button(name, `${name}: ${item.title || item.item_id}`, () => act(item, kind)));
  doing.append(why);
  parts(told, item.why, `The score ${item.score === null ? "" : item.score.toPrecision(3)} is the sum of these${
    sums === "score" ? "" : " (as log odds)"}:`);
  if (item.why_found.length) parts(told, item.why_found, "What brought it among the candidates:");
  if (item.explored) told.append(made("p", "Drawn at random among new items, so that the next night learns of it."));
  node.append(made("h3", item.title || item.item_id), made("p", about(item), { className: "about" }),
    made("p", item.reason.charAt(0).toUpperCase() + item.reason.slice(1), { className: "reason" }), doing, told);
  return node;
}

function parts(node, all, title) {
  const most = Math.max(...all.map(part => Math.abs(part.value)), 1e-12), rows = made("ul");
  for (const part of all) {
    const row = made("li", `${part.value >= 0 ? "+" : "−"}${Math.abs(part.value).toPrecision(3)} ${part.words}`);
    const meter = made("meter", undefined, { min: 0, max: most, value: Math.abs(part.value) });
    meter.setAttribute("aria-hidden", "true");
    row.append(meter);
    rows.append(row);
  }
  node.append(made("div", all.length ? title : "Nothing is known of its parts."), rows);
}

function button(text, label, act) {
  const node = made("button", text, { type: "button" });
  node.setAttribute("aria-label", label);
  node.addEventListener("click", act);
  return node;
}

function act(item, kind) {
  const done = events[customer()] ||= [];
  if (done.length < 500) done.push({ item_id: item.item_id, kind });
  list();
  if (kind === "click") similar(item);
}

async function similar(item) {
  at("similar-state").textContent = `Like ${item.title || item.item_id}:`;
  if (!at("list").contains(document.activeElement)) at("similar-title").focus();
  await fill("similar", "similar-state", ask("similar", { item_id: item.item_id, k: 8 }),
    other => other.visits ? ` · ${other.visits} visits held both` : "");
}

async function fill(id, state, answer, more) {
  try {
    const told = await answer;
    at(id).replaceChildren(...told.items.map(item => {
      const row = made("li"), view = made("button", item.title || item.item_id, { type: "button", className: "link" });
      view.addEventListener("click", () => act(item, "click"));
      row.append(view, made("div", about(item) + more(item), { className: "about" }));
      return row;
    }));
    return told;
  } catch (error) {
    at(id).replaceChildren();
    at(state).textContent = error.message;
  }
}

async function search() {
  const mine = ++searching, query = at("query").value;
  if (!query.trim()) { at("found").replaceChildren(); at("search-state").textContent = ""; return; }
  const answer = ask("search", { query, k: 8 });
  await answer.catch(() => 0);
  if (mine !== searching) return;
  const told = await fill("found", "search-state", answer, () => "");
  if (told) at("search-state").textContent = told.match === "popular"
    ? "Nothing matched. These are popular:" : `${told.items.length} found (${told.match}):`;
}

async function chat(event) {
  event.preventDefault();
  const text = at("message").value.trim();
  if (!text) return;
  at("chat").append(made("li", `You: ${text}`, { className: "mine" }));
  at("message").value = "";
  try {
    const [row] = (await ask("answer", { messages: [{ message_id: "page", message: text }] })).answers;
    const tasks = Object.keys(row).filter(name => `${name}_score` in row);
    for (const task of tasks) at("chat").append(made("li", row[task] === null
      ? `${task}: not sure enough to say (${Math.round(100 * row[`${task}_score`])} % sure)`
      : `${task}: ${row[task]} (${Math.round(100 * row[`${task}_score`])} % sure)`));
  } catch (error) { at("chat").append(made("li", error.message)); }
}

function off(input, state, text) {
  at(input).disabled = true;
  at(state).before(made("p", text, { className: "note" }));
}

async function begin() {
  try { shop = await ask("shop"); } catch (error) { at("serves").textContent = error.message; return; }
  at("serves").textContent = `Version ${shop.version} serves, as of ${shop.as_of.slice(0, 10)}.`;
  at("customer").replaceChildren(...shop.customers.map(name => made("option", name, { value: name })));
  if (!shop.can.search) off("query", "search-state", "The model that serves has not learned to search.");
  if (!shop.can.answer) { off("message", "chat", "The model that serves has not learned to answer messages.");
    at("ask").querySelector("button").disabled = true; }
  const verdict = shop.verdict.verdict;
  at("verdict").textContent = verdict ? `${verdict}: the model ${verdict === "PASS" ? "may serve." : "was held back."}`
    : "No verdict lies with this version.";
  at("verdict").className = verdict === "PASS" ? "verdict-pass" : "verdict-fail";
  at("reasons").replaceChildren(...(shop.verdict.reasons || []).map(reason => made("li", reason)));
  list();
}

at("customer").addEventListener("change", list);
at("reset").addEventListener("click", () => { delete events[customer()]; list(); });
at("query").addEventListener("input", () => { clearTimeout(search.timer); search.timer = setTimeout(search, 120); });
at("ask").addEventListener("submit", chat);
begin();
