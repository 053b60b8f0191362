// The Flex desk: one plays the agent in Twilio Flex.
import { asFile, asJson } from "./composer.js";
import { Desk } from "./desk.js";
import { timeOf } from "./kit/elements.js";
import { byId, call } from "./polling.js";
import { GENERATIONS, STATES, contextParts, stateOf } from "./task.js";

const TYPING_MILLISECONDS = 5000;
let typedAt = -Infinity;
let contextOf = null; // what is shown of which task

const post = (path) => call(`/flex/api/${path}`, "POST");

const desk = new Desk({
  all: "/flex/api/tasks",
  entries: ({ tasks }) => tasks,
  keyOf: ({ taskSid }) => taskSid,
  entry(task) {
    const [state, { last }] = [stateOf(task), task];
    return { ...task, testid: "task", via: last && timeOf(last.timestamp), note: { state, words: STATES[state] } };
  },
  address: ({ chatSid }, what) => chatSid && `/flex/api/chats/${chatSid}/${what}`,
  about: (task) => [task.channel, GENERATIONS[task.generation] ?? "no chat", STATES[stateOf(task)]].filter(Boolean).join(" · "),
  canWrite: (task) => stateOf(task) === "open",
  note: ({ isOver }) => (isOver ? "This chat is over: an agent has ended it, or the customer has left." : ""),
  make: {
    text(text, file) {
      if (!text && !file) return null;
      typedAt = -Infinity;
      return file ? asFile(file, text) : asJson("messages", { text });
    },
  },
  shown(task) {
    showActs(task ? stateOf(task) : "none");
    showContext(task);
  },
  listed(tasks) {
    const waiting = tasks.filter((task) => stateOf(task) === "waiting").length;
    const said = waiting ? `${waiting} ${waiting === 1 ? "task is" : "tasks are"} waiting.` : "";
    if (byId("waiting").textContent !== said) byId("waiting").textContent = said;
    document.title = `${waiting ? `(${waiting}) ` : ""}Flex desk · sandbox`;
  },
});

// A button that has done its work must not take the focus with it.
function showActs(state) {
  const acts = { accept: state === "waiting", end: state === "open", complete: state === "wrapping" };
  const isLost = Object.keys(acts).some((id) => !acts[id] && byId(id) === document.activeElement);
  for (const [id, isShown] of Object.entries(acts)) byId(id).hidden = !isShown;
  if (isLost) (desk.composer.isShown ? desk.composer : byId("customer-name")).focus();
}

// It is open until the task is accepted, unless the chat below says the same.
function showContext(task) {
  const now = task ? JSON.stringify([task.taskSid, stateOf(task), task.attributes]) : null;
  if (now === contextOf) return;
  contextOf = now;
  byId("context").hidden = !task;
  byId("context").open = task !== undefined && stateOf(task) === "waiting" && !task.last;
  byId("context-body").replaceChildren(...(task ? contextParts(task.attributes) : []));
}

byId("accept").addEventListener("click", () => desk.act(() => post(`tasks/${desk.chosen.taskSid}/accept`)));
byId("end").addEventListener("click", () => desk.act(() => post(`chats/${desk.chosen.chatSid}/end`)));
byId("complete").addEventListener("click", () => desk.act(() => post(`tasks/${desk.chosen.taskSid}/complete`)));
// A hint now and then while the agent writes; it does not matter if one is lost.
byId("composer-text").addEventListener("input", ({ target }) => {
  const { chatSid } = desk.chosen ?? {};
  if (!chatSid || !target.value || performance.now() - typedAt < TYPING_MILLISECONDS) return;
  typedAt = performance.now();
  post(`chats/${chatSid}/typing`).catch(() => {});
});
desk.run();
