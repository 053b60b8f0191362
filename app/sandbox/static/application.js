// The application: one watches what it answers in TwiML, and writes to its customers over REST.
import { Desk } from "./desk.js";
import { byId, call } from "./polling.js";

const API = "/application/api";
const body = (to, text, picture = false) => JSON.stringify({ to, text, picture });

const desk = new Desk({
  all: `${API}/conversations`,
  entries: ({ conversations }) => conversations,
  address: ({ contactId }, what) => `${API}/${what}${what === "messages" ? `?${new URLSearchParams({ customer: contactId })}` : ""}`,
  about: ({ via }) => via,
  make: {
    text(text) {
      const { checked } = byId("composer-picture");
      return text || checked ? { path: "messages", body: body(desk.chosen.contactId, text, checked) } : null;
    },
  },
});

byId("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [to, text] = [byId("start-to").value.trim(), byId("start-text").value.trim()];
  if (!text) return;
  byId("start-problem").textContent = "";
  try {
    const { contactId } = await call(`${API}/messages`, "POST", body(to, text));
    byId("start").reset();
    await desk.refresh();
    await desk.choose(contactId);
  } catch (error) {
    byId("start-problem").textContent = `Not sent: ${error.message}`;
  }
});
desk.run();
