"use strict";
/* The page of `--watch`: asks its server for what the runs have logged, every few seconds. */

const EVERY = 3000, LOOKS = 5, SHOWN_AT_FIRST = 3;
const runs = new Map(); // name -> {lines, on, look, told}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.json();
}

const choice = element("div", { class: "runs", role: "group", "aria-label": "Runs" });
const curves = element("div", { class: "curves" });
const samples = element("div", {});

async function refresh() {
  const state = document.getElementById("state");
  try {
    for (const told of await ask("/runs")) {
      const known = runs.get(told.name);
      if (known) known.told = told;
      else runs.set(told.name, { lines: [], told, on: runs.size < SHOWN_AT_FIRST,
        look: runs.size % LOOKS });
    }
    const on = [...runs].filter(([, run]) => run.on);
    for (const [name, run] of on) {
      const query = `run=${encodeURIComponent(name)}`;
      run.lines.push(...await ask(`/metrics?${query}&after=${run.lines.length}`));
    }
    showChoice();
    curves.replaceChildren(...PANELS.map((panel) => drawPanel(panel, on.map(([, run]) => run)))
      .filter(Boolean));
    await showSamples(on);
    const going = on.filter(([, run]) => !run.told.ended).length;
    state.textContent = `${plural(runs.size, "run")}; of those shown ${going} have not ended. ` +
      `Read at ${new Date().toLocaleTimeString()}.`;
    document.body.dataset.done = String(on.length);
  } catch (error) {
    state.textContent = `The server does not answer (${error.message}); trying again.`;
  }
}

/** A box for each run, with the line that stands for it in the curves. Built anew only where there
    is another run, so that the keyboard's place is kept. */
function showChoice() {
  if (choice.children.length === runs.size) return;
  choice.replaceChildren(...[...runs].map(([name, run]) => {
    const box = element("input", { type: "checkbox", onchange: () => {
      run.on = box.checked;
      refresh();
    } });
    box.checked = run.on;
    const line = svg("svg", { width: 34, height: 10 },
      svg("path", { class: `curve run-${run.look}`, d: "M1,5H33" }));
    return element("label", { class: "check" }, box, line, name);
  }));
}

/** What the newest of the runs shown wrote last: the completions of one problem are a group. */
async function showSamples(on) {
  if (!on.length) return samples.replaceChildren();
  const open = new Set([...samples.querySelectorAll("details[open]")].map((d) => d.dataset.key));
  const [name] = on[0], groups = await ask(`/samples?run=${encodeURIComponent(name)}`);
  samples.replaceChildren(element("h2", {}, `What ${name} wrote last`),
    ...groups.map(({ prompt, step, completions }, i) => {
      const right = completions.filter(({ correct }) => correct).length;
      const made = element("details", { class: "card group", "data-key": prompt,
        open: i === 0 || open.has(prompt) },
      element("summary", {}, `${prompt} `, element("small", {},
        `step ${step}, ${plural(completions.length, "completion")}, ${right} right`)),
      ...completions.map(({ text, reward, correct }) => element("div", {},
        element("pre", {}, String(text ?? "").trim()),
        element("small", {}, `${VERDICT.get(correct) ?? ""} reward ${reward ?? "not logged"}`))));
      return made;
    }));
}

document.querySelector("main").append(choice, curves, samples);
(async () => {
  for (;;) {
    await refresh();
    await new Promise((go) => setTimeout(go, EVERY));
  }
})();
