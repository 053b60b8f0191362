// The phone: one plays customers with SMS, WhatsApp and Messenger.
import { asFile, asJson, filled, position } from "./composer.js";
import { Desk } from "./desk.js";
import { element, foreign } from "./kit/elements.js";
import { summary } from "./messages.js";
import { byId, call } from "./polling.js";

const KINDS = { sms: "SMS", whatsapp: "WhatsApp", messenger: "Messenger" };
const CUSTOMERS = "/phone/api/customers";
const bare = (address) => address.replace(/^\w+:/, "");
let answered = null; // the message that the next text replies to, and of whom

const desk = new Desk({
  all: CUSTOMERS,
  entries: ({ customers }) => customers,
  entry: (customer) => ({ ...customer, via: KINDS[customer.kind], note: { time: customer.last?.timestamp } }),
  address: ({ contactId }, what) => `${CUSTOMERS}/${encodeURIComponent(contactId)}/${what}`,
  about: ({ kind, contactId, sender, isOptedOut }) =>
    [KINDS[kind], `${bare(contactId)} to ${bare(sender)}`, ...(isOptedOut ? ["opted out"] : [])].join(" · "),
  make: {
    text(text, file) {
      if (!text && !file) return null;
      const replyTo = answered?.mId;
      answer(null);
      return file ? asFile(file, text) : asJson("messages", { text, ...(replyTo ? { replyTo } : {}) });
    },
    location: () => asJson("location", { ...position(), ...filled({ address: "address", label: "label" }) }),
  },
  shown(customer) {
    byId("consent").hidden = customer?.kind !== "sms";
    byId("consent").textContent = customer?.isOptedOut ? "START" : "STOP";
    byId("kinds").hidden = customer?.kind !== "whatsapp";
    if (answered && answered.by !== customer?.contactId) answer(null);
  },
  // On WhatsApp one answers a certain message.
  finish(article, entry) {
    const customer = desk.chosen;
    if (customer?.kind !== "whatsapp" || entry.author !== "business") return;
    const words = summary(entry.message);
    const button = element("button", { type: "button", class: "plain answer", "data-testid": "reply" }, "Reply",
      element("span", { class: "unseen" }, " to: ", foreign(words)));
    button.addEventListener("click", () => answer({ mId: entry.mId, by: customer.contactId }, words));
    article.querySelector(".foot").append(button);
  },
});

function answer(message, words) {
  answered = message;
  byId("reply").hidden = !message;
  byId("reply-text").replaceChildren(...(message ? ["Reply to: ", foreign(words)] : []));
  if (!message) return;
  desk.composer.kind = "text";
  desk.composer.focus();
}

byId("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("start-problem").textContent = "";
  const known = filled({ kind: "start-kind", name: "start-name", address: "start-address" });
  try {
    const made = await call(CUSTOMERS, "POST", JSON.stringify(known));
    byId("start-name").value = byId("start-address").value = "";
    await desk.refresh();
    await desk.choose(made.contactId);
  } catch (error) {
    byId("start-problem").textContent = error.message;
  }
});
byId("remove-reply").addEventListener("click", () => {
  answer(null);
  desk.composer.focus();
});
byId("consent").addEventListener("click", ({ target }) => desk.act(() => desk.send(asJson("messages", { text: target.textContent }))));
byId("log").addEventListener("click", ({ target }) => {
  const { payload } = target.dataset;
  if (payload === undefined) return;
  const message = target.closest("article").dataset.mid;
  desk.act(() => desk.send(asJson("buttons", { message, payload })));
});
desk.run();
