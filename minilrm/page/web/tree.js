"use strict";
/* Search over steps, as in minilrm/inference/search.py: beam, best-first, Monte-Carlo tree search.

   Each is an async generator that hands the tree out whenever it has grown, so that it can be
   drawn. A search counts every token that it has the model write; what was pruned has been paid
   for. */

const GOOD_ENOUGH = 0.95; // a finished answer with this score ends a search

/** A place in a search: the chain so far. state: "open", "explored", "pruned", "finished",
    "chosen". */
class Place {
  constructor(chain, parent = null, text = "", score = 1) {
    Object.assign(this, { chain, parent, text, score, state: "open" });
    Object.assign(this, { children: [], visits: 0, opened: 0, total: 0 });
  }

  /** Mean of the values that were found below. */
  get mean() {
    return this.visits ? this.total / this.visits : this.score;
  }
}

/** All places, parents before their children. */
function walk(root) {
  return [root, ...root.children.flatMap(walk)];
}

/** One search: the problem, the verifier, the budget of tokens and what is spent of it. */
class Search {
  constructor(model, task, problem, { budget, score, temperature, seed, pause }) {
    Object.assign(this, { model, task, problem, budget, score, temperature, seed, pause });
    this.tokens = 0;
    this.drawn = 0; // steps so far: each has random numbers of its own
    const [chain] = begin(model, model.tokenizer.encode(problem.prompt));
    this.root = new Place(chain);
  }

  get left() {
    return this.budget - this.tokens;
  }

  get settled() {
    return walk(this.root).some((p) => p.state === "finished" && p.score >= GOOD_ENOUGH);
  }

  /** Draw the next step behind a place, in n ways, and hang the new ones under it. */
  async grow(place, n) {
    const chains = Array.from({ length: n }, () => place.chain.fork(this.drawn++));
    let going = chains;
    while (going.length && this.left > 0) {
      const written = going.slice(0, this.left);
      this.tokens += step(this.model, written, {
        temperature: this.temperature,
        longest: this.task.longest,
        uniform: (chain) => noise(this.seed, chain.number, chain.tokens.length),
      });
      const over = written.filter((chain) => chain.ended || this.stepEnds(chain));
      going = going.filter((chain) => !over.includes(chain));
      await this.pause();
    }
    const grown = [];
    for (const chain of chains) {
      if (going.includes(chain)) continue; // cut off where the budget ended
      const child = this.judge(new Place(chain, place, textOf(this.model, chain)));
      if (place.children.some((other) => other.text === child.text)) continue;
      place.children.push(child);
      grown.push(child);
    }
    place.state = "explored";
    return grown;
  }

  stepEnds(chain) {
    const last = this.model.tokenizer.decode([chain.tokens.at(-1).id]);
    return [...this.task.step_ends].some((end) => last.includes(end));
  }

  /** Score a new place. What the model itself rejects is pruned at once, and so is an answer that
      cannot be read. */
  judge(place) {
    place.score = this.score(this.problem, place.text, place.chain.ended === "eos");
    if (place.chain.ended === "length" || place.text.trimEnd().endsWith(" no"))
      place.state = "pruned";
    else if (place.chain.ended)
      place.state = voteKey(this.task, place.text) === null ? "pruned" : "finished";
    return place;
  }

  /** The finished answer with the best score, marked as chosen. */
  choose() {
    const finished = walk(this.root).filter((place) => place.state === "finished");
    const best = finished.sort((a, b) => b.score - a.score)[0];
    if (best) best.state = "chosen";
    return best;
  }
}

function textOf(model, chain) {
  return model.tokenizer.decode(chain.ids.filter((id) => id !== model.tokenizer.eos));
}

// -- the verifiers --------------------------------------------------------------------------------

/** What a place is worth, 0 to 1. Both read only what is written; a finished answer is checked. */
const VERIFIERS = {
  exact: {
    label: "exact: can the target still be reached?",
    score: (problem, text, ended) =>
      Number(ended ? isRight({ judge: "countdown", mark: "<answer>" }, problem, text)
        : followSteps(problem, text).alive),
  },
  distance: {
    label: "heuristic: how near is the last result?",
    score: (problem, text, ended) => {
      if (ended) return Number(isRight({ judge: "countdown", mark: "<answer>" }, problem, text));
      const { last } = followSteps(problem, text);
      return last === null ? 0.5 : 0.9 / (1 + Math.abs(last - problem.target) / 10);
    },
  },
};

// -- the searches ---------------------------------------------------------------------------------

/** Keep the best `width` places; each that is unfinished goes on in `ways` ways. When no place is
    left, the beam starts anew with other draws, while the budget lasts. */
async function* beam(search, { width = 2, ways = 4 } = {}) {
  let alive = [], places = width;
  while (search.left > 0 && (alive.length || !search.settled)) {
    if (!alive.length) [alive, places] = [[search.root], width];
    const grown = [];
    for (const place of alive) {
      grown.push(...(await search.grow(place, place === search.root ? width * ways : ways)));
      yield;
    }
    const ranked = grown.filter((p) => p.state !== "pruned").sort((a, b) => b.score - a.score);
    for (const place of ranked.slice(places)) if (place.state === "open") place.state = "pruned";
    alive = ranked.slice(0, places).filter((place) => place.state === "open");
    places = alive.length;
    yield;
  }
}

/** Best first, with backtracking: always go on from the best open place, wherever it is. A place
    that has been tried waits again for other draws, with `patience` times its score. */
async function* bestFirst(search, { ways = 1, patience = 0.3 } = {}) {
  const waiting = [{ priority: 1, place: search.root }];
  while (search.left > 0 && waiting.length && !search.settled) {
    const best = waiting.reduce((a, b) => (b.priority > a.priority ? b : a));
    const place = waiting.splice(waiting.indexOf(best), 1)[0].place;
    for (const child of await search.grow(place, ways))
      if (child.state === "open") waiting.push({ priority: child.score, place: child });
    place.visits++;
    waiting.push({ priority: place.score * patience ** place.visits, place });
    yield;
  }
}

/** Monte-Carlo tree search: from the root down along

        mean value + curiosity * sqrt(visits of the parent) / (1 + visits)      (PUCT, equal priors)

    to a leaf, which is opened; the best score of its children goes into the mean of all above it. A
    place that was passed n times has been opened sqrt(n) times (progressive widening). */
async function* monteCarlo(search, { ways = 4, curiosity = 0.5 } = {}) {
  while (search.left > 0 && !search.settled) {
    const wish = curiosity * (search.left / search.budget);
    const worth = (p) => p.mean + (wish * Math.sqrt(p.parent.visits)) / (1 + p.visits);
    let place = search.root;
    while (place.opened >= Math.floor(Math.sqrt(place.visits))) {
      const going = place.children.filter((p) => p.state === "open" || p.state === "explored");
      if (!going.length) break;
      place = going.reduce((a, b) => (worth(b) > worth(a) ? b : a));
    }
    const grown = await search.grow(place, ways);
    place.opened++;
    const alive = grown.filter((p) => p.state !== "pruned").map((p) => p.score);
    const value = Math.max(0, ...alive);
    for (let above = place; above; above = above.parent) {
      above.visits++;
      above.total += value;
    }
    yield;
  }
}

const SEARCHES = {
  beam: { label: "beam search", run: beam },
  tree: { label: "best-first search", run: bestFirst },
  mcts: { label: "Monte-Carlo tree search", run: monteCarlo },
};
