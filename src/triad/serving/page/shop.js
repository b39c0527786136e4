// A shopper's home: the list of a customer, what changes it, and search as one types.

import { ask, Lacking } from "./api.js";
import { at, el, fold, lacks, later, note, say, times, trouble } from "./dom.js";
import { bars, card, naming, openItem, row, whyOf } from "./item.js";

const NEW = "somebody new";
const done = {}; // customer → what was done on this page
let before = [], listing = 0, searching = 0, can = {};

const who = () => at("other").value.trim() || at("customer").value;
export const events = () => done[who()] || [];

export function begin(shop) {
  can = shop.can;
  at("customer").replaceChildren(el("option", { value: NEW }, "Somebody new, of whom nothing is known"),
    ...shop.customers.map(each => el("option", { value: each.user_id }, `${each.user_id} · ${times(each.events, "event")}`)));
  if (shop.customers.length) at("customer").selectedIndex = 1;
  at("customer").addEventListener("change", () => { at("other").value = ""; greet(); });
  at("other").addEventListener("change", greet);
  at("forget").addEventListener("click", () => { delete done[who()]; list(); });
  if (can.search) {
    at("query").addEventListener("input", later(search));
    at("search").addEventListener("submit", event => { event.preventDefault(); search(); });
  } else {
    at("query").disabled = true;
    at("search-state").replaceChildren(lacks("search"));
  }
  greet();
}

async function greet() {
  before = [];
  list();
  const mine = who(), box = at("lately");
  if (mine === NEW) return box.replaceChildren("The model has never seen this customer. What you do here is all it knows.");
  try {
    const told = await ask(`shop/customer?user_id=${encodeURIComponent(mine)}`);
    if (mine !== who()) return;
    if (!told.is_known) return box.replaceChildren("The night’s tables do not know this customer.");
    const once = new Map(told.lately.map(each => [each.kind + each.item_id, each])); // a thing done again is told once
    box.replaceChildren(el("ul", { className: "lately", "aria-label": "What this customer did lately" }, el("li", {}, "Lately:"),
      ...[...once.values()].slice(0, 6).map(each => el("li", {}, `${DEEDS[each.kind]} `, naming(each, act)))));
  } catch (error) { box.replaceChildren(error.message); }
}

const DEEDS = { click: "looked at", cart: "put in the cart", purchase: "bought", impression: "saw" };

async function list() {
  const mine = ++listing, customer = who(), since = events();
  at("list-state").textContent = "Asking the model …";
  at("forget").hidden = !since.length;
  const begun = performance.now();
  try {
    const told = await ask("recommend", { user_id: customer, k: 12, events: since, why: true });
    if (mine !== listing) return; // a later one was asked for
    show(told, Math.round(performance.now() - begun));
  } catch (error) {
    if (mine === listing) at("list-state").replaceChildren(trouble(error));
  }
}

function show(told, took) {
  const focused = at("list").contains(document.activeElement), order = told.items.map(item => item.item_id);
  const fresh = before.length ? order.filter(id => !before.includes(id)).length : 0;
  const since = events().length ? ` after ${times(events().length, "thing")} done here` : "";
  const changed = before.length ? `, ${fresh} of them new to the list` : "";
  at("list-state").textContent = `${times(told.items.length, "item")}${since}${changed}. Answered in ${took} ms.`;
  at("list").replaceChildren(...told.items.map(item => card(item, {
    act, move: before.length ? before.indexOf(item.item_id) + 1 - item.rank : null,
    isNew: before.length > 0 && !before.includes(item.item_id), why: whyOf(item, told.why_sums_to) })));
  if (!order.length) at("list").append(note("The model lists nothing for this customer."));
  say(at("list-state").textContent);
  if (focused) at("list-title").focus({ preventScroll: true }); // the button that was pressed went
  before = order;
}

export function act(item, kind) {
  const mine = done[who()] ||= [];
  if (mine.length < 500) mine.push({ item_id: item.item_id, kind });
  list();
  if (kind === "click") openItem(item, can, act, () => ({ user_id: who(), events: events() }));
  else say(`${kind === "cart" ? "Put in the cart" : "Bought"}: ${item.title || item.item_id}.`);
}

async function search() {
  const mine = ++searching, query = at("query").value.trim();
  if (!query) {
    at("found").replaceChildren();
    at("search-state").textContent = "";
    return;
  }
  if (!at("found").childElementCount) at("search-state").textContent = "Searching …";
  try {
    const told = await ask("search", { query, k: 8 });
    if (mine !== searching) return;
    const words = { popular: "Nothing matches these words. This is popular:", corrected: "After a spelling correction:",
      "some words": "Some of the words match:", number: "The product of this number:", "all words": "All words match:" };
    at("search-state").textContent = told.items.length ? words[told.match] || told.match : "Nothing was found.";
    at("found").replaceChildren(...told.items.map(item => row(item, act)));
    if (told.items.length && !["popular", "number"].includes(told.match)) at("found").append(byWords(query));
    say(`${times(told.items.length, "product")}. ${at("search-state").textContent}`);
  } catch (error) {
    if (mine !== searching) return;
    at("found").replaceChildren();
    at("search-state").replaceChildren(error instanceof Lacking ? lacks("search") : trouble(error));
  }
}

// Which of the typed words each product rests on.
function byWords(query) {
  return el("li", { className: "words" }, fold("Why these?", "Asking the model without some of the words …", async () => {
    const told = await ask("search", { query, k: 3, why: true });
    return told.items.flatMap(item => bars(item.because, `What the score of ${item.title || item.item_id} rests on:`));
  }));
}

at("clear").addEventListener("click", () => { at("query").value = ""; search(); at("query").focus(); });
