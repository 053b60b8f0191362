// Elements for tasks: an entry of the list, and what a task's attributes say.
import { element, foreign, paragraph, shortTime, summary } from "./messages.js";

const STATES = {
  waiting: "Waiting", open: "Open", wrapping: "Wrapping up", over: "Over",
};
const STATE_OF = { pending: "waiting", reserved: "waiting", assigned: "open", wrapping: "wrapping" };

// A chat may be over before its task is: then the agent still has to complete it.
export function stateOf(task) {
  const state = STATE_OF[task.status] || "over";
  return state === "open" && task.isOver ? "wrapping" : state;
}

export function taskElement(task, isCurrent, choose) {
  const { last, unread, name, taskSid } = task;
  const state = stateOf(task);
  const who = { bot: "Bot: ", agent: "You: " }[last?.author] || "";
  const initial = [...name].find((letter) => /[\p{L}\p{N}]/u.test(letter)) || "#";
  const badge = element("span", { class: "unread" }, String(unread), element("span", { class: "unseen" }, " unread"));
  const button = element("button", {
    type: "button", class: "contact", "data-testid": "task", "data-task": taskSid, "aria-current": String(isCurrent),
  },
  element("span", { class: "face", "aria-hidden": "true" }, initial.toUpperCase()),
  element("span", { class: "name" }, foreign(name)),
  element("span", { class: "state", "data-state": state }, STATES[state]),
  element("span", { class: "preview" },
    ...(last ? [`${shortTime(last.timestamp)} ${who}`, foreign(summary(last.message))] : ["No messages yet"])),
  unread ? badge : "");
  button.addEventListener("click", () => choose(taskSid));
  return element("li", {}, button);
}

export function about(task) {
  const generation = { chat: "Programmable Chat", conversations: "Conversations" }[task.generation] || "no chat";
  return [task.channel, task.address, generation, STATES[stateOf(task)]].filter(Boolean).join(" · ");
}

const written = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function table(entries) {
  return element("dl", {}, ...Object.entries(entries).flatMap(([name, value]) =>
    [element("dt", {}, foreign(name)), element("dd", { dir: "auto" }, written(value))]));
}

// One line of a transcript, whatever names its fields have.
function line(entry) {
  if (entry === null || typeof entry !== "object") return element("li", { dir: "auto" }, written(entry));
  const who = entry.author ?? entry.from ?? entry.role ?? entry.source ?? entry.direction;
  const words = entry.text ?? entry.body ?? entry.content ?? entry.message;
  if (words === undefined) return element("li", { dir: "auto" }, written(entry));
  return element("li", {}, ...(who ? [element("b", {}, `${written(who)}: `)] : []), foreign(written(words)));
}

function parsed(value) {
  if (typeof value !== "string") return value;
  try { return JSON.parse(value); } catch { return value; }
}

function transcript(value) {
  const lines = Array.isArray(value) ? value : String(written(value)).split("\n");
  return element("ul", { class: "transcript", "data-testid": "transcript" }, ...lines.map(line));
}

function memory(value) {
  const isTable = value !== null && typeof value === "object" && !Array.isArray(value);
  return isTable ? table(value) : paragraph(written(value));
}

const PARTS = [
  [/transcript|history/i, "Transcript", transcript],
  [/memory|context/i, "Memory", memory],
];

// Memory and transcript by the names that gateways give them, everything else as it is.
export function contextParts(attributes) {
  const rest = { ...attributes };
  const parts = [];
  for (const [pattern, heading, build] of PARTS) {
    for (const name of Object.keys(rest).filter((key) => pattern.test(key))) {
      parts.push(element("h3", {}, heading), build(parsed(rest[name])));
      delete rest[name];
    }
  }
  if (Object.keys(rest).length) parts.push(element("h3", {}, "Other attributes"), table(rest));
  return parts;
}
