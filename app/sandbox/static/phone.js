// The phone: asks once a second whether something changed, and shows it.
import { Log } from "./log.js";
import { contactElement, element, foreign, summary } from "./messages.js";
import { setUpPhoneComposer } from "./phone_composer.js";
import { inLine, poll, report } from "./polling.js";

const KINDS = { sms: "SMS", whatsapp: "WhatsApp", messenger: "Messenger" };
const byId = (id) => document.getElementById(id);
const list = byId("customer-list");
const log = new Log(byId("log"));
let current = null;
let version = null;
let customers = [];
let sending = Promise.resolve();

async function call(path, method = "GET", body = undefined, type = "application/json") {
  const headers = body === undefined ? {} : { "Content-Type": type };
  const response = await fetch(`/phone/api/customers${path}`, { method, headers, body });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message || `The sandbox answered ${response.status}`);
  return answer;
}

const customer = () => customers.find(({ contactId }) => contactId === current);
const pathOf = (address, rest) => `/${encodeURIComponent(address)}/${rest}`;

const composer = setUpPhoneComposer(byId("composer"), deliver);

function showCustomers() {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
  list.replaceChildren(...customers.map((one) =>
    contactElement({ ...one, via: KINDS[one.kind] }, one.contactId === current, choose)));
  byId("nobody").hidden = customers.length > 0;
  if (focused) [...list.querySelectorAll("button")].find((button) => button.dataset.testid === focused)?.focus();
}

function about({ kind, contactId, sender, isOptedOut }) {
  const way = `${contactId.replace(/^\w+:/, "")} to ${sender.replace(/^\w+:/, "")}`;
  return [KINDS[kind], way, ...(isOptedOut ? ["opted out"] : [])].join(" · ");
}

function showHeading() {
  const chosen = customer();
  byId("customer-name").textContent = chosen ? chosen.name : "No customer chosen";
  byId("customer-about").textContent = chosen ? about(chosen) : "";
  byId("consent").hidden = chosen?.kind !== "sms";
  byId("consent").textContent = chosen?.isOptedOut ? "START" : "STOP";
  byId("composer").hidden = !chosen;
  return chosen;
}

// On WhatsApp one answers a certain message.
function finish(article, entry) {
  article.dataset.mid = entry.mId;
  if (customer()?.kind !== "whatsapp" || entry.author !== "business") return;
  const button = element("button", { type: "button", class: "answer", "data-testid": "reply" }, "Reply",
    element("span", { class: "unseen" }, " to: ", foreign(summary(entry.message))));
  button.addEventListener("click", () => composer.replyTo(entry.mId, summary(entry.message)));
  article.querySelector(".foot").prepend(button);
}

async function showConversation() {
  const chosen = showHeading();
  if (!chosen) { log.empty(); document.body.dataset.view = "list"; current = null; return; }
  const { contactId, messages } = await call(pathOf(current, "messages"));
  if (contactId !== current) return;
  log.show(messages, chosen.name, finish);
  // On a small screen the list may lie over the messages.
  const isSeen = document.visibilityState === "visible" && byId("log").checkVisibility();
  if (chosen.unread && isSeen) await call(pathOf(contactId, "read"), "POST");
}

async function choose(address) {
  if (address !== current) { log.empty(); composer.clear(); byId("act-problem").textContent = ""; }
  current = address;
  document.body.dataset.view = "conversation";
  composer.allow(customer()?.kind === "whatsapp");
  showCustomers();
  const conversation = inLine(showConversation).catch(report);
  byId(matchMedia("(max-width: 720px)").matches ? "customer-name" : "composer-text").focus();
  await conversation;
}

const refresh = () => inLine(look);

async function look() {
  const answer = await call("");
  byId("connection").textContent = "";
  if (answer.version === version) return;
  customers = answer.customers;
  showCustomers();
  if (current) await showConversation();
  version = answer.version;
}

// One after the other, so that a slow answer does not let a later message overtake.
function deliver({ path, body, type }) {
  const address = current;
  const sent = sending.then(() => call(pathOf(address, path), "POST", body, type));
  sending = sent.catch(() => {});
  return sent.finally(() => refresh().catch(report));
}

async function act(message) {
  byId("act-problem").textContent = "";
  try {
    await deliver(message);
  } catch (error) {
    byId("act-problem").textContent = error.message;
  }
}

async function add(event) {
  event.preventDefault();
  byId("start-problem").textContent = "";
  const written = { name: byId("start-name").value.trim(), address: byId("start-address").value.trim() };
  const known = Object.fromEntries(Object.entries(written).filter(([, value]) => value));
  try {
    const made = await call("", "POST", JSON.stringify({ kind: byId("start-kind").value, ...known }));
    byId("start-name").value = byId("start-address").value = "";
    await refresh();
    await choose(made.contactId);
  } catch (error) {
    byId("start-problem").textContent = error.message;
  }
}

byId("back").addEventListener("click", () => {
  document.body.dataset.view = "list";
  list.querySelector("[aria-current=true]")?.focus();
});
byId("start").addEventListener("submit", add);
byId("consent").addEventListener("click", () =>
  act({ path: "messages", body: JSON.stringify({ text: byId("consent").textContent }) }));
byId("log").addEventListener("click", (event) => {
  const { payload } = event.target.dataset;
  if (payload === undefined) return;
  const message = event.target.closest("article").dataset.mid;
  act({ path: "buttons", body: JSON.stringify({ message, payload }) });
});
document.addEventListener("visibilitychange", () => { version = null; });
poll(look);
