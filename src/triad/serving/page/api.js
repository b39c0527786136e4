// Asks the service. What it answers is data: it is shown as text and never as HTML (dom.js).

export class Lacking extends Error {} // 501: the model that serves has no part for it

let key = "", asking = null;

export async function ask(path, body) {
  const said = await send(path, body);
  const told = await said.json();
  if (said.ok) return told;
  if (said.status === 501) throw new Lacking(told.what);
  throw new Error(`${sentence(told.what)} ${sentence(told.mend)}`);
}

export async function text(path) {
  const said = await send(path);
  if (!said.ok) throw new Error(sentence((await said.json()).what));
  return said.text();
}

// A picture's address: where a key is needed, which an <img> cannot bring, its bytes.
export async function picture(id) {
  const path = `shop/picture?item_id=${encodeURIComponent(id)}`;
  if (!key) return path;
  const said = await send(path);
  if (said.status !== 200) throw new Error("It has no picture.");
  return dataOf(await said.blob());
}

export const dataOf = blob => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => failed(new Error("The file could not be read."));
  reader.readAsDataURL(blob);
});

async function send(path, body, again = false) {
  const headers = { ...(key && { "X-API-Key": key }), ...(body && { "Content-Type": "application/json" }) };
  let said;
  try {
    said = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  } catch {
    throw new Error("The service does not answer. See whether it still runs.");
  }
  if (said.status !== 401) return said;
  await keyFromUser(again); // asked until it fits
  return send(path, body, true);
}

export function useKey(value) { key = value; }

function keyFromUser(wrong) {
  return asking ||= new Promise(done => {
    const dialog = document.getElementById("key-dialog"), input = document.getElementById("key");
    document.getElementById("key-note").textContent = wrong ? "That was another key. Try again." : "";
    dialog.querySelector("form").onsubmit = () => { key = input.value; input.value = ""; asking = null; done(); };
    dialog.oncancel = event => event.preventDefault(); // without it there is nothing to show
    dialog.showModal();
  });
}

const sentence = words => `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
