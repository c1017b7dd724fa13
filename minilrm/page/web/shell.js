"use strict";
/* What the views share: elements, numbers in words, the pause that keeps the page alive, problems,
   and how a token looks. What a model wrote goes into the page as text (textContent) and nothing
   else. */

const DATA = JSON.parse(document.getElementById("data").textContent);

// -- elements -------------------------------------------------------------------------------------

/** An element with attributes and children; `onclick` and its like are listeners, texts are texts.
    */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** The same in SVG. */
function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A control with its name above it. */
function field(name, control, ...after) {
  return element("label", { class: "field" }, element("span", {}, name), control, ...after);
}

/** A choice among [value, label] pairs. */
function select(pairs, onchange = () => {}) {
  const options = pairs.map(([value, label]) => element("option", { value }, label));
  return element("select", { onchange }, ...options);
}

/** A slider that says its value beside its name. */
function slider(name, { min, max, step, value, show = String }) {
  const said = element("output", {}, show(value));
  const range = element("input", { type: "range", min, max, step, value,
    oninput: () => (said.textContent = show(Number(range.value))) });
  const label = element("label", { class: "field" }, element("span", {}, `${name} `, said), range);
  return { element: label, get value() { return Number(range.value); } };
}

const percent = (p) => (p > 0.9995 ? "100 %" : p < 0.001 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`);
const thousands = (n) => n.toLocaleString("en-US");
const plural = (n, word) => `${thousands(n)} ${word}${n === 1 ? "" : "s"}`;
const VERDICT = new Map([[true, "✓ right"], [false, "✗ wrong"], [null, ""]]);

// -- time -----------------------------------------------------------------------------------------

/** Work in a browser shares one thread with the page. A job asks `breathe` between two tokens: it
    gives the page a turn every few milliseconds, and keeps to the pace that the reader chose. */
class Job {
  constructor(pace = () => Infinity) {
    this.pace = pace; // tokens a second
    this.stopped = false;
    this.turn = performance.now();
    this.worked = 0; // milliseconds of work, without the waiting
  }

  async breathe() {
    const spent = performance.now() - this.turn, wanted = 1000 / this.pace();
    if (spent < 14 && wanted < 1) return;
    this.worked += spent;
    await new Promise((go) => setTimeout(go, Math.max(0, wanted - spent)));
    this.turn = performance.now();
  }
}

/** A button that starts a job, and stops it while it runs. restart(more) ends what runs and starts
    anew; `more` is handed on to the work. Two jobs never run at once. */
function startButton(label, work) {
  let job = null, latest = 0, running = Promise.resolve();
  const button = element("button", { class: "primary", type: "submit",
    onclick: () => (job ? stop() : restart()) }, label);
  function stop() {
    if (job) job.stopped = true;
  }
  function restart(more) {
    const mine = ++latest;
    stop();
    running = running.then(() => mine === latest && run(more));
    return running;
  }
  async function run(more) {
    job = new Job();
    button.textContent = "Stop";
    try {
      await work(job, more);
    } finally {
      job = null;
      button.textContent = label;
    }
  }
  return { element: button, restart };
}

// -- models and problems --------------------------------------------------------------------------

const ENTRIES = (DATA.models?.entries ?? []).map((entry) => ({ ...entry,
  tokenizer: DATA.models.shared[entry.tokenizer], task: DATA.models.shared[entry.task] }));
const opened = new Map();

/** The model of an entry; it is unpacked when it is first asked. */
function modelOf(entry) {
  if (!opened.has(entry)) opened.set(entry, loadModel(entry));
  return opened.get(entry);
}

const millions = (n) => `${(n / 1e6).toFixed(1)}M parameters`;
const nameOf = (entry) => `${entry.label} (${millions(entry.parameters)})`;

/** The models of the first task that two of them share, the one before reinforcement learning
    first; null if there are no two. */
function sameTask() {
  return ENTRIES.map(({ task }) => ENTRIES.filter((other) => other.task === task))
    .find((alike) => alike.length > 1) ?? null;
}

/** The model that a view opens with: the one after reinforcement learning, if there is one. */
const FIRST_SHOWN = Math.max(0, ENTRIES.indexOf(sameTask()?.[1]));

/** A question that the reader typed, as a problem; or a text that says what is missing. */
function problemOf(task, question) {
  question = question.trim().replace(/\s+/g, " ");
  const known = task.problems.find((problem) => problem.question === question);
  if (known) return known;
  if (!question) return "Type a question, or draw one.";
  const frame = task.frames[/[¿¡]/.test(question) ? "es" : "en"];
  if (task.judge !== "countdown")
    return { question, prompt: frame.replace("{}", () => question), answer: "" };
  const [target, ...numbers] = (question.match(/[0-9]{1,6}/g) || []).map(Number);
  if (numbers.length < 2 || numbers.length > 5)
    return "Ask like this: Make 53 with 4, 7, 25. (The target, then 2 to 5 numbers.)";
  const asked = `Make ${target} with ${numbers.join(", ")}.`;
  return { question: asked, prompt: frame.replace("{}", () => asked), answer: "", target, numbers };
}

/** The row with which each view begins: which model, which problem, and the reader's own controls.
    read() -> {entry, task, problem, temperature, seed} or null, after it has said what is missing.
    */
function desk({ entries, button, ids = ["Model"], controls = [], examples = [], first = 0,
  seed = 5 }) {
  let next = 1;
  const choices = entries.map((entry, i) => [i, nameOf(entry)]);
  const names = ids.map((id) => [id, select(choices, change)]);
  const question = element("input", { type: "text", "aria-label": "Problem", spellcheck: "false" });
  const heat = slider("Temperature", { min: 0, max: 2, step: 0.1, value: 1,
    show: (t) => (t ? t.toFixed(1) : "0, greedy") });
  const note = element("p", { class: "note", role: "status" });
  const entryOf = (i) => entries[Number(names[i][1].value)];

  function change() {
    const { problems } = entryOf(0).task;
    question.value = problems[next++ % problems.length].question;
    note.textContent = "";
  }
  function read() {
    const task = entryOf(0).task, problem = problemOf(task, question.value);
    const wrong = typeof problem === "string" ? problem : "";
    note.textContent = wrong || outOfReach(problem);
    if (wrong) return null;
    return { entry: entryOf(0), entries: names.map((_, i) => entryOf(i)), task, problem,
      temperature: heat.value, seed };
  }
  const form = element("form", { class: "desk", onsubmit: (event) => event.preventDefault() },
    element("div", { class: "ask" }, question, button.element,
      element("button", { type: "button", onclick: change }, "Draw a problem"),
      element("button", { type: "button", title: "The same problem, other random numbers",
        onclick: () => (seed++, button.restart()) }, "Draw again")),
    element("div", { class: "row" }, ...names.map(([id, box]) => field(id, box)), heat.element,
      ...controls),
    ...(examples.length ? [element("p", { class: "examples" }, "Try: ",
      ...examples.map(({ label, set }) => element("button", { type: "button", class: "link",
        onclick: () => (set(), button.restart()) }, label)))] : []),
    note);
  names.forEach(([, box], i) => (box.value = String(Math.min(first + i, entries.length - 1))));
  change();
  return { element: form, read, change, ask: (text) => (question.value = text),
    seed: (given) => (seed = given) };
}

/** A warning where a countdown has no solution; the model is asked all the same. */
function outOfReach({ numbers, target }) {
  return numbers && !withinReach(numbers, target)
    ? `${target} cannot be reached with these numbers by whole, non-negative steps.` : "";
}

// -- tokens ---------------------------------------------------------------------------------------

/** How a token looks: the more surprising it was (bits), the stronger its shade and its
    underline. What was put in has a frame; the word that announces another attempt is bold. */
function tokenElement(text, token, word) {
  const bits = -Math.log2(Math.max(token.p, 1e-12)), shown = text.replaceAll("\n", "↵\n");
  const made = element("span", { class: "token" }, shown);
  made.style.setProperty("--surprise", `${Math.min(100, Math.round(bits * 16))}%`);
  made.dataset.surprise = bits > 3 ? "high" : bits > 1 ? "some" : "none";
  if (!token.sampled) made.dataset.put = "in";
  if (word && text.trim() === word) made.dataset.word = "again";
  return made;
}

/** Appends to `box` the tokens of a chain that it does not show yet. */
function showTokens(box, model, task, chain) {
  const ids = chain.ids.filter((id) => id !== model.tokenizer.eos);
  const pieces = model.tokenizer.pieces(ids), word = task.reflection?.word;
  for (let i = box.children.length; i < ids.length; i++)
    box.append(tokenElement(pieces[i], chain.tokens[i], word));
}
