// The Flex desk: asks once a second whether something changed, and shows it.
import { messageElement, updateMessage } from "./messages.js";
import { poll, report } from "./polling.js";
import { about, contextParts, stateOf, taskElement } from "./task.js";

const TYPING_MILLISECONDS = 5000;
const byId = (id) => document.getElementById(id);
const log = byId("log");
const list = byId("task-list");
const words = byId("composer-text");
const file = byId("composer-file");
const shown = new Map();
let current = null;
let version = null;
let tasks = [];
let contextOf = null;
let sending = Promise.resolve();
let sticks = true;
let typedAt = -Infinity;

async function call(path, method = "GET", body = undefined, type = "application/json") {
  const headers = body === undefined ? {} : { "Content-Type": type };
  const response = await fetch(`/flex/api/${path}`, { method, headers, body });
  const answer = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message || `The sandbox answered ${response.status}`);
  return answer;
}

const task = () => tasks.find(({ taskSid }) => taskSid === current);
const post = (path, body, type) => call(path, "POST", body, type);

function showTasks() {
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.task : null;
  list.replaceChildren(...tasks.map((entry) => taskElement(entry, entry.taskSid === current, choose)));
  byId("nobody").hidden = tasks.length > 0;
  if (focused) list.querySelector(`[data-task="${focused}"]`)?.focus();
  const waiting = tasks.filter((entry) => stateOf(entry) === "waiting").length;
  const said = waiting ? `${waiting} ${waiting === 1 ? "task is" : "tasks are"} waiting.` : "";
  if (byId("waiting").textContent !== said) byId("waiting").textContent = said;
  document.title = `${waiting ? `(${waiting}) ` : ""}Flex desk · sandbox`;
}

// A button that has done its work must not take the focus with it.
function showActs(state, isOver) {
  const acts = { accept: state === "waiting", end: state === "open", complete: state === "wrapping" };
  const lost = Object.keys(acts).some((id) => !acts[id] && byId(id) === document.activeElement);
  for (const [id, isShown] of Object.entries(acts)) byId(id).hidden = !isShown;
  byId("composer").hidden = state !== "open" || isOver;
  if (lost) (byId("composer").hidden ? byId("chat-name") : words).focus();
}

function showHeading() {
  const chosen = task();
  byId("chat-name").textContent = chosen ? chosen.name : "No task chosen";
  byId("chat-about").textContent = chosen ? about(chosen) : "";
  showActs(chosen ? stateOf(chosen) : "none", chosen?.isOver ?? true);
  showContext(chosen);
  return chosen;
}

function showContext(chosen) {
  const attributes = chosen ? JSON.stringify([current, chosen.attributes]) : null;
  if (attributes === contextOf) return;
  const isNew = contextOf === null || JSON.parse(contextOf)[0] !== current;
  contextOf = attributes;
  byId("context").hidden = !chosen;
  byId("context-body").replaceChildren(...(chosen ? contextParts(chosen.attributes) : []));
  if (isNew) byId("context").open = chosen ? stateOf(chosen) === "waiting" : false;
}

function stayAtEnd() {
  if (sticks) log.scrollTop = log.scrollHeight;
}

function showMessages(entries, name) {
  const isFirst = shown.size === 0;
  sticks ||= isFirst;
  log.setAttribute("aria-live", isFirst ? "off" : "polite");
  for (const entry of entries) {
    const known = shown.get(entry.mId);
    if (known) { updateMessage(known, entry); continue; }
    const article = messageElement(entry, name);
    article.querySelector("img")?.addEventListener("load", stayAtEnd);
    shown.set(entry.mId, article);
    log.append(article);
  }
  stayAtEnd();
}

async function showChat() {
  const chosen = showHeading();
  if (!chosen) { empty(); document.body.dataset.view = "list"; return; }
  if (!chosen.chatSid) return;
  const { messages } = await call(`chats/${chosen.chatSid}/messages`);
  if (chosen.taskSid !== current) return;
  showMessages(messages, chosen.name);
  if (chosen.unread && document.visibilityState === "visible") await post(`chats/${chosen.chatSid}/read`);
}

