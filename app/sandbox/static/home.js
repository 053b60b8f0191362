// The home page's switches for faults: what is on is looked for once a second, since programs and other tabs switch, too.
import { byId, call, poll } from "./polling.js";

const URL = byId("faults").dataset.url;
const switches = [...document.querySelectorAll("[data-switch]")];

function show({ platforms }) {
  const on = platforms.flatMap(({ title, faults }) => faults.filter((fault) => fault.on).map(({ what }) => `${title} ${what}.`));
  const pressed = new Set(platforms.flatMap(({ name, faults }) => faults.filter((fault) => fault.on).map((fault) => `${name}/${fault.name}`)));
  for (const button of switches) {
    button.disabled = false;
    button.setAttribute("aria-pressed", String(pressed.has(button.dataset.switch)));
  }
  const said = on.join(" ") || "All is well.";
  if (byId("faults-on").textContent !== said) byId("faults-on").textContent = said;
  byId("well").hidden = on.length === 0;
}

const look = async () => show(await call(URL));

async function act(path, method) {
  byId("faults-problem").textContent = "";
  try {
    await call(`${URL}${path}`, method);
    await look();
  } catch (error) {
    byId("faults-problem").textContent = error.message;
  }
}

for (const button of switches) {
  button.addEventListener("click", () =>
    act(`/${button.dataset.switch}`, button.getAttribute("aria-pressed") === "true" ? "DELETE" : "PUT"));
}
byId("well").addEventListener("click", () => act("", "DELETE"));
poll(look);
