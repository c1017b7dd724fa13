"use strict";
/* Search: the tree as it grows, and best-of-N with as many tokens beside it. */

const STATES = { open: ["○", "open"], explored: ["●", "explored"], pruned: ["✕", "pruned"],
  finished: ["□", "finished"], chosen: ["★", "chosen"] };

function searchView() {
  const entries = ENTRIES.filter((entry) => entry.task.judge === "countdown");
  if (!entries.length)
    return { start() {}, element: element("p", { class: "facts" },
      "Search needs a verifier of single steps. This page has one for countdown: write it with a ",
      element("code", {}, "--checkpoint"), " that was trained on countdown.") };
  const method = select(Object.entries(SEARCHES).map(([id, { label }]) => [id, label]));
  const verifier = select(Object.entries(VERIFIERS).map(([id, { label }]) => [id, label]));
  const budget = slider("Budget", { min: 100, max: 1200, step: 50, value: 400,
    show: (n) => `${n} tokens` });
  const picture = element("div", { class: "tree", tabindex: "0", role: "img" });
  const facts = element("div", { class: "facts", role: "status" });
  const sampled = element("div", { class: "sampled" });
  const button = startButton("Search", run);
  const example = (label, question, how, judge) => ({ label, set() {
    top.ask(question);
    top.seed(1);
    [method.value, verifier.value] = [how, judge];
  } });
  const top = desk({ entries, button,
    controls: [field("Method", method), field("Verifier", verifier), budget.element],
    examples: [
      example("a heuristic prunes the only ways", "Make 35 with 3, 15, 7.", "beam", "distance"),
      example("the exact verifier keeps them", "Make 35 with 3, 15, 7.", "beam", "exact"),
      example("one way is pruned, another stays", "Make 35 with 18, 2, 19.", "beam", "distance"),
      example("tree search on four numbers", "Make 24 with 3, 5, 7, 9.", "mcts", "exact"),
    ] });
  top.ask("Make 35 with 3, 15, 7.");
  [method.value, verifier.value] = ["beam", "distance"];

  async function run(job) {
    const asked = top.read();
    if (!asked) return;
    const { task, problem, temperature, seed } = asked, model = await modelOf(asked.entry);
    const search = new Search(model, task, problem, { budget: budget.value, temperature, seed,
      score: VERIFIERS[verifier.value].score, pause: () => job.breathe() });
    sampled.replaceChildren();
    delete picture.dataset.done;
    for await (const _ of SEARCHES[method.value].run(search)) {
      show(search, "");
      await new Promise((go) => setTimeout(go, 30)); // so that one sees it grow
      if (job.stopped) return;
    }
    const best = search.choose();
    show(search, best
      ? `It chose ${readAnswer(task, best.text)} ${VERDICT.get(isRight(task, problem, best.text))}`
      : "The budget ended before there was an answer.");
    await bestOfN(job, asked, model, search.tokens);
    picture.dataset.done = String(walk(search.root).length);
  }

  function show(search, outcome) {
    const places = walk(search.root).slice(1);
    const count = (state) => places.filter((place) => place.state === state).length;
    drawTree(picture, search);
    picture.setAttribute("aria-label", `A tree of ${plural(places.length, "step")}`);
    const lost = places.filter((place) => isLost(search, place));
    facts.replaceChildren(element("p", {},
      `${plural(search.tokens, "token")} of ${search.budget}; ${plural(places.length, "step")}: ` +
      `${count("explored")} explored, ${count("pruned")} pruned. ${outcome}`),
    ...(lost.length ? [element("p", { class: "warning" },
      `It pruned ${plural(lost.length, "place")} from which the target can still be reached ` +
      `(marked !): ${lost.slice(0, 3).map(stepText).join("; ")}.`)] : []));
  }

  /** Whole chains, one after the other, with as many tokens as the search took; the first that is
      right ends it, as the same verifier would see it. */
  async function bestOfN(job, { task, problem, temperature, seed }, model, tokens) {
    const list = element("ol", {});
    const prompt = model.tokenizer.encode(problem.prompt);
    let spent = 0, solved = false;
    sampled.replaceChildren(element("h3", {}, "Best of N, with as many tokens"), list);
    for (let n = 0; spent < tokens && !solved && !job.stopped; n++) {
      const [chain] = begin(model, prompt);
      while (!chain.ended && spent < tokens) {
        spent += step(model, [chain], { temperature, longest: task.longest,
          uniform: () => noise(seed, 1000 + n, chain.tokens.length) });
        await job.breathe();
      }
      const text = textOf(model, chain);
      solved = chain.ended === "eos" && isRight(task, problem, text);
      list.append(element("li", {}, element("code", {}, readAnswer(task, text) ?? "cut off"),
        ` ${solved ? "✓ right" : "✗"}, ${plural(chain.tokens.length, "token")}`));
    }
    const outcome = solved ? "solved" : "not solved";
    sampled.append(element("p", {}, `${plural(spent, "token")}: ${outcome}.`));
  }

  const legend = element("p", { class: "legend" }, ...Object.values(STATES).map(([sign, name]) =>
    element("span", { class: `state ${name}` }, `${sign} ${name}`)));
  return { start: () => button.restart(), element: element("div", {}, top.element, legend,
    element("div", { class: "columns" }, picture,
      element("aside", { class: "panel" }, facts, sampled))) };
}

