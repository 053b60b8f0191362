// Looks once a second whether something changed, and says when nobody answers.
const POLL_MILLISECONDS = 1000;
let looking = Promise.resolve();

// Looks come one after the other, so that a late answer does not bring back what was before.
export function inLine(look) {
  const looked = looking.then(look);
  looking = looked.catch(() => {});
  return looked;
}

export function report() {
  document.getElementById("connection").textContent = "The sandbox does not answer";
}

export async function poll(look) {
  await inLine(look).catch(report);
  setTimeout(poll, POLL_MILLISECONDS, look);
}
