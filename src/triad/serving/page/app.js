// The page: which view is shown, and what serves.

import { ask } from "./api.js";
import { at, say, useCurrency } from "./dom.js";
import * as merchant from "./merchant.js";
import * as products from "./products.js";
import * as service from "./service.js";
import * as shopping from "./shop.js";

const VIEWS = ["shop", "service", "products", "merchant"];

function turn(isFirst = false) {
  const wanted = location.hash.slice(1), name = VIEWS.includes(wanted) ? wanted : "shop";
  if (!isFirst && wanted === "main") return; // the link that skips to the content
  for (const each of VIEWS) {
    at(each).hidden = each !== name;
    const link = document.querySelector(`nav a[href="#${each}"]`);
    if (each === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = at(name).querySelector("h2");
  document.title = `${title.textContent} · Triad`;
  if (!isFirst) { window.scrollTo(0, 0); title.focus({ preventScroll: true }); }
  if (name === "merchant") merchant.look();
}

async function begin() {
  turn(true);
  window.addEventListener("hashchange", () => turn());
  let shop;
  try { shop = await ask("shop"); } catch (error) {
    at("serves").textContent = error.message;
    return say(error.message);
  }
  useCurrency(shop.currency);
  at("serves").textContent = `Version ${shop.version} serves, with data to ${shop.as_of.slice(0, 10)}. Verdict of its night: ` +
    `${shop.verdict.verdict ?? "none"}.`;
  for (const view of [shopping, service, products, merchant]) view.begin(shop);
  watch(shop.version);
}

// Says when another version serves, so that nobody reads answers of two as one's.
function watch(version) {
  setInterval(async () => {
    try {
      const now = await ask("health");
      if (now.version !== version) at("newer").hidden = false;
    } catch { /* the next question says what is wrong */ }
  }, 5000);
  at("reload").addEventListener("click", () => location.reload());
}

begin();
