"use strict";
/* Answers: read out of what a model wrote, graded, and put to the vote, as minilrm/tasks/ does.
   What a model wrote is read by a small grammar, never run. */

// -- expressions, as in tasks/expressions.py ------------------------------------------------------

/** The tree of an expression: a BigInt, or [operator, left, right], or ["-", tree]; null if the
    text is none.

        sum     = [ "-" ] product { ("+" | "-") product }
        product = factor { ("*" | "/") factor }
        factor  = number | "(" sum ")" */
function parseExpression(text) {
  text = text.trim();
  const tokens = text.match(/0|[1-9][0-9]*|[-+*/()]/g) || [];
  const bare = /^(?: *(?:0|[1-9][0-9]*|[-+*/()]))*$/.test(text);
  if (text.length > 100 || !bare) return null;
  let at = 0;

  function chainOf(operators, part) {
    let tree = part();
    while (tree !== null && operators.includes(tokens[at] ?? " ")) {
      const operator = tokens[at++], right = part();
      tree = right === null ? null : [operator, tree, right];
    }
    return tree;
  }
  function sum() {
    if (tokens[at] !== "-") return chainOf("+-", product);
    at++;
    return chainOf("+-", negatedOnce());
  }
  function negatedOnce() { // the minus belongs to the first product alone
    let first = true;
    return () => {
      const tree = product();
      if (!first || tree === null) return tree;
      first = false;
      return ["-", tree];
    };
  }
  function product() {
    return chainOf("*/", factor);
  }
  function factor() {
    if (/^[0-9]/.test(tokens[at] ?? "")) return BigInt(tokens[at++]);
    if (tokens[at++] !== "(") return null;
    const tree = sum();
    return tokens[at++] === ")" ? tree : null;
  }
  const tree = sum();
  return at === tokens.length ? tree : null;
}

/** The exact value, [numerator, denominator] in whole BigInts; null after a division by zero. */
function valueOf(tree) {
  if (typeof tree === "bigint") return [tree, 1n];
  const left = valueOf(tree[1]);
  if (tree.length === 2) return left && [-left[0], left[1]];
  const right = valueOf(tree[2]);
  if (!left || !right || (tree[0] === "/" && right[0] === 0n)) return null;
  const [a, b] = left, [c, d] = right;
  if (tree[0] === "*") return [a * c, b * d];
  if (tree[0] === "/") return [a * d, b * c];
  return [tree[0] === "+" ? a * d + c * b : a * d - c * b, b * d];
}

function numbersIn(tree) {
  return typeof tree === "bigint" ? [tree] : tree.slice(1).flatMap(numbersIn);
}

/** One text for all expressions that differ in order and brackets alone: what votes together. */
function normalForm(tree) {
  if (typeof tree === "bigint") return String(tree);
  const ops = "+-".includes(tree[0]) ? "+-" : "*/";
  const isSum = (part) => typeof part !== "bigint" && "+-".includes(part[0]);
  const parts = termsOf(tree, ops, 0).map(([inverse, part]) => {
    const text = normalForm(part);
    return [inverse, ops === "*/" && isSum(part) ? `(${text})` : text];
  });
  parts.sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0));
  const signed = parts.map(([inverse, text]) => ops[inverse] + text).join("");
  return signed.startsWith(ops[0]) ? signed.slice(1) : signed;
}

/** The terms of a sum or the factors of a product; 1: taken away, or divided by. */
function termsOf(tree, ops, inverse) {
  if (typeof tree === "bigint" || !ops.includes(tree[0])) return [[inverse, tree]];
  if (tree.length === 2) return termsOf(tree[1], ops, 1 - inverse);
  const turned = tree[0] === ops[1] ? 1 - inverse : inverse;
  return [...termsOf(tree[1], ops, inverse), ...termsOf(tree[2], ops, turned)];
}

// -- answers --------------------------------------------------------------------------------------

/** All answers of a text, as the task marks them. */
function answersIn(task, text) {
  if (task.mark === "<answer>")
    return [...text.matchAll(/<answer>([^<>]*)<\/answer>/g)].map((found) => found[1].trim());
  if (!task.mark) return [text.trim()];
  return text.split(task.mark).slice(1).map((rest) => rest.split("\n")[0].trim());
}

/** The one answer of a text; null if there is none, or more than one. */
function readAnswer(task, text) {
  const found = answersIn(task, text);
  return found.length === 1 && found[0] ? found[0] : null;
}

