// What pages ask of the sandbox: once a second whether something changed, and to do something.
const POLL_MILLISECONDS = 1000;
let looking = Promise.resolve();

export const byId = (id) => document.getElementById(id);

// The answer as JSON, null where there is none. What was refused is an Error with the sandbox's sentence.
export async function call(path, method = "GET", body = undefined, type = "application/json") {
  const response = await fetch(path, { method, body, headers: body === undefined ? {} : { "Content-Type": type } });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message || `The sandbox answered ${response.status}.`);
  return answer;
}

// Looks come one after the other, so that a late answer does not bring back what was before.
export function inLine(look) {
  const looked = looking.then(look).then(() => { byId("connection").textContent = ""; });
  looking = looked.catch(() => {});
  return looked;
}

export function report() { byId("connection").textContent = "The sandbox does not answer."; }

export async function poll(look) {
  await inLine(look).catch(report);
  setTimeout(poll, POLL_MILLISECONDS, look);
}
