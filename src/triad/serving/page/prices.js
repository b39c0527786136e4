// Of a product that the shop sells: the best price within bounds, and its coming days.

import { ask, Lacking } from "./api.js";
import { at, button, el, fold, lacks, machine, money, note, percent, trouble } from "./dom.js";

const PICK = "Start from a product of the shop: this needs its log.";
const moved = share => `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)} %`;

export function advice(item) {
  if (!item) return at("advise").replaceChildren(note(PICK));
  const field = (id, words, value, more) => el("label", { htmlFor: id }, words, el("input", { id, type: "number", value, ...more }));
  const answer = el("div", { "aria-live": "polite" });
  const aim = el("select", { id: "aim" }, el("option", { value: "revenue" }, "revenue"), el("option", { value: "margin" }, "margin"));
  const cost = field("cost", "A unit costs, % of the price ", 60, { min: 1, max: 99 });
  cost.hidden = true;
  aim.addEventListener("change", () => { cost.hidden = aim.value !== "margin"; });
  const form = el("form", { className: "inline", onsubmit: event => { event.preventDefault(); tell(item, answer); } },
    field("lowest", "From, % of today’s price ", 80, { min: 1, max: 100, required: true }),
    field("highest", "to, % ", 120, { min: 100, max: 900, required: true }),
    el("label", { htmlFor: "aim" }, "for the best ", aim), cost, el("button", { type: "submit" }, "Advise"));
  at("advise").replaceChildren(form, answer);
}

async function tell(item, box) {
  const aim = at("aim").value, share = id => Number(at(id).value) / 100;
  box.replaceChildren(note("Reading what moved demand in the shop’s log …"));
  try {
    const told = await ask("advise", { item_ids: [item.item_id], lowest: share("lowest"), highest: share("highest"), aim,
      cost: aim === "margin" ? share("cost") : 0 });
    const [row] = told.items;
    box.replaceChildren(...(row.advised_cents === null
      ? [el("p", { className: "answer" }, el("b", {}, "Leave it as it is."), ` It sold at ${money(row.price_cents)} lately, and the log does not show that another price is better. `, machine())]
      : [el("p", { className: "answer" }, el("b", {}, money(row.advised_cents)), ` instead of ${money(row.price_cents)}, at which it sold lately `, machine()),
        note(`Best between ${money(row.best_low_cents)} and ${money(row.best_high_cents)}. ${aim === "margin" ? "Margin" : "Revenue"} ` +
          `${moved(row.gain)}, ${moved(row.gain_low)} to ${moved(row.gain_high)}, ${percent(row.level)} of the time.`)]),
    note(`${row.why.charAt(0).toUpperCase()}${row.why.slice(1)}.`));
  } catch (error) { box.replaceChildren(trouble(error)); }
}

// What would change a price.
export const otherwise = (said, row) => fold("What would change it?", "Asking the model …", async () => {
  const [{ changes }] = (await ask("price", { tables: { items: [said] }, changes: true })).rows;
  if (!changes.length) return [note("Nothing that was said of it moves the price.")];
  const figures = each => [money(each.price_cents), `${money(each.low_cents)} to ${money(each.high_cents)}`];
  return [el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "What would change the price" },
    el("table", {}, el("caption", {}, "The price, if … ", machine()),
      el("thead", {}, el("tr", {}, ["If …", "Price", "Interval"].map(name => el("th", { scope: "col" }, name)))),
      el("tbody", {}, [{ if: "it is as it is", ...row }, ...changes].map(each => el("tr", {},
        el("th", { scope: "row" }, each.if), figures(each).map(figure => el("td", {}, figure)))))))];
});

export function forecast(item, can) {
  if (!can) return at("forecast").replaceChildren(lacks("forecast"));
  if (!item) return at("forecast").replaceChildren(note(PICK));
  const answer = el("div", { "aria-live": "polite" });
  at("forecast").replaceChildren(button("Tell its coming days", () => coming(item, answer)), answer);
}

async function coming(item, box) {
  box.replaceChildren(note("Asking the model …"));
  try {
    const told = await ask("forecast", { item_ids: [item.item_id] });
    box.replaceChildren(...told.items.map(row => {
      const isPrice = /price/.test(row.task), figure = value => isPrice ? money(value) : (Math.round(10 * value) / 10).toLocaleString("en");
      return el("p", {}, el("b", {}, `${row.task.replaceAll("_", " ")}: ${figure(row.expected)}`), ` (${figure(row.low)} to ` +
        `${figure(row.high)}, ${percent(row.level)} of the time) in the ${row.days} days from ${row.from_day}; ${figure(row.before)} before. `, machine());
    }));
    if (!told.items.length) box.replaceChildren(note("Nobody saw or bought it lately, so nothing is told of it."));
  } catch (error) { box.replaceChildren(error instanceof Lacking ? lacks("forecast") : trouble(error)); }
}
