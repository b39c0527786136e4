// Which words, and which patches of its picture, a product's class rests on: said for everybody, and drawn over the picture.

import { ask } from "./api.js";
import { el, fold } from "./dom.js";
import { bars } from "./item.js";

export const why = (row, image) => fold("Why these?", "Asking the model without some of its words and patches …", async () => {
  const [told] = (await ask("classify", { tables: { items: [row] }, why: true })).rows;
  return Object.entries(told.because).flatMap(([task, parts]) => carried(task, told[task], parts, image));
});

function carried(task, name, { patches, words }, image) {
  const drawn = patches.filter(part => part.row !== null), what = `${task.replaceAll("_", " ")} ${name}`;
  return [drawn.length ? grid(drawn, image) : "",
    ...bars(patches, `What patches of its picture add to ${what}:`), ...bars(words, `What its words add to ${what}:`)];
}

function grid(parts, image) {
  const most = Math.max(...parts.map(part => Math.abs(part.value)), 1e-12), box = el("span", { className: "patches", "aria-hidden": "true" });
  box.append(el("img", { src: image, alt: "" }), ...parts.map(part => {
    const cell = el("span", { className: part.value < 0 ? "minus" : "" });
    cell.style.gridArea = `${part.row + 1} / ${part.column + 1}`;
    cell.style.opacity = 0.75 * Math.abs(part.value) / most;
    return cell;
  }));
  return box;
}
