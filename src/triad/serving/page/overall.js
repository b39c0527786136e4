// What scores rest on over all customers, and how they go with the price and with time away.

import { ask } from "./api.js";
import { at, el, machine, note, percent, trouble } from "./dom.js";

export function begin() {
  const box = at("overall-body");
  at("overall").addEventListener("toggle", async () => {
    if (!at("overall").open || box.childElementCount) return;
    box.replaceChildren(note("Asking the model …"));
    try {
      const { tasks } = await ask("importance");
      box.replaceChildren(...tasks.flatMap(shown));
      if (!tasks.length) box.replaceChildren(note("The last days of the log show nothing to ask about."));
    } catch (error) { box.replaceChildren(trouble(error)); }
  });
}

const shown = each => [el("h4", {}, each.task.replaceAll("_", " "), " ", machine()),
  table("How far the scores move where this is another customer’s or item’s", "What", "Moved by", each.rests_on.map(row => [row.of, percent(row.value)])),
  table("The mean chance, were all prices other ones", "Times the price", "Chance", each.by_price.map(row => [row.at, chance(row.value)])),
  each.by_time_away.length ? table("The mean chance, had all customers been away so long", "Time away", "Chance",
    each.by_time_away.map(row => [row.after, chance(row.value)])) : ""];

const chance = value => `${(100 * value).toFixed(2)} %`;

const table = (title, what, figure, rows) => el("table", { className: "short" }, el("caption", {}, title),
  el("thead", {}, el("tr", {}, el("th", { scope: "col" }, what), el("th", { scope: "col" }, figure))),
  el("tbody", {}, rows.map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value)))));
