// Customer service: messages, and what the model answers, with its source; or that it is not sure enough to.

import { ask } from "./api.js";
import { at, button, el, lacks, machine, percent, trouble } from "./dom.js";
import { bars } from "./item.js";

const TRY = ["Does the desk lamp come with a warranty?", "How do I send a jacket back?", "The lamp arrived broken",
  "Please cancel my order", "Where is my parcel?", "Who won the match yesterday?"];
let thresholds = {}, sent = 0;

export function begin(shop) {
  thresholds = shop.thresholds;
  if (!shop.can.answer) {
    at("chat").replaceChildren(lacks("customer service"));
    for (const node of at("ask").elements) node.disabled = true;
    return;
  }
  at("try").replaceChildren(el("span", { id: "try-title" }, "Try:"),
    ...TRY.map(words => button(words, () => send(words), { className: "chip" })));
  at("ask").addEventListener("submit", event => {
    event.preventDefault();
    const words = at("message").value.trim();
    at("message").value = "";
    if (words) send(words);
  });
}

async function send(words) {
  add("mine", el("p", {}, el("b", {}, "You: "), words));
  try {
    const told = await ask("answer", { messages: [{ message_id: `page-${++sent}`, message: words }], why: true });
    add("theirs", ...reply(told.answers[0]));
  } catch (error) { add("theirs", trouble(error)); }
}

function add(whose, ...inside) {
  at("chat").append(el("div", { className: `message ${whose}` }, ...inside));
  at("chat").scrollTop = at("chat").scrollHeight;
}

// A task with a source is a reply that the shop gave before; the others say what was meant.
function reply(row) {
  const tasks = Object.keys(row).filter(name => `${name}_score` in row), replies = tasks.filter(name => `${name}_source` in row);
  const nodes = replies.flatMap(task => row[task] === null ? refusal(task, row) : [
    el("p", {}, el("b", {}, "Shop: "), row[task], " ", machine("machine-chosen")),
    el("p", { className: "note" }, `Given before to a like message${row[`${task}_source`] ? ` (${row[`${task}_source`]})` : ""}. `,
      sure(task, row)), carried(row.because?.[task])]);
  const meant = tasks.filter(name => !replies.includes(name)).map(task => el("p", { className: "note" },
    row[task] === null ? `${label(task)}: not sure enough to say. ${sure(task, row)}`
      : `${label(task)}: ${row[task].replaceAll("_", " ")}. ${sure(task, row)}`));
  return [...nodes, ...meant];
}

// Which of the message's words the confidence rests on.
function carried(parts) {
  if (!parts?.length) return "";
  return el("details", {}, el("summary", {}, "Why this answer?"), ...bars(parts, "What its confidence is made of, by words of the message:"));
}

const refusal = (task, row) => [
  el("p", {}, el("b", {}, "Shop: "), "I am not sure enough to answer this, so a person will. ", machine("refused")),
  el("p", { className: "note" }, sure(task, row))];

function sure(task, row) {
  const needed = thresholds[task];
  return `${percent(row[`${task}_score`])} sure${needed === undefined ? "" : `; it answers from ${percent(needed)} on`}.`;
}

const label = task => task === "intent" ? "Understood as" : task.charAt(0).toUpperCase() + task.slice(1).replaceAll("_", " ");
