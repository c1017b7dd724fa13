"use strict";
/* Many chains: sixteen answers to one problem, written side by side, and the vote among them. */

const MANY = 16;

function chainsView() {
  const cards = element("div", { class: "cards" });
  const votes = element("div", { class: "votes", role: "status" });
  const button = startButton("Write 16 chains", run);
  const top = desk({ entries: ENTRIES, first: FIRST_SHOWN, button });

  async function run(job) {
    const asked = top.read();
    if (!asked) return;
    const { task, problem, temperature, seed } = asked, model = await modelOf(asked.entry);
    const chains = begin(model, model.tokenizer.encode(problem.prompt), MANY);
    const shown = chains.map((chain) => card(chain, task));
    cards.replaceChildren(...shown.map((one) => one.element));
    while (chains.some((chain) => !chain.ended) && !job.stopped) {
      step(model, chains, { temperature, longest: task.longest,
        uniform: (chain) => noise(seed, chain.number, chain.tokens.length) });
      shown.forEach((one) => one.update(model, problem));
      showVotes(model, task, problem, chains);
      await job.breathe();
    }
    showVotes(model, task, problem, chains);
    cards.dataset.done = String(chains.filter((chain) => chain.ended).length);
  }

  /** One chain's card: its text as it grows, then its answer and what it cost. */
  function card(chain, task) {
    const text = element("div", { class: "trace small", tabindex: "0", "aria-label": "Chain" });
    const foot = element("footer", {}, "…");
    let over = false;
    function update(model, problem) {
      if (over) return;
      showTokens(text, model, task, chain);
      text.scrollTop = text.scrollHeight;
      foot.textContent = plural(chain.tokens.length, "token");
      over = Boolean(chain.ended);
      if (!over) return;
      const whole = textOf(model, chain), right = isRight(task, problem, whole);
      const answer = readAnswer(task, whole) ?? (chain.ended === "length" ? "cut off" : "none");
      foot.replaceChildren(element("code", {}, answer), ` ${VERDICT.get(right)} `,
        element("small", {}, plural(chain.tokens.length, "token")));
    }
    return { update, element: element("article", { class: "card" },
      element("h3", {}, `Chain ${chain.number + 1}`), text, foot) };
  }

  /** The vote so far: answers that mean the same share a bar, the one in the lead comes first. */
  function showVotes(model, task, problem, chains) {
    const tally = new Map(), tokens = chains.reduce((sum, chain) => sum + chain.tokens.length, 0);
    let rightOnes = 0;
    for (const chain of chains.filter((one) => one.ended === "eos")) {
      const text = textOf(model, chain), key = voteKey(task, text);
      const right = isRight(task, problem, text);
      rightOnes += right === true;
      if (key !== null) tally.set(key, { right, n: (tally.get(key)?.n ?? 0) + 1 });
    }
    const ended = chains.filter((chain) => chain.ended).length;
    const ordered = [...tally].sort((a, b) => b[1].n - a[1].n);
    const bars = ordered.slice(0, 8).map(([key, { n, right }], i) => {
      const bar = element("div", { class: "vote" }, element("code", {}, key),
        element("span", {}, `${n} ${n === 1 ? "vote" : "votes"}`),
        element("small", {}, `${VERDICT.get(right)}${i ? "" : " leads"}`));
      bar.style.setProperty("--p", `${(100 * n) / chains.length}%`);
      return bar;
    });
    const known = task.judge === "countdown" || problem.answer;
    votes.replaceChildren(element("h3", {}, "The vote"), ...bars,
      element("p", { class: "facts" }, `${ended} of ${chains.length} have ended, ` +
        `${plural(tokens, "token")} in all. ` + (known ? `${rightOnes} of them are right. ` : "") +
        (ordered.length > 8 ? `${ordered.length - 8} more answers have fewer votes.` : "")));
  }

  return { start: () => button.restart(), element: element("div", {}, top.element,
    element("div", { class: "columns" }, cards, element("aside", { class: "panel" }, votes))) };
}
