// Elements for the messages of the chat page.

import { element, fileLink, icon, link, paragraph, picture, place, timeOf } from "./kit/elements.js";

export const RANK = { waiting: -1, queued: 0, sent: 1, delivered: 2, read: 3 };
const TICKS = {
  waiting: ["clock", "Waiting to be sent"], queued: ["one", "Sent"], sent: ["one", "Sent"],
  delivered: ["two", "Delivered"], read: ["two", "Read"], failed: ["failed", "Not delivered"],
};
const NAMES = { customer: "You", bot: "Bot", agent: "Agent", system: "Notice" };

// The ladder of statuses: they only climb; `failed` ends unless proof of delivery arrives later.
export function climbs(from, to) {
  if (from === to) return false;
  if (to === "failed") return RANK[from] < RANK.delivered;
  if (from === "failed") return RANK[to] >= RANK.delivered;
  return RANK[to] > RANK[from];
}

// `choose(text)`: the visitor took a quick reply.
export function messageElement(author, content, choose) {
  const body = (BODIES[content.type] ?? unknown)(content, choose);
  return element("article", { class: "message", "data-testid": "message", "data-author": author, "data-side": author === "customer" ? "own" : "other" },
    author === "bot" || author === "agent" ? element("span", { class: "face", "aria-hidden": "true" }, icon(author)) : null,
    element("p", { class: author === "customer" ? "author unseen" : "author" }, NAMES[author] ?? author),
    element("div", { class: "bubble" }, ...body),
    element("p", { class: "foot" }, element("time"), author === "customer" ? element("span", { class: "ticks", role: "img" }) : null));
}

export function showTime(message, at) {
  const moment = new Date(at);
  const time = message.querySelector("time");
  time.dateTime = moment.toISOString();
  time.textContent = timeOf(moment);
}

// Ticks are labelled images: their changes are not read out, unlike `problem`, the sentence that says what failed.
export function showStatus(message, status, problem, again) {
  message.dataset.status = status;
  message.querySelector(".problem")?.remove();
  const ticks = message.querySelector(".ticks");
  if (!ticks) return;
  const [sign, words] = TICKS[status];
  ticks.setAttribute("aria-label", words);
  ticks.title = words;
  ticks.replaceChildren(icon(sign));
  ticks.toggleAttribute("aria-hidden", false);
  if (status !== "failed") return;
  ticks.setAttribute("aria-hidden", "true"); // the sentence says it
  message.append(problemElement(problem, again));
}

function problemElement(words, again) {
  const line = element("p", { class: "problem" }, words);
  if (again) {
    const button = element("button", { type: "button", class: "plain again", "data-testid": "again" }, "Try again");
    button.addEventListener("click", again);
    line.append(" ", button);
  }
  return line;
}

export function withdrawAgain(message) { message.querySelector(".problem [data-testid=again]")?.remove(); }

export function dayOf(at) { return new Date(at).toDateString(); }

export function dayElement(at) {
  const ago = Math.round((new Date(dayOf(Date.now())) - new Date(dayOf(at))) / 86_400_000);
  const date = new Date(at).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
  return element("p", { class: "day", "data-day": dayOf(at) }, ["Today", "Yesterday"][ago] ?? date);
}

function attachment({ kind, url, file_name: name, description, mime_type: mime }) {
  const words = description || name;
  if (kind === "image") return [picture(url, words || "Image"), ...(description ? [paragraph(description)] : [])];
  const file = fileLink(url, words);
  if (kind !== "video" && kind !== "audio") return [file];
  const player = element(kind, { src: url, controls: "", preload: "metadata", "aria-label": words || kind });
  if (mime && !player.canPlayType(mime)) return [file];
  const shown = element("div", { class: "media" }, player, ...(words ? [paragraph(words)] : []));
  player.addEventListener("error", () => shown.replaceWith(file));
  return [shown];
}

function quickReply({ title, replies }, choose) {
  const buttons = replies.map((reply) => {
    const button = element("button", { type: "button", class: "reply", dir: "auto", "data-testid": "reply" }, reply);
    button.addEventListener("click", () => choose(reply));
    return button;
  });
  return [paragraph(title), element("div", { class: "replies", role: "group", "aria-label": title }, ...buttons)];
}

function card({ text, images = [] }) {
  const pictures = images.map(({ url, label }) => element("figure", {}, picture(url, label || "Image"),
    label ? element("figcaption", { dir: "auto" }, label) : null));
  return [...(text ? [paragraph(text)] : []), ...pictures];
}

function unknown() { return [element("p", { class: "text" }, "This message cannot be shown here.")]; }

const BODIES = { text: ({ text }) => [paragraph(text)], attachment, location: (where) => [place(where)], quick_reply: quickReply, card };
