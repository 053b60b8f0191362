// The agent desk: one plays the agent in respond.io.
import { asJson, filled, position } from "./composer.js";
import { Desk } from "./desk.js";
import { byId, call } from "./polling.js";

const CONTACTS = "/agent/api/contacts";
const message = (type, content) => asJson("messages", { type, ...content });
const lines = (words) => words.split("\n").map((line) => line.trim()).filter(Boolean);

const desk = new Desk({
  all: CONTACTS,
  entries: ({ contacts }) => contacts,
  address: ({ contactId }, what) => `${CONTACTS}/${encodeURIComponent(contactId)}/${what}`,
  about: ({ contact }) => [contact.phone, contact.email].filter(Boolean).join(" · "),
  make: {
    text: (text) => (text ? message("text", { text }) : null),
    attachment: () => message("attachment", {
      attachment: filled({
        type: "attachment-type", url: "attachment-url", fileName: "attachment-name", description: "attachment-description",
      }),
    }),
    quick_reply: () =>
      message("quick_reply", { title: "", ...filled({ title: "quick-title" }), replies: lines(byId("quick-replies").value) }),
    location: () => message("location", { ...position(), ...filled({ address: "address" }) }),
  },
});

byId("start")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("start-problem").textContent = "";
  try {
    const { contactId } = await call(CONTACTS, "POST", JSON.stringify(filled({ contactId: "start-number" })));
    byId("start").reset();
    await desk.refresh();
    await desk.choose(contactId);
  } catch (error) {
    byId("start-problem").textContent = error.message;
  }
});
desk.run();
