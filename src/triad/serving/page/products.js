// The product desk: say what a product is, and the model tells its price, its texts and its classes.

import { ask, dataOf, Lacking, picture } from "./api.js";
import { at, button, el, lacks, later, machine, money, note, percent, say, trouble } from "./dom.js";
import { why } from "./patches.js";
import { advice, forecast, otherwise } from "./prices.js";
import { scale } from "./scale.js";

const SIDE = 512; // pixels of a picture that is sent: a request holds 256 KiB
const PARTS = { price: ["price check"], describe: ["description writer", "The command `triad describe` teaches one."],
  classify: ["picture classifier"] };
let can = {}, chosen = null, image = "", asking = 0;

export function begin(shop) {
  can = shop.can;
  at("categories").replaceChildren(...shop.categories.map(value => el("option", { value })));
  at("brands").replaceChildren(...shop.brands.map(value => el("option", { value })));
  for (const [part, words] of Object.entries(PARTS))
    if (!can[part]) at(part).replaceChildren(lacks(...words));
  at("pick").addEventListener("input", later(find));
  at("product").addEventListener("submit", event => { event.preventDefault(); tell(); });
  at("product").addEventListener("reset", () => { choose(null); keep(""); });
  at("picture").addEventListener("change", event => upload(event.target.files[0]));
  at("no-picture").addEventListener("click", () => { keep(""); at("picture").value = ""; });
  for (const name of ["tone", "length"]) at(name).addEventListener("change", () => write(product()));
  choose(null);
  find();
}

async function find() {
  try {
    const told = await ask(`shop/products?k=8&like=${encodeURIComponent(at("pick").value)}`);
    at("picked").replaceChildren(...told.items.map(item =>
      el("li", {}, button(item.title || item.item_id, () => take(item), { className: "link" }))));
    if (!told.items.length) at("picked").append(el("li", {}, "No title holds these words."));
  } catch (error) { at("picked").replaceChildren(el("li", {}, error.message)); }
}

async function take(item) {
  try {
    const told = await ask(`shop/item?item_id=${encodeURIComponent(item.item_id)}`);
    const form = at("product").elements;
    for (const name of ["title", "category", "brand", "description"]) form[name].value = told[name] || "";
    form.attributes.value = lines(told.attributes);
    choose(told);
    keep("");
    if (told.has_picture) await picture(told.item_id).then(asData).then(keep, () => keep(""));
    await tell();
  } catch (error) { say(error.message); }
}

const asData = async source => source.startsWith("data:") ? source : dataOf(await (await fetch(source)).blob());

// A product of the shop has a log, from which prices are advised and demand is told.
function choose(item) {
  chosen = item;
  at("chosen").textContent = item ? `From the shop: ${item.title || item.item_id} (${item.item_id})` +
    `${item.price_cents === null ? "" : `, list price ${money(item.price_cents)}`}` : "A product of your own.";
  advice(item);
  forecast(item, can.forecast);
}

function keep(data) {
  image = data;
  at("preview").replaceChildren(data ? el("img", { src: data, alt: "The picture that is sent", width: 96, height: 96 })
    : el("span", { className: "note" }, "No picture."));
  at("no-picture").hidden = !data;
}

// A camera's picture is too large to send as it is; what is drawn anew holds no place and no date either.
async function upload(file) {
  if (!file) return;
  try {
    const drawn = await createImageBitmap(file), most = Math.min(1, SIDE / Math.max(drawn.width, drawn.height));
    const canvas = el("canvas", { width: Math.max(1, Math.round(drawn.width * most)), height: Math.max(1, Math.round(drawn.height * most)) });
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(drawn, 0, 0, canvas.width, canvas.height);
    keep(canvas.toDataURL("image/jpeg", 0.9));
    say("The picture is ready.");
    if (can.classify) await classify(product());
  } catch {
    keep("");
    at("preview").replaceChildren(el("span", { className: "trouble" }, "This file is no picture that can be read."));
    say("This file is no picture that can be read.");
  }
}

function lines(json) {
  try {
    return Object.entries(JSON.parse(json || "{}")).map(([key, value]) => `${key}: ${value}`).join("\n");
  } catch { return ""; }
}

