// An item: as a card of the list, as a line, and by itself with what goes with it.

import { ask, picture } from "./api.js";
import { at, button, el, lacks, machine, money, note, percent, trouble } from "./dom.js";

const name = item => item.title || item.item_id;
const about = item => [item.category, item.brand, money(item.price_cents)].filter(Boolean).join(" · ");

// Titles are no words of this page's, so a screen reader is told of pictures by them and nothing else.
export function image(item, size = 96) {
  const box = el("span", { className: "picture", "aria-hidden": "true" });
  box.style.width = box.style.height = `${size}px`;
  const drawn = el("img", { alt: "", width: size, height: size, loading: "lazy" });
  drawn.addEventListener("error", () => box.replaceChildren(name(item).charAt(0).toUpperCase()));
  box.append(drawn);
  picture(item.item_id).then(source => { drawn.src = source; }, () => drawn.dispatchEvent(new Event("error")));
  return box;
}

export const naming = (item, act) => button(name(item), () => act(item, "click"), { className: "link" });

export function row(item, act, more = "") {
  return el("li", { className: "row" }, image(item, 44), el("div", {}, naming(item, act),
    el("div", { className: "about" }, about(item) + more)));
}

export function card(item, { act, why, move, isNew }) {
  const told = el("div", { className: "why", hidden: true }, ...why);
  const asked = button("Why this?", () => {
    told.hidden = !told.hidden;
    asked.setAttribute("aria-expanded", String(!told.hidden));
  }, { "aria-expanded": "false", "aria-label": `Why this? ${name(item)}` });
  return el("li", { className: "card" },
    el("div", { className: "head" }, image(item), el("div", {}, el("h3", {}, naming(item, act)),
      el("p", { className: "about" }, about(item)), moved(move, isNew))),
    el("p", { className: "reason" }, item.reason.charAt(0).toUpperCase() + item.reason.slice(1)),
    el("div", { className: "doing" },
      button("Add to cart", () => act(item, "cart"), { "aria-label": `Add to cart: ${name(item)}` }),
      button("Buy", () => act(item, "purchase"), { "aria-label": `Buy: ${name(item)}` }), asked), told);
}

function moved(by, isNew) {
  if (by === null || (!isNew && !by)) return null;
  const words = isNew ? "new in the list" : by > 0 ? `up ${by}` : `down ${-by}`;
  return el("span", { className: `moved ${isNew || by > 0 ? "up" : "down"}` }, words);
}

// What an item's score rests on: what the customer did, and the models; where a re-ranker ordered the list, also that.
export function whyOf(item, sums) {
  const score = item.score === null ? "" : ` ${item.score.toPrecision(3)}`, all = [item.because, item.why, item.why_found];
  const whole = sums === "score" ? `its score${score}` : `the log odds of its score${score}`;
  return [
    item.explored ? note("Drawn at random among new items, so that the next night learns of it.") : null,
    ...bars(item.because, `What the customer did, which adds up to ${whole}:`),
    ...bars(item.why, `What the models say, which adds up to ${whole}:`),
    ...bars(item.why_found, "What brought it into the list:"),
    all.some(parts => parts?.length) ? null : note("Its parts are not known."),
  ].filter(Boolean);
}

const FIRST = 5; // parts that are told one by one

export function bars(parts, title) {
  if (!parts?.length) return [];
  const some = parts.length > FIRST + 1 ? parts.slice(0, FIRST) : parts, rest = parts.slice(some.length);
  const together = { words: `${rest.length} smaller ones together`, value: rest.reduce((sum, part) => sum + part.value, 0) };
  const told = rest.length ? [...some, together] : some;
  const most = Math.max(...told.map(part => Math.abs(part.value)), 1e-12);
  return [el("p", { className: "why-title" }, title), el("ul", { className: "bars" }, told.map(part => {
    const bar = el("span", { className: `bar ${part.value < 0 ? "minus" : ""}`, "aria-hidden": "true" });
    bar.style.width = `${Math.max(1, 100 * Math.abs(part.value) / most)}%`;
    const figure = `${part.value < 0 ? "−" : "+"}${Math.abs(part.value).toPrecision(2)}`;
    return el("li", {}, el("span", { className: "part" }, part.words), el("span", { className: "figure" }, figure), bar);
  }))];
}

