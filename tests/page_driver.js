"use strict";
/* Runs parts of the page under node, without a browser: reads a request from stdin, writes JSON.

     node page_driver.js WEB < {"scripts": [...], "call": "complete", "each": [{...}, ...], ...}

   The scripts share one global scope, as they do in the page. The function `call` is asked once for
   each object in `each`, with the rest of the request beside it. */

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const [web] = process.argv.slice(2);
const request = JSON.parse(fs.readFileSync(0, "utf-8"));
for (const name of request.scripts)
  vm.runInThisContext(fs.readFileSync(path.join(web, name), "utf-8"), { filename: name });

// The calls are functions of the page's own scope, hence one more script.
vm.runInThisContext(`
const known = new Map(); // one model for all calls

function modelFor(entry) {
  if (!known.has(entry)) known.set(entry, loadModel(entry, entry.plain));
  return known.get(entry);
}

/** Chains on many prompts with the random numbers given; the logits before the first and after the
    last token, for comparison. */
async function complete({ entry, prompts, uniform, longest, temperature }) {
  const model = await modelFor(entry);
  const encoded = prompts.map((prompt) => model.tokenizer.encode(prompt));
  const chains = encoded.map((ids, i) => Object.assign(begin(model, ids)[0], { number: i }));
  const first = chains.map((chain) => Array.from(chain.logits, (x) => Math.round(x * 1e6) / 1e6));
  const started = performance.now();
  let tokens = 0;
  while (chains.some((chain) => !chain.ended))
    tokens += step(model, chains, { temperature, longest,
      uniform: (chain) => uniform[chain.number][chain.tokens.length] });
  return { kernel: Boolean(model.memory.kernel), encoded, ids: chains.map((chain) => chain.ids), ended: chains.map((c) => c.ended), first,
    texts: chains.map((chain) => textOf(model, chain)),
    speed: (1000 * tokens) / (performance.now() - started) };
}

/** A search to its end: what it chose, and the states of its places. */
async function searchFor({ entry, problem, method, verifier, budget, seed }) {
  const model = await modelFor(entry);
  const search = new Search(model, entry.task, problem, { budget, seed, temperature: 1,
    score: VERIFIERS[verifier].score, pause: async () => {} });
  for await (const _ of SEARCHES[method].run(search));
  const best = search.choose(), places = walk(search.root).slice(1);
  return { tokens: search.tokens, chosen: best ? readAnswer(entry.task, best.text) : null,
    right: best ? isRight(entry.task, problem, best.text) : null,
    places: places.map((p) => ({ text: p.text, state: p.state, score: p.score,
      alive: followSteps(problem, p.text).alive })) };
}

/** Texts, as the page reads and grades them. */
async function judge({ task, problem, texts }) {
  return texts.map((text) => ({ answer: readAnswer(task, text), right: isRight(task, problem, text),
    key: voteKey(task, text),
    alive: task.judge === "countdown" ? followSteps(problem, text).alive : null }));
}

async function encode({ entry, texts }) {
  const tokenizer = new Tokenizer(entry.tokenizer);
  return texts.map((text) => ({ ids: tokenizer.encode(text),
    back: tokenizer.decode(tokenizer.encode(text)) }));
}

/** Chains under the rule of the switch: "free", "banned" or "forced". */
async function ruled({ entry, prompts, how, longest }) {
  const model = await modelFor(entry), rule = ruleOf(model, entry.task, how);
  const chains = prompts.map((prompt, i) =>
    Object.assign(begin(model, model.tokenizer.encode(prompt))[0], { number: i }));
  while (chains.some((chain) => !chain.ended))
    step(model, chains, { temperature: 1, longest, rule,
      uniform: (chain) => noise(1, chain.number, chain.tokens.length) });
  return chains.map((chain) => ({ text: textOf(model, chain),
    put: chain.tokens.filter((token) => !token.sampled).map((token) => token.id) }));
}
`);

(async () => {
  const call = vm.runInThisContext(request.call);
  const { each, ...shared } = request, answers = [];
  for (const one of each) answers.push(await call({ ...shared, ...one }));
  process.stdout.write(JSON.stringify(answers));
})();