function product() {
  const form = at("product").elements, said = { item_id: chosen ? chosen.item_id : "new" };
  for (const name of ["title", "category", "brand", "description"])
    if (form[name].value.trim()) said[name] = form[name].value.trim();
  const pairs = form.attributes.value.split("\n").map(line => line.split(/:(.*)/s).map(part => part && part.trim()))
    .filter(([key, value]) => key && value).map(([key, value]) => [key, value !== "" && isFinite(value) ? Number(value) : value]);
  if (pairs.length) said.attributes = JSON.stringify(Object.fromEntries(pairs));
  return said;
}

async function tell() {
  const said = product();
  await Promise.all([price(said), write(said), classify(said)]);
  say("The answers are there.");
}

// One part of the answer; what the model lacks is told and is no error.
async function fill(part, answer) {
  if (!can[part]) return;
  const mine = ++asking;
  at(part).setAttribute("aria-busy", "true");
  let nodes;
  try { nodes = await answer(); } catch (error) { nodes = [error instanceof Lacking ? lacks(PARTS[part]) : trouble(error)]; }
  if ((fill[part] ?? 0) > mine) return; // answered by a later one
  fill[part] = mine;
  at(part).replaceChildren(...nodes);
  at(part).removeAttribute("aria-busy");
}

const price = said => fill("price", async () => {
  const [row] = (await ask("price", { tables: { items: [said] } })).rows;
  const near = await comparables(row.comparables);
  return [
    el("p", { className: "answer" }, el("b", {}, money(row.price_cents)), `, and ${percent(row.level)} of such ` +
      `products between ${money(row.low_cents)} and ${money(row.high_cents)} `, machine()),
    scale(row, near, chosen && chosen.price_cents),
    chosen && chosen.price_cents !== null ? note(`Its list price in the shop is ${money(chosen.price_cents)}, the triangle.`) : null,
    row.why ? el("p", {}, row.why.charAt(0).toUpperCase() + row.why.slice(1), ".") : null,
    row.note ? el("p", { className: "trouble" }, row.note) : null,
    otherwise(said, row),
    near.length ? el("h4", {}, "The likest products") : null,
    el("ol", {}, near.map(each => el("li", {}, `${each.title}: ${each.price} (${each.alike} alike)`)))].filter(Boolean);
});

async function comparables(words) {
  const read = (words || "").split("; ").map(each => /^(.*) at ([\d.]+) \((\d+%) alike\)$/s.exec(each)).filter(Boolean);
  return Promise.all(read.map(async ([, id, figure, alike]) => {
    const cents = Math.round(100 * Number(figure)), title = await ask(`shop/item?item_id=${encodeURIComponent(id)}`)
      .then(item => item.title || id, () => id);
    return { title, cents, price: money(cents), alike };
  }));
}

const write = said => fill("describe", async () => {
  const { title, ...facts } = said, tone = at("tone").value, length = at("length").value;
  const told = await ask("describe", { items: [{ ...facts, title: title ?? "" }], tone, length });
  return [el("dl", { className: "texts" }, told.texts.flatMap(each => [
    el("dt", {}, each.genre), el("dd", {}, each.text ?? `Nothing: ${each.why}`, " ",
      each.text && each.machine_made ? machine(`machine-made by the ${each.written_by}`) : null)]))];
});

const classify = said => fill("classify", async () => {
  const { item_id, title, description } = said;
  const row = { item_id, ...(title && { title }), ...(description && { description }), ...(image && { image_path: image }) };
  const [told] = (await ask("classify", { tables: { items: [row] } })).rows;
  const tasks = Object.keys(told).filter(name => `${name}_score` in told);
  return [el("dl", { className: "texts" }, tasks.flatMap(task => [el("dt", {}, task.replaceAll("_", " ")),
    el("dd", {}, `${told[task]} (${percent(told[`${task}_score`])} sure) `, machine())])),
  note(told.picture === "read" ? "From its words and its picture." : `From its words alone: ${image ? told.picture : "no picture was given"}.`),
  why(row, image)];
});
