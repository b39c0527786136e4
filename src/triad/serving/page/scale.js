// A price and its interval on a line, with the prices of like products; the same is said in words beside it.

import { money } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg", WIDE = 480, EDGE = 12;

function shape(name, more) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(more)) node.setAttribute(key, value);
  return node;
}

export function scale(row, near, own) {
  const all = [row.low_cents, row.high_cents, ...near.map(each => each.cents), ...(own ? [own] : [])].filter(each => each > 0);
  const low = Math.log(Math.min(...all)), high = Math.log(Math.max(...all));
  const x = cents => EDGE + (WIDE - 2 * EDGE) * (high > low ? (Math.log(Math.max(cents, 1)) - low) / (high - low) : 0.5);
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} 56`, class: "scale", "aria-hidden": "true" });
  svg.append(shape("line", { x1: x(row.low_cents), x2: x(row.high_cents), y1: 22, y2: 22, class: "range" }));
  for (const each of near) {
    const dot = shape("circle", { cx: x(each.cents), cy: 22, r: 4, class: "near" }), title = shape("title", {});
    title.textContent = `${each.title}: ${each.price}`;
    dot.append(title);
    svg.append(dot);
  }
  if (own) svg.append(shape("path", { d: `M${x(own)} 12 l5 -8 h-10 z`, class: "own" }));
  svg.append(shape("circle", { cx: x(row.price_cents), cy: 22, r: 7, class: "price" }));
  for (const [cents, anchor] of [[row.low_cents, "start"], [row.high_cents, "end"]]) {
    const words = shape("text", { x: Math.min(Math.max(x(cents), EDGE), WIDE - EDGE), y: 48, "text-anchor": anchor });
    words.textContent = money(cents);
    svg.append(words);
  }
  return svg;
}
