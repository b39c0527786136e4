// A merchant's view: the night's verdict, versions, what made one, its report, and the way back.

import { ask, text, useKey } from "./api.js";
import { at, button, el, note, say, trouble } from "./dom.js";
import * as overall from "./overall.js";

let told = null, target = null;

export function begin(shop) {
  verdict(shop);
  overall.begin();
  at("report").addEventListener("toggle", () => {
    if (at("report").open) at("report-frame").src ||= `merchant/report/${shop.version}`;
  });
  at("back-form").addEventListener("submit", event => { event.preventDefault(); rollBack(); });
  at("back-cancel").addEventListener("click", () => at("back").close());
}

function verdict(shop) {
  const { verdict: word, reasons = [] } = shop.verdict;
  at("verdict").textContent = word ? `${word}: version ${shop.version} ${word === "PASS" ? "may serve." : "was held back."}`
    : "No verdict lies with this version.";
  at("verdict").className = word === "PASS" ? "verdict pass" : "verdict";
  at("reasons").replaceChildren(...reasons.map(reason => el("li", {}, reason)));
}

export async function look() {
  try {
    told = await ask("merchant");
    at("versions").replaceChildren(table());
    at("delivery").textContent = told.delivery ?? "";
    if (told.delivery === "Its lists are being made.") setTimeout(look, 3000);
  } catch (error) { at("versions").replaceChildren(trouble(error)); }
}

const day = moment => (moment || "").slice(0, 16).replace("T", " ");
const COLUMNS = ["Version", "Verdict", "Data as of", "Promoted", ""];

function table() {
  return el("table", {}, el("caption", {}, `Versions of the model ${told.model}`),
    el("thead", {}, el("tr", {}, COLUMNS.map(name => el("th", { scope: "col" }, name || el("span", { className: "unseen" }, "What to do"))))),
    el("tbody", {}, told.versions.map(each => el("tr", { className: each.serves ? "serves" : "" },
      el("th", { scope: "row" }, each.version, each.serves ? el("span", { className: "tag" }, "serves") : null),
      el("td", {}, each.verdict), el("td", {}, each.as_of),
      el("td", {}, each.promoted_at ? day(each.promoted_at) : "never", each.rolled_back_at ? `, rolled back ${day(each.rolled_back_at)}` : ""),
      el("td", {}, el("div", { className: "doing" },
        button("What made it", () => why(each.version), { "aria-label": `What made it: version ${each.version}` }),
        each.promoted_at && !each.serves ? back(each) : null))))));
}

function back(each) {
  const words = each.rolled_back_at ? "Let it serve again …" : "Roll back to it …";
  return button(words, () => confirmBack(each.version), { "aria-label": `${words}: version ${each.version}` });
}

async function why(version) {
  at("why-title").textContent = `What made version ${version}`;
  at("why-text").textContent = "Reading its lineage …";
  at("why").hidden = false;
  try { at("why-text").textContent = await text(`merchant/why/${version}`); } catch (error) { at("why-text").textContent = error.message; }
  at("why-title").focus();
}

function confirmBack(version) {
  target = version;
  const serves = told.versions.find(each => each.serves);
  at("back-words").textContent = `Version ${version} will answer every customer in place of version ${serves?.version ?? "?"}. ` +
    "Its lists are then made again and delivered, which takes a minute or so.";
  at("back-state").replaceChildren(told.may_roll_back ? "" : note("This service was started without a key, so nobody can roll back here. ",
    "Set TRIAD_SERVE_KEY and start it again, or run ", el("code", {}, `triad rollback --to ${version}`), "."));
  for (const id of ["back-sure", "back-key", "back-do"]) at(id).disabled = !told.may_roll_back;
  at("back-sure").checked = false;
  at("back-key").value = "";
  at("back").showModal();
}

async function rollBack() {
  const serves = told.versions.find(each => each.serves);
  if (!at("back-sure").checked || !at("back-key").value) return;
  useKey(at("back-key").value);
  at("back-do").disabled = true;
  at("back-state").textContent = "Rolling back …";
  try {
    const done = await ask("merchant/rollback", { instead_of: serves.version, to: target });
    at("back").close();
    say(done.told);
    at("moved").textContent = `${done.told} The service loads it within seconds; then load this page again.`;
    look();
  } catch (error) {
    at("back-state").replaceChildren(trouble(error));
    at("back-do").disabled = false;
  }
}
