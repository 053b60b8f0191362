// Telegram: one plays people who write to the bot.
import { asFile, asJson, filled, position } from "./composer.js";
import { Desk } from "./desk.js";
import { byId, call } from "./polling.js";

const PEOPLE = "/telegram/api/people";

const desk = new Desk({
  all: PEOPLE,
  entries: ({ people }) => people,
  address: ({ contactId }, what) => `${PEOPLE}/${contactId}/${what}`,
  about: ({ contactId, isBlocked, isTyping }) =>
    [`id ${contactId}`, ...(isBlocked ? ["has blocked the bot"] : []), ...(isTyping ? ["the bot is typing"] : [])].join(" · "),
  canWrite: ({ isBlocked }) => !isBlocked,
  note: ({ isBlocked }) => (isBlocked ? "They have blocked the bot. Nothing reaches them until they let it in again." : ""),
  make: {
    text: (text, file) => (file ? asFile(file, text) : text ? asJson("messages", { text }) : null),
    location: () => asJson("location", position()),
    contact: () => asJson("contact", { first_name: "", phone_number: "", ...filled({ first_name: "contact-name", phone_number: "contact-number" }) }),
  },
  shown(person) {
    byId("block").hidden = !person;
    byId("block").textContent = person?.isBlocked ? "Unblock" : "Block the bot";
  },
});

byId("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("start-problem").textContent = "";
  try {
    const { contactId } = await call(PEOPLE, "POST", JSON.stringify(filled({ name: "start-name" })));
    byId("start").reset();
    await desk.refresh();
    await desk.choose(contactId);
  } catch (error) {
    byId("start-problem").textContent = error.message;
  }
});
byId("block").addEventListener("click", () =>
  desk.act(() => desk.send(asJson("block", { blocked: !desk.chosen.isBlocked }))));
// A button of a keyboard says what stands on it.
byId("log").addEventListener("click", ({ target }) => {
  const { payload } = target.dataset;
  if (payload !== undefined) desk.act(() => desk.send(asJson("messages", { text: payload })));
});
desk.run();
