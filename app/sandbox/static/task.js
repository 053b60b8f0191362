// What a task's status and its attributes say.
import { element, foreign, paragraph } from "./kit/elements.js";

export const STATES = { waiting: "Waiting", open: "Open", wrapping: "Wrapping up", over: "Over" };
const STATE_OF = { pending: "waiting", reserved: "waiting", assigned: "open", wrapping: "wrapping" };

// A chat may be over before its task is: then the agent still has to complete it.
export function stateOf(task) {
  const state = STATE_OF[task.status] || "over";
  return state === "open" && task.isOver ? "wrapping" : state;
}

export const GENERATIONS = { chat: "Programmable Chat", conversations: "Conversations" };

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

// By the names that gateways give them.
const PARTS = [
  [/memory|context/i, "Memory", memory],
  [/transcript|history/i, "Transcript", transcript],
];

// Memory, everything else as it is, and the transcript, which is long.
export function contextParts(attributes) {
  const rest = { ...attributes };
  const parts = PARTS.map(([pattern, heading, build]) =>
    Object.keys(rest).filter((key) => pattern.test(key)).flatMap((name) => {
      const { [name]: value } = rest;
      delete rest[name];
      return [element("h3", {}, heading), build(parsed(value))];
    }));
  if (Object.keys(rest).length) parts.splice(1, 0, [element("h3", {}, "Other attributes"), table(rest)]);
  return parts.flat();
}
