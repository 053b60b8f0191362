// The form in which the agent writes: which fields are shown, and the message object they make.

const field = (id) => document.getElementById(id);
const value = (id) => field(id).value.trim();
const filled = (entries) => Object.fromEntries(Object.entries(entries).filter(([, entry]) => entry !== ""));

// A number that is not one stays a string, so that the stand-in's own check names the field.
function coordinate(id) {
  const written = value(id).replace(",", ".");
  return written !== "" && Number.isFinite(Number(written)) ? Number(written) : written;
}

const MESSAGES = {
  text: () => ({ type: "text", text: field("composer-text").value }),
  attachment: () => ({
    type: "attachment",
    attachment: filled({
      type: value("attachment-type"), url: value("attachment-url"),
      fileName: value("attachment-name"), description: value("attachment-description"),
    }),
  }),
  quick_reply: () => ({
    type: "quick_reply", title: value("quick-title"),
    replies: value("quick-replies").split("\n").map((line) => line.trim()).filter(Boolean),
  }),
  location: () => ({
    type: "location", latitude: coordinate("latitude"), longitude: coordinate("longitude"),
    ...filled({ address: value("address") }),
  }),
};

export function setUpComposer(form, send) {
  const problem = field("composer-problem");
  const kind = () => form.elements.kind.value;

  function showFields() {
    for (const group of form.querySelectorAll(".fields")) group.hidden = group.dataset.kind !== kind();
    problem.textContent = "";
  }

  const inputs = (chosen) => [...form.querySelectorAll(`.fields[data-kind="${chosen}"] :is(input, textarea)`)];

  // The fields are free again at once, and get their words back if the message was refused and nobody typed since.
  async function submit(event) {
    event.preventDefault();
    const chosen = kind();
    if (chosen === "text" && !field("composer-text").value.trim()) return;
    const message = MESSAGES[chosen]();
    const written = inputs(chosen).map((input) => [input, input.value]);
    for (const [input] of written) input.value = "";
    problem.textContent = "";
    try {
      await send(message);
    } catch (error) {
      problem.textContent = error.message;
      for (const [input, words] of written) input.value ||= words;
    }
  }

  form.addEventListener("change", (event) => event.target.name === "kind" && showFields());
  form.addEventListener("submit", submit);
  field("composer-text").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  showFields();
}
