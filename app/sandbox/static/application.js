// The application: asks once a second whether something changed, and shows it; writes to customers.
import { Log } from "./log.js";
import { contactElement } from "./messages.js";
import { inLine, poll, report } from "./polling.js";

const byId = (id) => document.getElementById(id);
const list = byId("conversation-list");
const log = new Log(byId("log"));
let current = null;
let version = null;
let conversations = [];
let sending = Promise.resolve();

async function call(path, body = undefined) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`/application/api/${path}`, body && post);
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message || `The sandbox answered ${response.status}`);
  return answer;
}

function showConversations() {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
  list.replaceChildren(...conversations.map((one) => contactElement(one, one.contactId === current, choose)));
  byId("nobody").hidden = conversations.length > 0;
  if (focused) [...list.querySelectorAll("button")].find((button) => button.dataset.testid === focused)?.focus();
}

async function showConversation() {
  const chosen = conversations.find(({ contactId }) => contactId === current);
  byId("customer-name").textContent = chosen ? chosen.name : "No conversation chosen";
  byId("customer-about").textContent = chosen ? `${chosen.via} · ${chosen.contactId}` : "";
  byId("composer").hidden = !chosen;
  if (!chosen) { log.empty(); document.body.dataset.view = "list"; current = null; return; }
  const { contactId, messages } = await call(`messages?${new URLSearchParams({ customer: current })}`);
  if (contactId === current) log.show(messages, chosen.name, () => {});
}

async function choose(customer) {
  if (customer !== current) { log.empty(); byId("composer").reset(); byId("composer-problem").textContent = ""; }
  current = customer;
  document.body.dataset.view = "conversation";
  showConversations();
  const conversation = inLine(showConversation).catch(report);
  byId(matchMedia("(max-width: 720px)").matches ? "customer-name" : "composer-text").focus();
  await conversation;
}

async function look() {
  const answer = await call("conversations");
  byId("connection").textContent = "";
  if (answer.version === version) return;
  conversations = answer.conversations;
  showConversations();
  if (current) await showConversation();
  version = answer.version;
}

// One after the other, so that a slow answer does not let a later message overtake. The form is free again at once, and
// gets its words back if they were refused and nobody typed since.
async function send(form, to, words, picture = null) {
  const problem = form.querySelector(".problem");
  const [text, hasPicture] = [words.value, picture?.checked || false];
  if (!text.trim() && !hasPicture) return null;
  problem.textContent = words.value = "";
  if (picture) picture.checked = false;
  const sent = sending.then(() => call("messages", { to, text, picture: hasPicture }));
  sending = sent.catch(() => {});
  try {
    return (await sent).contactId;
  } catch (error) {
    if (form === byId("composer") && to !== current) return null;
    problem.textContent = `Not sent: ${error.message}`;
    words.value ||= text;
    if (picture) picture.checked ||= hasPicture;
    return null;
  } finally {
    await inLine(look).catch(report);
  }
}

byId("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  const customer = await send(byId("start"), byId("start-to").value.trim(), byId("start-text"));
  if (customer === null) return;
  byId("start").reset();
  await choose(customer);
});
byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send(byId("composer"), current, byId("composer-text"), byId("composer-picture"));
});
byId("composer-text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});
byId("back").addEventListener("click", () => {
  document.body.dataset.view = "list";
  list.querySelector("[aria-current=true]")?.focus();
});
poll(look);
