// Makes nodes. Texts become text nodes, so a title that holds markup is read as it stands.

export const at = id => document.getElementById(id);

export function el(tag, more = {}, ...inside) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(more)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && !name.startsWith("aria")) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...inside.flat().filter(each => each !== null && each !== undefined && each !== ""));
  return node;
}

export const button = (words, onclick, more = {}) => el("button", { type: "button", onclick, ...more }, words);

// Said to whoever listens; the same words twice are said twice.
export function say(words) {
  const live = at("live");
  live.textContent = "";
  setTimeout(() => { live.textContent = words; }, 50);
}

export const machine = (words = "machine-made") => el("span", { className: "machine" }, words);
export const note = (...inside) => el("p", { className: "note" }, ...inside);
export const lacks = (what, how = "A night learns it once params.yaml names its task (docs/serving.md).") =>
  note(`This shop’s model has no ${what}. ${how}`);
export const trouble = error => el("p", { className: "trouble" }, error.message);

// A fold whose inside is asked for when somebody opens it first: such an answer costs the model many questions.
export function fold(summary, waiting, tell) {
  const box = el("div", { "aria-live": "polite" });
  return el("details", { ontoggle: async event => {
    if (!event.target.open || box.childElementCount) return;
    box.replaceChildren(note(waiting));
    try { box.replaceChildren(...await tell()); } catch (error) { box.replaceChildren(trouble(error)); }
  } }, el("summary", {}, summary), box);
}

export const percent = share => `${share > 0.99 && share < 0.9995 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`;
export const times = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

let currency = null;
export function useCurrency(code) { currency = code; }

export function money(cents) {
  if (cents === null || cents === undefined) return "";
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency }).format(cents / 100);
  } catch { // no code that the browser knows
    return `${(cents / 100).toFixed(2)} ${currency ?? ""}`.trim();
  }
}

// Runs the last call of a flurry.
export function later(act, ms = 120) {
  let timer = 0;
  return (...args) => { clearTimeout(timer); timer = setTimeout(act, ms, ...args); };
}
