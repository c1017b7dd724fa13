"use strict";
/* Think: one chain, token by token. Each token shows how sure the model was; a click goes back to
   its place and takes another way. */

function thinkView() {
  const trace = element("div", { class: "trace", role: "group", "aria-label": "What it writes" });
  const facts = element("p", { class: "facts", role: "status" });
  const panel = element("aside", { class: "panel" });
  const earlier = element("ol", { class: "earlier" });
  const pace = slider("Pace", { min: 0, max: 3, step: 1, value: 2,
    show: (i) => ["5 tokens/s", "20 tokens/s", "80 tokens/s", "as fast as it can"][i] });
  const fold = element("input", { type: "checkbox", onchange: showFold });
  const button = startButton("Think", think);
  const top = desk({ entries: ENTRIES, first: FIRST_SHOWN, button, controls: [pace.element,
    element("label", { class: "check" }, fold, "Fold the thinking")] });
  let now = null; // {model, task, problem, chain, seed, temperature, why}
  const chains = []; // all chains on this problem, newest last

  /** Write a chain, from the prompt or from a place where it forks. */
  async function think(job, fork) {
    if (!fork) {
      const asked = top.read();
      if (!asked) return;
      const model = await modelOf(asked.entry);
      const [chain] = begin(model, model.tokenizer.encode(asked.problem.prompt));
      if (now?.problem !== asked.problem || now?.model !== model) chains.length = 0;
      now = { ...asked, model, chain, why: "from the prompt" };
    } else now = fork;
    chains.push(now);
    job.pace = () => [5, 20, 80, Infinity][pace.value];
    const { model, task, chain, seed, temperature } = now;
    trace.replaceChildren();
    showTokens(trace, model, task, chain);
    const before = chain.tokens.length;
    while (!chain.ended && !job.stopped) {
      step(model, [chain], { temperature, longest: task.longest, keep: 8,
        uniform: () => noise(seed, fork ? chains.length : 0, chain.tokens.length) });
      showTokens(trace, model, task, chain);
      facts.textContent = `${plural(chain.tokens.length, "token")} …`;
      await job.breathe();
    }
    job.worked += performance.now() - job.turn;
    const speed = (1000 * (chain.tokens.length - before)) / Math.max(1, job.worked);
    finish(job.pace() === Infinity ? speed : 0);
  }

  function finish(speed) {
    const { model, task, problem, chain } = now, text = textOf(model, chain);
    const ended = { eos: "", length: ", cut off at the limit", "": ", stopped" }[chain.ended];
    facts.textContent = [`${plural(chain.tokens.length, "token")}${ended}`,
      speed ? `${Math.round(speed)} tokens/s` : "", VERDICT.get(isRight(task, problem, text))]
      .filter(Boolean).join(" · ");
    trace.dataset.done = chain.ended;
    showFold();
    const surest = Math.min(...chain.tokens.filter((token) => token.sampled).map(({ p }) => p));
    look(chain.tokens.findIndex(({ p }) => p === surest), false);
    showEarlier();
  }

  /** The thinking is all that stands before the mark of the answer. */
  function showFold() {
    const mark = now?.task.mark;
    let at = [...trace.children].findIndex((token) => mark && token.textContent.includes(mark));
    if (at < 0) at = 0;
    const folds = fold.checked && at > 0;
    trace.dataset.folded = folds ? `${plural(at, "token")} of thinking, folded` : "";
    [...trace.children].forEach((token, i) => (token.hidden = fold.checked && i < at));
  }

  /** The alternatives at a token's place, each a button that takes it. */
  function look(i, focus) {
    const token = now?.chain.tokens[i];
    if (!token) return;
    for (const other of trace.querySelectorAll("[tabindex]")) other.removeAttribute("tabindex");
    const box = trace.children[i];
    if (box) {
      box.tabIndex = 0;
      if (focus) box.focus();
      trace.querySelector("[data-looked]")?.removeAttribute("data-looked");
      box.dataset.looked = "";
    }
    const { tokenizer } = now.model;
    const rows = token.alternatives.map(({ id, p }) => {
      const taken = id === token.id;
      const row = element("button", { type: "button", class: "way", disabled: taken,
        title: taken ? "This one was taken" : "Go back to this place and take this one",
        onclick: () => forkAt(i, id) },
      element("code", {}, visible(tokenizer, id)), element("span", {}, percent(p)),
      element("small", {}, taken ? "taken" : "take it"));
      row.style.setProperty("--p", `${100 * p}%`);
      return row;
    });
    const bits = (-Math.log2(Math.max(token.p, 1e-12))).toFixed(1);
    panel.replaceChildren(element("h3", {}, `Token ${i + 1}: `,
      element("code", {}, visible(tokenizer, token.id))),
    element("p", {}, `It had ${percent(token.p)}, a surprise of ${bits} bits. ` +
      "Press another one to go back here and take that way."), ...rows);
  }

  /** Keep the first i tokens, put `id` behind them, and think on. */
  function forkAt(i, id) {
    const { model, chain } = now, kept = chain.tokens.slice(0, i);
    const prompt = model.tokenizer.encode(now.problem.prompt);
    const [branch] = begin(model, [...prompt, ...kept.map((token) => token.id), id]);
    const { p } = chain.tokens[i].alternatives.find((other) => other.id === id);
    branch.tokens = [...kept, { ...chain.tokens[i], id, p, sampled: false }];
    if (id === model.tokenizer.eos) branch.ended = "eos";
    const why = `at token ${i + 1}, ${visible(model.tokenizer, id)} instead of ` +
      visible(model.tokenizer, chain.tokens[i].id);
    button.restart({ ...now, chain: branch, why });
  }

  function showEarlier() {
    const lines = chains.map((one, k) => {
      const text = textOf(one.model, one.chain), right = isRight(one.task, one.problem, text);
      const said = readAnswer(one.task, text) ?? "no answer";
      return element("li", {}, element("button", { type: "button", class: "link",
        "aria-current": String(one === now), onclick: () => {
          now = one;
          trace.replaceChildren();
          showTokens(trace, one.model, one.task, one.chain);
          finish(0);
        } }, `Chain ${k + 1}, ${one.why}: `, element("code", {}, said), ` ${VERDICT.get(right)}`,
      `, ${plural(one.chain.tokens.length, "token")}`));
    });
    earlier.replaceChildren(...lines);
    earlier.parentElement.hidden = lines.length < 2;
  }

  const placeOf = (target) => [...trace.children].indexOf(target.closest(".token"));
  trace.addEventListener("mouseover", (event) => look(placeOf(event.target), false));
  trace.addEventListener("click", (event) => look(placeOf(event.target), true));
  trace.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const at = placeOf(event.target) + (way ?? 0);
    if (event.key === "Enter") panel.querySelector("button:not([disabled])")?.focus();
    if (!way || at < 0 || at >= trace.children.length) return;
    event.preventDefault();
    look(at, true);
  });
  return { start: () => button.restart(), element: element("div", {}, top.element,
    element("div", { class: "columns" },
      element("div", {}, trace, facts, element("p", { class: "legend" }, "Shade and underline: ",
        ...[["sure", 1], ["one bit or more", 0.4], ["three bits or more", 0.06]].map(([name, p]) =>
          tokenElement(name, { p, sampled: true }))),
      element("section", { hidden: true }, element("h3", {}, "Chains on this problem"), earlier)),
      panel)) };
}

/** A token's text with its blanks made visible. */
function visible(tokenizer, id) {
  if (id === tokenizer.eos) return "end of text";
  return tokenizer.decode([id]).replaceAll(" ", "␣").replaceAll("\n", "↵");
}