let shown = null; // whose window is open

export async function openItem(item, can, act, customer) {
  const dialog = at("item"), body = at("item-body");
  shown = item.item_id;
  at("item-title").textContent = name(item);
  const about_ = el("p", { className: "about" }, about(item)), words = el("div", { className: "words" });
  const changes = el("div", {});
  body.replaceChildren(
    el("div", { className: "item-head" }, image(item, 192), el("div", {}, about_, words, el("div", { className: "doing" },
      button("Add to cart", () => act(item, "cart")), button("Buy", () => act(item, "purchase")),
      button("What would change its chances?", event => change(item, changes, customer(), event.currentTarget)))), changes),
    list("similar_items", "Similar items", item, can, act), list("bought_together", "Bought together", item, can, act));
  if (!dialog.open) dialog.showModal();
  at("item-title").focus();
  dialog.scrollTop = 0;
  try {
    const told = await ask(`shop/item?item_id=${encodeURIComponent(item.item_id)}`);
    if (shown !== item.item_id) return;
    words.replaceChildren(told.description ? el("p", {}, told.description) : "", facts(told.attributes));
  } catch (error) { words.replaceChildren(trouble(error)); }
}

function facts(json) {
  try {
    const pairs = Object.entries(JSON.parse(json || "{}")).slice(0, 12);
    return pairs.length ? el("dl", { className: "facts" }, pairs.flatMap(([key, value]) =>
      [el("dt", {}, key.replaceAll("_", " ")), el("dd", {}, String(value))])) : "";
  } catch { return ""; }
}

function list(by, title, item, can, act) {
  const rows = el("ol", { className: "rows" });
  const section = el("section", { "aria-label": title }, el("h3", {}, title, " ", machine()), rows);
  if (!can[by]) {
    rows.replaceWith(lacks(`list “${title.toLowerCase()}”`, "Set recommend.page_items above 0."));
    return section;
  }
  ask("similar", { item_id: item.item_id, k: 6, by }).then(told => {
    rows.replaceChildren(...told.items.map(other =>
      row(other, act, other.visits ? ` · ${other.visits} visits held both` : "")));
    if (!told.items.length) rows.replaceWith(note("There are none for this item."));
  }, error => rows.replaceWith(trouble(error)));
  return section;
}

async function change(item, box, customer, pressed) {
  pressed.disabled = true;
  try {
    const told = await ask("score", { ...customer, items: [{ item_id: item.item_id, position: 5 }], changes: true });
    const [scored] = told.items, tasks = Object.keys(scored.changes[0] || {}).filter(task => task !== "if");
    if (!tasks.length) return box.replaceChildren(note("Nothing that the model knows would change it."));
    box.replaceChildren(el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "What would change it" },
      el("table", {}, el("caption", {}, "Its chances in the fifth place of a page, and what would change them ", machine()),
        el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Were it …"), tasks.map(task => el("th", { scope: "col" }, task)))),
        el("tbody", {}, [{ if: "as it is", ...scored }, ...scored.changes].map(each => el("tr", {},
          el("th", { scope: "row" }, each.if), tasks.map(task => el("td", {}, chance(each[task])))))))));
  } catch (error) { box.replaceChildren(trouble(error)); } finally { pressed.disabled = false; }
}

const chance = value => value === null || value === undefined ? "" : value < 0.1 ? `${(100 * value).toFixed(2)} %` : percent(value);

at("item-close").addEventListener("click", () => at("item").close());
at("item").addEventListener("close", () => {
  shown = null;
  const focused = document.activeElement; // the browser gives it back to what was pressed, unless that is gone
  if (focused === document.body || at("item").contains(focused)) at("list-title").focus({ preventScroll: true });
});
at("item").addEventListener("click", event => { if (event.target === at("item")) at("item").close(); }); // beside it
