// The agent desk: asks once a second whether something changed, and shows it.
import { setUpComposer } from "./composer.js";
import { contactElement, messageElement, updateMessage } from "./messages.js";
import { poll, report } from "./polling.js";

const byId = (id) => document.getElementById(id);
const log = byId("log");
const list = byId("contact-list");
const start = byId("start");
const shown = new Map();
let current = null;
let version = null;
let contacts = [];
let sending = Promise.resolve();
let sticks = true;

async function call(path, method = "GET", body = undefined) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await fetch(`/agent/api/contacts${path}`, { method, headers, body: body && JSON.stringify(body) });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message || `The sandbox answered ${response.status}`);
  return answer;
}

const pathOf = (contactId, rest) => `/${encodeURIComponent(contactId)}/${rest}`;

function showContacts() {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
  list.replaceChildren(...contacts.map((contact) => contactElement(contact, contact.contactId === current, choose)));
  byId("nobody").hidden = contacts.length > 0;
  if (focused) [...list.querySelectorAll("button")].find((button) => button.dataset.testid === focused)?.focus();
}

function showHeading() {
  const contact = contacts.find(({ contactId }) => contactId === current);
  byId("conversation-name").textContent = contact ? contact.name : "No contact chosen";
  byId("conversation-id").textContent = contact && contact.name !== current ? current : "";
  byId("composer").hidden = !contact;
  return contact;
}

function stayAtEnd() {
  if (sticks) log.scrollTop = log.scrollHeight;
}

function showMessages(entries, name) {
  const isFirst = shown.size === 0;
  sticks ||= isFirst;
  log.setAttribute("aria-live", isFirst ? "off" : "polite");
  const sequences = new Set(entries.map(({ sequence }) => sequence));
  for (const [sequence, article] of shown) {
    if (!sequences.has(sequence)) { article.remove(); shown.delete(sequence); }
  }
  for (const entry of entries) {
    const known = shown.get(entry.sequence);
    if (known) { updateMessage(known, entry); continue; }
    const article = messageElement(entry, name);
    article.querySelector("img")?.addEventListener("load", stayAtEnd);
    shown.set(entry.sequence, article);
    log.append(article);
  }
  stayAtEnd();
}

async function showConversation() {
  const contact = showHeading();
  if (!contact) { close(); return; }
  const { contactId, messages } = await call(pathOf(current, "messages"));
  if (contactId !== current) return;
  showMessages(messages, contact.name);
  if (contact.unread && document.visibilityState === "visible") await call(pathOf(current, "read"), "POST");
}

function empty() {
  shown.clear();
  log.replaceChildren();
}

function close() {
  current = null;
  document.body.dataset.view = "list";
  empty();
  showHeading();
}

async function choose(contactId) {
  if (contactId !== current) empty();
  current = contactId;
  document.body.dataset.view = "conversation";
  showContacts();
  const conversation = showConversation().catch(report);
  byId(matchMedia("(max-width: 720px)").matches ? "conversation-name" : "composer-text").focus();
  await conversation;
}

async function refresh() {
  const answer = await call("");
  byId("connection").textContent = "";
  if (answer.version === version) return;
  contacts = answer.contacts;
  showContacts();
  if (current) await showConversation();
  version = answer.version;
}

// One after the other, so that a slow answer does not let a later message overtake.
function send(message) {
  const path = pathOf(current, "messages");
  const sent = sending.then(() => call(path, "POST", message));
  sending = sent.catch(() => {});
  return sent.finally(() => refresh().catch(report));
}

async function startChat(event) {
  event.preventDefault();
  const number = byId("start-number");
  byId("start-problem").textContent = "";
  try {
    const { contactId } = await call("", "POST", { contactId: number.value.trim() });
    number.value = "";
    await refresh();
    await choose(contactId);
  } catch (error) {
    byId("start-problem").textContent = error.message;
  }
}

byId("back").addEventListener("click", () => {
  document.body.dataset.view = "list";
  [...list.querySelectorAll("button")].find((button) => button.getAttribute("aria-current") === "true")?.focus();
});
log.addEventListener("scroll", () => { sticks = log.scrollHeight - log.scrollTop - log.clientHeight < 60; });
new ResizeObserver(stayAtEnd).observe(log);
start?.addEventListener("submit", startChat);
setUpComposer(byId("composer"), send);
poll(refresh);