/** Whether a place was pruned although the target can still be reached from it. */
function isLost({ problem }, place) {
  return place.state === "pruned" && !place.chain.ended && followSteps(problem, place.text).alive;
}

// -- the picture ----------------------------------------------------------------------------------

/** What the last step of a place says. */
function stepText(place) {
  const said = place.text.slice(place.parent?.text.length ?? 0).replace(/<\/?answer>/g, " ");
  return said.trim().replace(/,$/, "").replaceAll("\n", " ").slice(0, 30) || "…";
}

const ROW = 26, FIRST = 96, COLUMN = 158, LETTER = 7.6; // pixels

/** A label that fits into a column. */
const shorten = (text) => (text.length > 15 ? `${text.slice(0, 14)}…` : text);

/** The tree from left to right: leaves one under the other, a parent in the middle of its children.
    Signs and lines say the state; colour only repeats it. */
function drawTree(box, search) {
  let rows = 0, deepest = 0;
  const lines = [], marks = [];
  function lay(place, depth) {
    deepest = Math.max(deepest, depth);
    const ys = place.children.map((child) => lay(child, depth + 1));
    const y = ys.length ? (ys[0] + ys.at(-1)) / 2 : ROW * (rows++ + 0.7);
    const lost = isLost(search, place), label = shorten(stepText(place)) + (lost ? " !" : "");
    const x = depth ? FIRST + (depth - 1) * COLUMN : 14;
    place.children.forEach((child, i) => {
      const from = x + 20 + LETTER * (depth ? label.length : 0), to = FIRST + depth * COLUMN - 8;
      const mid = Math.max((from + to) / 2, to - 24);
      lines.push(svg("path", { class: `line ${child.state}`,
        d: `M${from},${y} H${to - 48} C${mid},${y} ${mid},${ys[i]} ${to},${ys[i]}` }));
    });
    const [sign] = STATES[place.state];
    marks.push(svg("g", { class: `place ${place.state}${lost ? " lost" : ""}` },
      svg("title", {}, `${place.text.trim() || "the problem"}\nscore ${place.score.toFixed(2)}, ` +
        place.state + (lost ? "; the target can still be reached" : "")),
      svg("text", { x, y: y + 4, class: "sign" }, depth ? sign : "◆"),
      ...(depth ? [svg("text", { x: x + 16, y: y + 4 }, label)] : [])));
    return y;
  }
  lay(search.root, 0);
  const width = FIRST + Math.max(deepest, 1) * COLUMN, height = Math.max(rows, 2) * ROW + 8;
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  box.replaceChildren(svg("svg", size, ...lines, ...marks));
}
