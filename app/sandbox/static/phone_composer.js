// The form in which the customer writes: words, a picture, a place, an answer to a certain message.
import { foreign } from "./messages.js";

const field = (id) => document.getElementById(id);
const value = (id) => field(id).value.trim();

// A number that is not one stays a string, so that the stand-in's own check names the field.
function coordinate(id) {
  const written = value(id).replace(",", ".");
  return written !== "" && Number.isFinite(Number(written)) ? Number(written) : written;
}

function place() {
  const more = Object.entries({ address: value("address"), label: value("label") }).filter(([, words]) => words);
  return { latitude: coordinate("latitude"), longitude: coordinate("longitude"), ...Object.fromEntries(more) };
}

function picture(file, text) {
  const query = new URLSearchParams({ filename: file.name, ...(text ? { text } : {}) });
  return { path: `media?${query}`, body: file, type: file.type || "application/octet-stream" };
}

export function setUpPhoneComposer(form, deliver) {
  const [words, file, problem] = [field("composer-text"), field("composer-file"), field("composer-problem")];
  const places = ["latitude", "longitude", "label", "address"].map(field);
  const kind = () => form.elements.kind.value;
  let answered = null;
  let turn = 0;

  function showFields() {
    for (const group of form.querySelectorAll(".fields")) group.hidden = group.dataset.kind !== kind();
    field("attach").hidden = kind() !== "text";
    field("remove-file").hidden = kind() !== "text" || !file.files[0];
    field("reply").hidden = kind() !== "text" || answered === null;
    file.nextElementSibling.textContent = file.files[0]?.name || "Attach a picture";
  }

  function forgetFile() {
    file.value = "";
    showFields();
  }

  function replyTo(mId, text) {
    answered = mId;
    field("reply-text").replaceChildren(...(text ? ["Reply to: ", foreign(text)] : []));
    if (mId) form.elements.kind.value = "text";
    showFields();
    if (mId) words.focus();
  }

  // What is sent, and how the form gets it back if it is refused.
  function take() {
    if (kind() === "location") {
      const written = places.map((input) => input.value);
      const message = { path: "location", body: JSON.stringify(place()) };
      for (const input of places) input.value = "";
      return [message, () => places.forEach((input, index) => { input.value ||= written[index]; })];
    }
    const text = words.value.trim() ? words.value : "";
    const [chosen, reply] = [file.files[0], answered];
    if (!text && !chosen) return null;
    words.value = "";
    forgetFile();
    replyTo(null);
    const body = JSON.stringify({ text, ...(reply ? { replyTo: reply } : {}) });
    const message = chosen ? picture(chosen, text) : { path: "messages", body };
    return [message, () => { words.value ||= text; }];
  }

  async function submit(event) {
    event.preventDefault();
    const taken = take();
    if (!taken) return;
    const [message, giveBack] = taken;
    const mine = turn;
    problem.textContent = "";
    try {
      await deliver(message);
    } catch (error) {
      if (mine !== turn) return;
      problem.textContent = `Not sent: ${error.message}`;
      giveBack();
    }
  }

  form.addEventListener("submit", submit);
  form.addEventListener("change", (event) => event.target.name === "kind" && showFields());
  file.addEventListener("change", showFields);
  field("remove-file").addEventListener("click", () => { forgetFile(); file.focus(); });
  field("remove-reply").addEventListener("click", () => { replyTo(null); words.focus(); });
  words.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });

  return {
    replyTo,
    allow(hasPlaces) {
      field("kinds").hidden = !hasPlaces;
      if (!hasPlaces) form.elements.kind.value = "text";
      showFields();
    },
    // Another customer has the phone now.
    clear() {
      turn += 1;
      for (const input of [words, ...places]) input.value = "";
      problem.textContent = "";
      forgetFile();
      replyTo(null);
    },
  };
}
