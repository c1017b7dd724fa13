"use strict";
/* Before and after reinforcement learning: one problem and one set of random numbers, two models;
   and what becomes of both when the word for another attempt is banned, or put in by force. */

const TALLY = 20; // problems

function compareView() {
  const pair = sameTask();
  if (!pair)
    return { start() {}, element: element("p", { class: "facts" },
      "This view needs two models of one task. Write a page with both: ",
      element("code", {}, "python -m minilrm.page --out page.html --checkpoint countdown-base " +
        "--checkpoint runs/grpo-countdown-…")) };
  const word = select([["free", "as the model likes"], ["banned", "banned"],
    ["forced", "put in after each “no”"]]);
  const sides = [0, 1].map(() => ({ head: element("h3", {}), made: element("p", { class: "made" }),
    trace: element("div", { class: "trace" }), facts: element("p", { class: "facts" }) }));
  const table = element("div", { class: "tally", role: "status" });
  const button = startButton("Write both", writeBoth);
  const many = startButton(`Ask both ${TALLY} problems`, tally);
  const traced = pair[0].task.reflection;
  const top = desk({ entries: pair, ids: ["Before", "After"], button,
    controls: traced ? [field(`The word “${traced.word}”`, word)] : [] });

  async function writeBoth(job) {
    const asked = top.read();
    if (!asked) return;
    const { task, problem, temperature, seed } = asked;
    const runs = await Promise.all(asked.entries.map(async (entry, i) => {
      const model = await modelOf(entry), side = sides[i];
      const [chain] = begin(model, model.tokenizer.encode(problem.prompt));
      side.head.textContent = entry.label;
      side.made.replaceChildren(entry.made_by ? "made by " : "",
        element("code", {}, entry.made_by));
      side.trace.replaceChildren();
      return { model, side, chain, rule: ruleOf(model, task, word.value) };
    }));
    job.pace = () => 60;
    while (runs.some(({ chain }) => !chain.ended) && !job.stopped) {
      for (const { model, side, chain, rule } of runs) {
        step(model, [chain], { temperature, longest: task.longest, rule,
          uniform: () => noise(seed, 0, chain.tokens.length) });
        showTokens(side.trace, model, task, chain);
        side.facts.textContent = sentence(model, task, problem, chain);
      }
      await job.breathe();
    }
    for (const { side } of runs) side.trace.dataset.done = "eos";
  }

  /** Both models on the first problems of the page, with the same numbers: how often right, at what
      length, and how often an attempt that failed was followed by another. */
  async function tally(job) {
    const asked = top.read();
    if (!asked) return;
    const { task, temperature, seed } = asked, problems = task.problems.slice(0, TALLY);
    const rows = [];
    for (const entry of asked.entries) {
      const model = await modelOf(entry), rule = ruleOf(model, task, word.value);
      const chains = problems.map((problem, i) =>
        Object.assign(begin(model, model.tokenizer.encode(problem.prompt))[0], { number: i }));
      while (chains.some((chain) => !chain.ended) && !job.stopped) {
        step(model, chains, { temperature, longest: task.longest, rule,
          uniform: (chain) => noise(seed, chain.number, chain.tokens.length) });
        table.textContent = `${entry.label}: ${chains.filter((c) => c.ended).length} of ` +
          `${problems.length} have ended …`;
        await job.breathe();
      }
      const texts = chains.map((chain) => textOf(model, chain));
      rows.push([entry.label, texts.filter((text, i) => isRight(task, problems[i], text)).length,
        chains.reduce((sum, chain) => sum + chain.tokens.length, 0) / chains.length,
        ...(traced ? [sum(texts.map((text) => attempts(task, text).again))] : [])]);
    }
    showTally(rows, problems.length);
  }

  function showTally(rows, n) {
    const heads = ["model", `right, of ${n}`, "tokens per answer",
      ...(traced ? [`“${traced.word}”, in all`] : [])];
    table.replaceChildren(element("table", {}, element("caption", {},
      `The first ${n} problems of this page, one answer each. So few say little: the project's ` +
      "figures are of a thousand."),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {}, head)))),
    element("tbody", {}, ...rows.map(([label, right, length, ...again]) =>
      element("tr", {}, element("th", {}, label), element("td", {}, String(right)),
        element("td", {}, length.toFixed(1)),
        ...again.map((count) => element("td", {}, String(count))))))));
  }

  return { start: () => button.restart(), element: element("div", {}, top.element,
    element("div", { class: "pair" }, ...sides.map(({ head, made, trace, facts }) =>
      element("section", { class: "card" }, head, made, trace, facts))),
    many.element, table) };
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/** How many attempts a text makes, by the words that its writer says: {failed, again}. */
function attempts(task, text) {
  const { word } = task.reflection;
  return { failed: text.split(" no\n").length - 1, again: text.split(`\n${word}`).length - 1 };
}

/** What there is to say of a chain so far. */
function sentence(model, task, problem, chain) {
  const text = textOf(model, chain), parts = [plural(chain.tokens.length, "token")];
  if (task.reflection) {
    const { again } = attempts(task, text);
    parts.push(`tries again ${again === 1 ? "once" : `${again} times`}`);
  }
  if (chain.ended) parts.push(VERDICT.get(isRight(task, problem, text)));
  return parts.filter(Boolean).join(" · ");
}
