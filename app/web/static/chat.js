// The chat page: joins what is remembered, sent, received and shown.

import { Client, Memory } from "./chat_client.js";
import { Log } from "./chat_log.js";
import { Outbox } from "./chat_outbox.js";
import { Reports } from "./chat_reports.js";
import { Stream } from "./chat_stream.js";
import { Writing } from "./kit/writing.js";

const PATIENCE_MILLISECONDS = 3000; // a stream that comes back sooner was not worth a word
const byId = (id) => document.getElementById(id);
const chat = byId("chat");
const composer = new Writing(byId("composer"), byId("count"));
const title = document.title;
const memory = new Memory(`patchbay:${chat.dataset.name}:`);
const unread = new Set();
const FORGOTTEN = "Forgotten on this device. What you write now begins a new conversation.";
const LOST = "Your earlier conversation can no longer be opened. A new one begins here.";
let connectionTimer = null;
let isForgotten = false; // and nothing was said since

const log = new Log({ log: byId("log"), typing: byId("typing"), latest: byId("latest") }, {
  say(text) {
    outbox.add(text);
    composer.focus(); // the button that had it is of no use now
  },
  again: (id) => outbox.again(id),
});
const client = new Client(chat.dataset, memory, { newVisitor, forgotten });
const outbox = new Outbox(client, memory, (entry, status, messageId) => log.own(entry, status, messageId));
const reports = new Reports(client);
const stream = new Stream(client, {
  message(data) {
    isForgotten = false;
    const isNew = log.message(data);
    if (data.client_id) outbox.settled(data.client_id);
    if (data.author === "customer") return;
    reports.known(data.id, data.status);
    reports.report(data.id, "delivered");
    if (isNew && data.status !== "read") unread.add(data.id);
    look();
  },
  status(data) {
    log.status(data);
    reports.known(data.id, data.status);
    if (data.status === "read") unread.delete(data.id);
  },
  typing: () => log.showTyping(),
  ended: () => log.ended(),
  ready: () => log.caughtUp(),
}, showConnection);

// Tabs that forget together may each fetch a token; the last one counts, and nobody loses anything by it.
function newVisitor(begins) {
  if (begins) beginAnew(isForgotten ? FORGOTTEN : LOST);
}

function forgotten() {
  isForgotten = true;
  beginAnew(FORGOTTEN);
}

function beginAnew(words) {
  reports.clear();
  unread.clear();
  look();
  log.clear();
  log.note(words);
  showUnsent();
  stream.restart();
}

function forget() {
  byId("forgetting").close();
  composer.take();
  client.forget();
  composer.focus();
}

function showUnsent() {
  for (const entry of outbox.entries()) log.own(entry, entry.error ? "failed" : "waiting");
}

// Who looks at the page reads what is new.
function look() {
  if (document.visibilityState === "visible" && document.hasFocus()) {
    for (const id of unread) reports.report(id, "read");
    unread.clear();
  }
  document.title = unread.size ? `(${unread.size}) ${title}` : title;
}

function showConnection(state) {
  const place = byId("connection");
  if (state === place.dataset.state && connectionTimer) return;
  place.dataset.state = state;
  clearTimeout(connectionTimer);
  connectionTimer = null;
  if (state === "open") {
    place.textContent = "";
    outbox.wake();
    reports.wake();
  } else {
    connectionTimer = setTimeout(() => { place.textContent = "Connecting again…"; }, PATIENCE_MILLISECONDS);
  }
}

function send(event) {
  event.preventDefault();
  const { words, isTooLong } = composer;
  if (words && !isTooLong) {
    outbox.add(words);
    composer.take();
  }
  composer.focus();
}

function wake() {
  stream.wake();
  outbox.wake();
  reports.wake();
}

byId("form").addEventListener("submit", send);
byId("forget").addEventListener("click", () => byId("forgetting").showModal());
byId("forget-yes").addEventListener("click", forget);
byId("forget-no").addEventListener("click", () => byId("forgetting").close());
for (const name of ["visibilitychange", "focus"]) addEventListener(name, look);
// A network that goes away may leave the stream standing, in silence.
addEventListener("offline", () => showConnection("connecting"));
addEventListener("online", () => {
  wake();
  stream.open();
});
addEventListener("pagehide", () => stream.close());
addEventListener("pageshow", ({ persisted }) => { if (persisted) stream.open(); });

byId("form").hidden = false; // without this script it would only look as if it worked
composer.open(chat.dataset.name);
showUnsent();
stream.restart();
outbox.wake();