/** A written number, strictly (tasks/calculator.py): "$1,234.50" -> "1234.5"; null if it is none.
    */
function readNumber(text) {
  const form = /^(-?)\$?(-?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]*)(?:\.([0-9]*))?%?(?:(?<=[0-9%])\.)?$/;
  const found = form.exec(text.trim());
  if (!found || (found[1] && found[2])) return null;
  const whole = found[3].replaceAll(",", ""), decimals = found[4] || "";
  if (!(whole + decimals) || (whole + decimals).length > 20) return null;
  const short = whole.replace(/^0+/, "") || "0", rest = decimals.replace(/0+$/, "");
  const size = rest ? `${short}.${rest}` : short;
  return (found[1] || found[2]) && size !== "0" ? `-${size}` : size;
}

/** Answers that count as one vote share a key; null abstains. */
function voteKey(task, text) {
  const answer = readAnswer(task, text);
  if (answer === null) return null;
  if (task.judge !== "countdown") return readNumber(answer) ?? answer;
  const tree = parseExpression(answer);
  return tree === null ? null : normalForm(tree);
}

/** true: right, false: wrong, null: nobody knows, since the reader made the problem up. */
function isRight(task, problem, text) {
  if (task.judge === "countdown") {
    const tree = parseExpression(readAnswer(task, text) ?? "");
    if (tree === null) return false;
    const sorted = (numbers) => numbers.map(Number).sort((a, b) => a - b).join();
    const value = valueOf(tree);
    return sorted(numbersIn(tree)) === sorted(problem.numbers) && value !== null &&
      value[0] === BigInt(problem.target) * value[1];
  }
  if (!problem.answer) return null;
  const given = readAnswer(task, text);
  if (given === null) return false;
  return (readNumber(given) ?? given) === (readNumber(problem.answer) ?? problem.answer);
}

// -- countdown's steps ----------------------------------------------------------------------------

/** All that one step can make of two numbers, whole and not negative. */
function movesOf(a, b) {
  const [high, low] = a > b ? [a, b] : [b, a];
  const found = [high + low, high - low, high * low];
  if (low && high % low === 0) found.push(high / low);
  return found;
}

/** Whether the numbers, each used once, can make the target. */
function withinReach(numbers, target) {
  if (numbers.length === 1) return numbers[0] === target;
  return numbers.some((a, i) => numbers.some((b, j) => i < j &&
    movesOf(a, b).some((made) =>
      withinReach([...numbers.filter((_, k) => k !== i && k !== j), made], target))));
}

/** What stands after the steps written so far: {left: numbers still to be used, alive: whether the
    target is still within reach, last: the last result}. An attempt that is announced begins anew.
    */
function followSteps(problem, text) {
  let left = [...problem.numbers], alive = true, last = null;
  for (const part of text.match(/[^,\n]*[,\n]|[^,\n]+$/g) || []) {
    const words = part.replace(/^[, \n]+|[, \n]+$/g, "");
    if (words === "wait") {
      [left, alive, last] = [[...problem.numbers], true, null];
      continue;
    }
    if (words.includes("<answer>")) continue;
    const sum = /^([0-9]{1,9})([-+*/])([0-9]{1,9})=([0-9]{1,12})( ok| no)?$/.exec(words);
    alive = alive && sum !== null && useStep(left, sum) && withinReach(left, problem.target) &&
      sum[5] !== " no";
    if (sum) last = Number(sum[4]);
  }
  return { left, alive, last };
}

/** Put a step's result in the place of its operands; false if it is wrong, or uses what is not
    there. */
function useStep(left, [, a, operator, b, made]) {
  [a, b, made] = [a, b, made].map(Number);
  const results = { "+": a + b, "-": a - b, "*": a * b, "/": a / b };
  if (results[operator] !== made) return false;
  for (const operand of [a, b]) {
    const at = left.indexOf(operand);
    if (at < 0) return false;
    left.splice(at, 1);
  }
  left.push(made);
  return true;
}

// -- the word for another attempt -----------------------------------------------------------------

/** The rule of the switch: the word for another attempt may not be said, or is put in behind each
    attempt that the model itself rejects. */
function ruleOf(model, task, how) {
  const reflection = task.reflection;
  if (!reflection || how === "free") return undefined;
  if (how === "banned") return () => ({ ban: reflection.ban });
  const again = model.tokenizer.encode(reflection.again);
  return (chain) => (model.tokenizer.decode(chain.ids.slice(-2)).endsWith(reflection.reject)
    ? { insert: again } : {});
}
