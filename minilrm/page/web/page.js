"use strict";
/* The transformer once more, beside minilrm/model.py: in plain JavaScript, with nothing under it.

   bytes -> weights      unpack        bfloat16, in two planes, compressed
   text <-> ids          Tokenizer     byte-pair encoding
   ids -> logits         forward       one function reads prompts and writes tokens
   logits -> a token     distribution, draw
   tokens -> chains      Chain, step

   In shapes R is the number of rows (tokens that are read together), D the width of the model, H
   the query heads, K the key heads, d the width of a head, V the vocabulary. Matrices are flat
   Float32Arrays, row after row, as PyTorch lays them out. */

// -- weights --------------------------------------------------------------------------------------

/** Base64 text -> bytes. */
function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The opposite of gzip; the browser has it built in. */
async function gunzip(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Packed weights -> one Float32Array.

    A bfloat16 is the upper half of a float32. All upper bytes come first (sign and exponent: they
    are alike, so they compress well), then all lower ones. */
async function unpack(base64) {
  const planes = await gunzip(bytesOf(base64));
  const n = planes.length / 2;
  const bits = new Uint32Array(n);
  for (let i = 0; i < n; i++) bits[i] = (planes[i] << 24) | (planes[n + i] << 16);
  return new Float32Array(bits.buffer);
}

/** A model of the page's data, ready to run: {config, embed, norm, layers: [{...}], cos, sin}, and
    the memory (kernel.js) that it computes in. */
async function loadModel(entry, plain = false) {
  const all = await unpack(entry.weights), { config } = entry;
  const memory = new Memory(all.length + config.max_seq_len * scratchOf(config), plain);
  const layers = Array.from({ length: config.n_layers }, () => ({}));
  const model = { config, layers, memory, tokenizer: new Tokenizer(entry.tokenizer) };
  let start = 0;
  for (const [name, size] of entry.tensors) {
    const weight = memory.take(size);
    weight.set(all.subarray(start, (start += size)));
    const [, layer, rest] = /^layers\.(\d+)\.(.*)$/.exec(name) ?? [];
    if (layer) layers[layer][rest] = weight;
    else model[name.replace("embed_tokens", "embed").replace(".weight", "")] = weight;
  }
  memory.keep();
  return Object.assign(model, ropeTables(config));
}

/** The floats that `forward` needs for a row. */
function scratchOf({ dim, n_heads, n_kv_heads, head_dim, ffn_dim, vocab_size }) {
  return 4 * dim + 2 * n_heads * head_dim + 2 * n_kv_heads * head_dim + 2 * ffn_dim + vocab_size;
}

/** cos and sin of the rotary angles, [positions, d / 2]: pair i of a head turns by
    position * theta^(-2i / d). Rounded where PyTorch rounds. */
function ropeTables({ max_seq_len, head_dim, rope_theta }) {
  const half = head_dim / 2;
  const cos = new Float32Array(max_seq_len * half), sin = new Float32Array(max_seq_len * half);
  for (let i = 0; i < half; i++) {
    const frequency = Math.fround(Math.pow(rope_theta, Math.fround((-2 * i) / head_dim)));
    for (let p = 0; p < max_seq_len; p++) {
      const angle = Math.fround(p * frequency);
      cos[p * half + i] = Math.cos(angle);
      sin[p * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

// -- text <-> ids ---------------------------------------------------------------------------------

/** Byte-pair encoding, as in minilrm/tokenizer/encoding.py. A token is written as a text with one
    character for each byte. Special tokens come first; a user's text never makes one. */
class Tokenizer {
  constructor({ pattern, specials, tokens, eos }) {
    this.words = new RegExp(pattern, "gu");
    this.specials = specials;
    this.tokens = [...specials.map(textOfBytes), ...tokens];
    this.ids = new Map(tokens.map((token, i) => [token, specials.length + i]));
    this.eos = eos;
  }

  /** Text -> ids: cut it into words; in each, merge the pair that was learnt first, again and
      again. A pair that makes a known token is a merge, and a lower id was learnt earlier. */
  encode(text) {
    const ids = [];
    for (const [word] of text.matchAll(this.words)) {
      const symbols = [...textOfBytes(word)];
      for (;;) {
        let first = Infinity, at = -1;
        for (let i = 0; i + 1 < symbols.length; i++) {
          const id = this.ids.get(symbols[i] + symbols[i + 1]);
          if (id < first) [first, at] = [id, i];
        }
        if (at < 0) break;
        symbols.splice(at, 2, symbols[at] + symbols[at + 1]);
      }
      for (const symbol of symbols) ids.push(this.ids.get(symbol));
    }
    return ids;
  }

  /** The bytes of one token. */
  bytes(id) {
    return Uint8Array.from(this.tokens[id], (character) => character.charCodeAt(0));
  }

  /** The text of each token. A character whose bytes are spread over tokens stands with the last.
      */
  pieces(ids) {
    const decoder = new TextDecoder();
    return ids.map((id) => decoder.decode(this.bytes(id), { stream: true }));
  }

  decode(ids) {
    const decoder = new TextDecoder();
    return ids.map((id) => decoder.decode(this.bytes(id), { stream: true })).join("") +
      decoder.decode();
  }
}

/** The UTF-8 bytes of a text, as a text with one character for each byte. */
function textOfBytes(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

// -- the transformer ------------------------------------------------------------------------------

/** Keys and values of the tokens that a chain has read: k, v of each layer are [room, K d]. */
class Cache {
  constructor(model, room = 64) {
    const { n_layers, n_kv_heads, head_dim } = model.config;
    this.width = n_kv_heads * head_dim;
    this.length = 0;
    this.room = room;
    const layers = Array.from({ length: n_layers });
    [this.k, this.v] = [0, 1].map(() => layers.map(() => new Float32Array(room * this.width)));
  }

  /** Room for n more tokens. */
  reserve(n) {
    if (this.length + n <= this.room) return;
    this.room = 2 * (this.length + n);
    for (const side of [this.k, this.v]) {
      side.forEach((old, i) => {
        side[i] = new Float32Array(this.room * this.width);
        side[i].set(old.subarray(0, this.length * this.width));
      });
    }
  }

  /** A copy that goes its own way: how a chain branches without reading anything again. */
  fork() {
    const [k, v] = [this.k, this.v].map((side) => side.map((array) => array.slice()));
    return Object.assign(Object.create(Cache.prototype), this, { k, v });
  }
}

/** out [R, O] = x [R, I] times the transpose of weight [O, I]. Nearly all of the time goes here.
    Four rows at once, so that a weight that was fetched from memory is used four times. */
function multiply(out, x, weight, R, O, I) {
  let r = 0;
  for (; r + 4 <= R; r += 4) {
    const x0 = r * I, x1 = x0 + I, x2 = x1 + I, x3 = x2 + I;
    for (let o = 0; o < O; o++) {
      let a = 0, b = 0, c = 0, e = 0;
      for (let i = 0, w = o * I; i < I; i++, w++) {
        const value = weight[w];
        a += x[x0 + i] * value;
        b += x[x1 + i] * value;
        c += x[x2 + i] * value;
        e += x[x3 + i] * value;
      }
      out[r * O + o] = a;
      out[(r + 1) * O + o] = b;
      out[(r + 2) * O + o] = c;
      out[(r + 3) * O + o] = e;
    }
  }
  for (; r < R; r++) {
    for (let o = 0; o < O; o++) { // four sums side by side: none waits for another
      let a = 0, b = 0, c = 0, e = 0;
      for (let i = 0, p = r * I, w = o * I; i < I; i += 4, p += 4, w += 4) {
        a += x[p] * weight[w];
        b += x[p + 1] * weight[w + 1];
        c += x[p + 2] * weight[w + 2];
        e += x[p + 3] * weight[w + 3];
      }
      out[r * O + o] = a + b + (c + e);
    }
  }
}

/** RMSNorm, x / rms(x) * weight, of `count` vectors that begin at `start`, into out. */
function normalise(out, x, weight, count, eps, start = 0) {
  const n = weight.length;
  for (let r = 0, p = start; r < count; r++, p += n) {
    let squares = 0;
    for (let i = 0; i < n; i++) squares += x[p + i] * x[p + i];
    const scale = 1 / Math.sqrt(squares / n + eps);
    for (let i = 0; i < n; i++) out[p + i] = x[p + i] * scale * weight[i];
  }
}

/** Rotate `heads` vectors of x that begin at `start`: pairs are (i, i + d / 2). */
function rotate(model, x, start, heads, position) {
  const d = model.config.head_dim, half = d / 2, table = position * half;
  for (let h = 0, p = start; h < heads; h++, p += d) {
    for (let i = 0; i < half; i++) {
      const a = x[p + i], b = x[p + half + i], c = model.cos[table + i], s = model.sin[table + i];
      x[p + i] = a * c - b * s;
      x[p + half + i] = b * c + a * s;
    }
  }
}

/** out, from `start`: softmax(q k^T / sqrt(d)) v for all H heads of one token, over the `length`
    tokens it may see. Query head h reads key head h K / H (grouped-query attention). */
function attend(config, out, q, k, v, start, length, scores) {
  const { n_heads: H, n_kv_heads: K, head_dim: d } = config;
  const width = K * d, scale = 1 / Math.sqrt(d);
  for (let h = 0; h < H; h++) {
    const query = start + h * d, head = Math.floor((h * K) / H) * d;
    let largest = -Infinity, total = 0;
    for (let t = 0; t < length; t++) {
      let dot = 0;
      for (let i = 0, p = t * width + head; i < d; i++) dot += q[query + i] * k[p + i];
      scores[t] = dot * scale;
      if (scores[t] > largest) largest = scores[t];
    }
    for (let t = 0; t < length; t++) total += scores[t] = Math.exp(scores[t] - largest);
    out.fill(0, query, query + d);
    for (let t = 0; t < length; t++) {
      const share = scores[t] / total;
      for (let i = 0, p = t * width + head; i < d; i++) out[query + i] += share * v[p + i];
    }
  }
}

/** Read R tokens: row r is the token ids[r] at the end of caches[r]. Rows may share a cache (a
    prompt, read at once) or have one each (many chains, one token further); both may be mixed.

    Returns the logits of the rows in `wanted`, flat, [wanted, V]. */
function forward(model, ids, caches, wanted = ids.map((_, r) => r)) {
  const { dim: D, n_heads, n_kv_heads, head_dim, ffn_dim: F, vocab_size: V, norm_eps: eps } =
    model.config;
  const R = ids.length, Q = n_heads * head_dim, W = n_kv_heads * head_dim;
  const positions = caches.map((cache) => (cache.reserve(1), cache.length++));
  const { memory } = model;
  memory.release();
  const [x, y, added, q, seen, k, v, gate, up] =
    [D, D, D, Q, Q, W, W, F, F].map((width) => memory.take(R * width));
  const scores = new Float64Array(Math.max(...positions) + 1);
  ids.forEach((id, r) => x.set(model.embed.subarray(id * D, (id + 1) * D), r * D));

  model.layers.forEach((layer, l) => {
    normalise(y, x, layer["input_layernorm.weight"], R, eps);
    memory.multiply(q, y, layer["self_attn.q_proj.weight"], R, Q, D);
    memory.multiply(k, y, layer["self_attn.k_proj.weight"], R, W, D);
    memory.multiply(v, y, layer["self_attn.v_proj.weight"], R, W, D);
    normalise(q, q, layer["self_attn.q_norm.weight"], R * n_heads, eps);
    normalise(k, k, layer["self_attn.k_norm.weight"], R * n_kv_heads, eps);
    for (let r = 0; r < R; r++) {
      rotate(model, q, r * Q, n_heads, positions[r]);
      rotate(model, k, r * W, n_kv_heads, positions[r]);
      caches[r].k[l].set(k.subarray(r * W, (r + 1) * W), positions[r] * W);
      caches[r].v[l].set(v.subarray(r * W, (r + 1) * W), positions[r] * W);
    }
    for (let r = 0; r < R; r++) {
      const { k, v } = caches[r];
      attend(model.config, seen, q, k[l], v[l], r * Q, positions[r] + 1, scores);
    }
    memory.multiply(added, seen, layer["self_attn.o_proj.weight"], R, D, Q);
    for (let i = 0; i < R * D; i++) x[i] += added[i];

    normalise(y, x, layer["post_attention_layernorm.weight"], R, eps);
    memory.multiply(gate, y, layer["mlp.gate_proj.weight"], R, F, D);
    memory.multiply(up, y, layer["mlp.up_proj.weight"], R, F, D);
    for (let i = 0; i < R * F; i++) gate[i] *= up[i] / (1 + Math.exp(-gate[i])); // silu(gate) * up
    memory.multiply(added, gate, layer["mlp.down_proj.weight"], R, D, F);
    for (let i = 0; i < R * D; i++) x[i] += added[i];
  });

  const last = memory.take(wanted.length * D), logits = memory.take(wanted.length * V);
  wanted.forEach((r, i) => last.set(x.subarray(r * D, (r + 1) * D), i * D));
  normalise(last, last, model.norm, wanted.length, eps);
  memory.multiply(logits, last, model.embed, wanted.length, V, D); // the embeddings, once more
  return logits.slice();
}

// -- from logits to a token -----------------------------------------------------------------------

/** softmax(logits / temperature), without the banned ids. Temperature 0 is shown as 1: what is
    taken there is the likeliest, but how likely it is is worth seeing. */
function distribution(logits, temperature = 1, banned = []) {
  const probs = new Float64Array(logits.length), heat = temperature || 1;
  let largest = -Infinity, total = 0;
  probs.set(logits);
  for (const id of banned) probs[id] = -Infinity;
  for (const value of probs) if (value > largest) largest = value;
  for (let i = 0; i < probs.length; i++) total += probs[i] = Math.exp((probs[i] - largest) / heat);
  return probs.map((p) => p / total);
}

/** The first id whose cumulative probability exceeds u; at temperature 0 the likeliest. */
function draw(probs, u, temperature) {
  if (temperature === 0) return probs.reduce((best, p, i) => (p > probs[best] ? i : best), 0);
  let sum = 0, last = 0;
  for (let i = 0; i < probs.length; i++) {
    if (probs[i] > 0) last = i;
    sum += probs[i];
    if (sum > u) return i;
  }
  return last;
}

/** A number in [0, 1) that depends on the seed, the chain and the token's place alone. So two
    models with the same seed are given the same numbers, and no chain disturbs another. */
function noise(seed, chain, place) {
  let h = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(chain + 1, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15) ^ Math.imul(place + 1, 0x27d4eb2f), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
}

/** The n likeliest ids, likeliest first. */
function likeliest(probs, n) {
  const ids = [...probs.keys()].sort((a, b) => probs[b] - probs[a]);
  return ids.slice(0, n).map((id) => ({ id, p: probs[id] }));
}

// -- chains ---------------------------------------------------------------------------------------

/** What one chain has said. tokens: {id, p, sampled, alternatives}. ended: "" | "eos" | "length".
    */
class Chain {
  constructor(cache, logits, number = 0, tokens = []) {
    Object.assign(this, { cache, logits, number, tokens, waiting: [], ended: "" });
  }

  get ids() {
    return this.tokens.map((token) => token.id);
  }

  fork(number) {
    return new Chain(this.cache.fork(), this.logits, number, [...this.tokens]);
  }
}

/** n chains that go on from a prompt, which is read once. */
function begin(model, prompt, n = 1) {
  const cache = new Cache(model, prompt.length + 64);
  const logits = forward(model, prompt, prompt.map(() => cache), [prompt.length - 1]);
  return Array.from({ length: n }, (_, i) => new Chain(i ? cache.fork() : cache, logits, i));
}

/** One token more in every chain that has not ended; returns how many were written.

    how.uniform(chain) gives the random number. how.rule(chain), if there is one, answers {ban: ids}
    or {insert: ids}, which the chain then reads without having chosen them. */
function step(model, chains, how) {
  const going = chains.filter((chain) => !chain.ended);
  for (const chain of going) {
    const { ban = [], insert = [] } = (!chain.waiting.length && how.rule?.(chain)) || {};
    chain.waiting.push(...insert);
    const probs = distribution(chain.logits, how.temperature, ban);
    const sampled = !chain.waiting.length;
    const id = sampled ? draw(probs, how.uniform(chain), how.temperature) : chain.waiting.shift();
    const alternatives = how.keep ? likeliest(probs, how.keep) : [];
    chain.tokens.push({ id, p: probs[id], sampled, alternatives });
    if (id === model.tokenizer.eos) chain.ended = "eos";
    else if (chain.tokens.length >= how.longest || chain.cache.length >= model.config.max_seq_len)
      chain.ended = "length";
  }
  const reading = going.filter((chain) => !chain.ended);
  if (reading.length) {
    const ids = reading.map((chain) => chain.tokens.at(-1).id), V = model.config.vocab_size;
    const logits = forward(model, ids, reading.map((chain) => chain.cache));
    reading.forEach((chain, r) => (chain.logits = logits.subarray(r * V, (r + 1) * V)));
  }
  return going.length;
}
