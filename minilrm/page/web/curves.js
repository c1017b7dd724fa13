"use strict";
/* Curves of several runs in one panel: each run has a dash pattern of its own beside its colour. */

/** The panels, in this order; a panel of which no run has logged anything is left out. A curve is
    [event, key]; what is logged at every step is drawn faint, and its smoothed course over it. */
const PANELS = [
  { title: "Reward", curves: [["train", "reward"]] },
  { title: "Accuracy in training", curves: [["train", "accuracy"]], share: true },
  { title: "Accuracy, held out", curves: [["eval", "accuracy"]], share: true },
  { title: "Mean length, tokens", curves: [["train", "completions/mean_length"]] },
  { title: "Tries again after failing", curves: [["train", "reflection/retry_rate"]], share: true },
  { title: "First try right", curves: [["train", "reflection/first_try_accuracy"]], share: true },
  { title: "Completions that think", curves: [["train", "completions/think_rate"]], share: true },
  { title: "Groups that teach nothing", curves: [["train", "frac_reward_zero_std"]], share: true },
  { title: "Entropy, nats per token", curves: [["train", "entropy"]] },
  { title: "KL to the reference", curves: [["train", "kl"]] },
  { title: "Training loss", curves: [["train", "loss"]] },
  { title: "Held-out loss", curves: [["eval", "val_loss"]] },
  { title: "Gradient norm", curves: [["train", "grad_norm"]] },
];

/** [step, value] of what a run has logged under an event and a key. */
function pointsOf(lines, event, key) {
  return lines.filter((line) => line.event === event && typeof line[key] === "number")
    .map((line) => [line.step, line[key]]);
}

/** The mean of each point and its neighbours, `reach` to each side. */
function smooth(points, reach) {
  return points.map(([step], i) => {
    const near = points.slice(Math.max(0, i - reach), i + reach + 1);
    return [step, near.reduce((total, [, value]) => total + value, 0) / near.length];
  });
}

/** Round numbers that divide low..high into about `n` parts. */
function ticks(low, high, n = 3) {
  const raw = (high - low) / n || 1, power = 10 ** Math.floor(Math.log10(raw));
  const size = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let t = Math.ceil(low / size) * size; t <= high + size * 1e-9; t += size) found.push(t);
  return found;
}

/** One panel as SVG; runs: [{lines, look}]. null if there is nothing to draw. */
function drawPanel({ title, curves, share }, runs) {
  const WIDTH = 360, HEIGHT = 200, LEFT = 44, RIGHT = 8, TOP = 26, BOTTOM = 24;
  const series = runs.flatMap(({ lines, look }) => curves.map(([event, key]) =>
    ({ look, event, points: pointsOf(lines, event, key) }))).filter(({ points }) => points.length);
  if (!series.length) return null;
  const all = series.flatMap(({ points }) => points);
  const last = Math.max(1, ...all.map(([step]) => step));
  const values = all.map(([, value]) => value);
  let low = Math.min(...values), high = Math.max(...values);
  if (share) [low, high] = [0, Math.max(high, 0.1)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const x = (step) => LEFT + ((WIDTH - LEFT - RIGHT) * step) / last;
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (value - low)) / (high - low);
  const path = (points) => points.map(([s, v], i) => `${i ? "L" : "M"}${x(s).toFixed(1)},` +
    y(v).toFixed(1)).join("");
  const said = (v) => (share ? `${Math.round(100 * v)} %` : String(Number(v.toPrecision(3))));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
    "aria-label": `${title}: ${said(values.at(-1))} at last` },
  svg("text", { x: LEFT, y: 14 }, title));
  for (const t of ticks(low, high)) {
    drawing.append(svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: y(t), y2: y(t) }),
      svg("text", { x: LEFT - 5, y: y(t) + 4, "text-anchor": "end" }, said(t)));
  }
  drawing.append(svg("text", { x: LEFT, y: HEIGHT - 6 }, "step 0"),
    svg("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, String(last)));
  for (const { look, event, points } of series) {
    const noisy = event === "train" && points.length > 20;
    if (noisy) drawing.append(svg("path", { class: `curve faint run-${look}`, d: path(points) }));
    const course = noisy ? smooth(points, Math.ceil(points.length / 40)) : points;
    drawing.append(svg("path", { class: `curve run-${look}`, d: path(course) }));
    if (points.length < 8) {
      for (const [s, v] of points)
        drawing.append(svg("circle", { cx: x(s), cy: y(v), r: 3, class: `curve run-${look}` }));
    }
  }
  return element("figure", { class: "card" }, drawing);
}