function empty() {
  shown.clear();
  log.replaceChildren();
  byId("act-problem").textContent = "";
  byId("composer-problem").textContent = "";
}

async function choose(taskSid) {
  if (taskSid !== current) { empty(); words.value = ""; forgetFile(); }
  current = taskSid;
  document.body.dataset.view = "conversation";
  showTasks();
  const chat = showChat().catch(report);
  const isSmall = matchMedia("(max-width: 720px)").matches;
  (isSmall || byId("composer").hidden ? byId("chat-name") : words).focus();
  await chat;
}

async function refresh() {
  const answer = await call("tasks");
  byId("connection").textContent = "";
  if (answer.version === version) return;
  tasks = answer.tasks;
  showTasks();
  if (current) await showChat();
  version = answer.version;
}

async function act(path) {
  byId("act-problem").textContent = "";
  try {
    await post(path());
    await refresh();
  } catch (error) {
    byId("act-problem").textContent = error.message;
  }
}

// One after the other, so that a slow answer does not let a later message overtake.
function inTurn(deliver) {
  const sent = sending.then(deliver);
  sending = sent.catch(() => {});
  return sent.finally(() => refresh().catch(report));
}

function forgetFile() {
  file.value = "";
  showFile();
}

function showFile() {
  const chosen = file.files[0];
  file.nextElementSibling.textContent = chosen ? chosen.name : "Attach a file";
  byId("remove-file").hidden = !chosen;
}

function deliver(chatSid, said, picture) {
  if (!picture) return post(`chats/${chatSid}/messages`, JSON.stringify({ text: said }));
  const query = new URLSearchParams({ filename: picture.name, ...(said ? { text: said } : {}) });
  return post(`chats/${chatSid}/media?${query}`, picture, picture.type || "application/octet-stream");
}

// The fields are free again at once; the words come back if they were refused and nobody typed since.
async function submit(event) {
  event.preventDefault();
  const [said, picture, { chatSid }, from] = [words.value.trim() ? words.value : "", file.files[0], task(), current];
  if (!said && !picture) return;
  words.value = "";
  forgetFile();
  byId("composer-problem").textContent = "";
  typedAt = -Infinity;
  try {
    await inTurn(() => deliver(chatSid, said, picture));
  } catch (error) {
    if (from !== current) return;
    byId("composer-problem").textContent = `Not sent: ${error.message}`;
    words.value ||= said;
  }
}

// A hint now and then while the agent writes; it does not matter if one is lost.
function hintTyping() {
  const chosen = task();
  if (!chosen?.chatSid || !words.value || performance.now() - typedAt < TYPING_MILLISECONDS) return;
  typedAt = performance.now();
  post(`chats/${chosen.chatSid}/typing`).catch(() => {});
}

byId("back").addEventListener("click", () => {
  document.body.dataset.view = "list";
  list.querySelector("[aria-current=true]")?.focus();
});
byId("accept").addEventListener("click", () => act(() => `tasks/${current}/accept`));
byId("end").addEventListener("click", () => act(() => `chats/${task().chatSid}/end`));
byId("complete").addEventListener("click", () => act(() => `tasks/${current}/complete`));
byId("remove-file").addEventListener("click", () => { forgetFile(); file.focus(); });
file.addEventListener("change", showFile);
byId("composer").addEventListener("submit", submit);
words.addEventListener("input", hintTyping);
words.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("composer").requestSubmit();
});
document.addEventListener("visibilitychange", () => { version = null; });
log.addEventListener("scroll", () => { sticks = log.scrollHeight - log.scrollTop - log.clientHeight < 60; });
new ResizeObserver(stayAtEnd).observe(log);
poll(refresh);
