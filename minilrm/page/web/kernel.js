"use strict";
/* The one loop in which the time goes, a second time: `multiply` of page.js in WebAssembly, four
   numbers at once (SIMD). The page stands without it: where it is missing, page.js computes by
   itself.

   The module is put together here, instruction by instruction, so that nobody has to trust bytes.
   */

// Instructions, by their names in the specification. SIMD ones begin with 0xfd.
const OP = { loop: [0x03, 0x40], end: [0x0b], branchIf: (depth) => [0x0d, depth],
  get: (local) => [0x20, local], set: (local) => [0x21, local], tee: (local) => [0x22, local],
  number: (n) => [0x41, n], add: [0x6a], times: [0x6c], shiftLeft: [0x74], below: [0x49],
  addFloat: [0x92], storeFloat: (offset) => [0x38, 2, offset], load4: [0xfd, 0x00, 2, 0],
  zero4: [0xfd, 0x0c, ...new Array(16).fill(0)], lane: (i) => [0xfd, 0x1f, i],
  add4: [0xfd, 0xe4, 0x01], times4: [0xfd, 0xe6, 0x01] };

/** The body of multiply(out, x, weight, R, O, I), whose first three are addresses. In words:

      for four rows of the weight, w0 .. w3:
        for each row of x:
          sums = 0
          for four numbers of x at a time:  sum_k += x * w_k
          store the four sums beside each other */
function kernelBody() {
  const { loop, end, branchIf, get, set, tee, number, add, times, shiftLeft, below, addFloat,
    storeFloat, load4, zero4, lane, add4, times4 } = OP;
  const [out, x, weight, R, O, I, bytes, stride, last, at, to, row, stop] = Array(13).keys();
  const pointer = [13, 14, 15, 16], sum = [17, 18, 19, 20], part = 21;
  const increase = (local, ...by) => [get(local), ...by, add, set(local)];
  const total = (local) => [get(local), lane(0), get(local), lane(1), addFloat, get(local), lane(2),
    addFloat, get(local), lane(3), addFloat];
  return [
    get(I), number(2), shiftLeft, set(bytes), // a row of x and of the weight
    get(O), number(2), shiftLeft, set(stride), // a row of out
    get(weight), get(O), get(bytes), times, add, set(last),
    loop, // over fours of weight rows
      get(x), set(at), get(out), set(to), get(R), set(row),
      loop, // over the rows of x
        get(weight), set(pointer[0]),
        ...[1, 2, 3].flatMap((k) => [get(pointer[k - 1]), get(bytes), add, set(pointer[k])]),
        ...sum.flatMap((s) => [zero4, set(s)]),
        get(at), get(bytes), add, set(stop),
        loop, // along a row, four numbers at a time
          get(at), load4, set(part),
          ...sum.flatMap((s, k) =>
            [get(s), get(part), get(pointer[k]), load4, times4, add4, set(s)]),
          ...pointer.flatMap((p) => increase(p, number(16))),
          ...increase(at, number(16)),
          get(at), get(stop), below, branchIf(0),
        end,
        ...sum.flatMap((s, k) => [get(to), ...total(s), storeFloat(4 * k)]),
        ...increase(to, get(stride)),
        get(row), number(0x7f), add, tee(row), branchIf(0), // 0x7f is -1; ends at row 0
      end,
      ...increase(out, number(16)),
      get(pointer[3]), set(weight), // where the fourth row ended, the next four begin
      get(weight), get(last), below, branchIf(0),
    end,
    end,
  ].flat();
}

/** A number as WebAssembly writes it: seven bits a byte, the lowest first. */
function leb(n) {
  return n < 128 ? [n] : [(n & 127) | 128, ...leb(n >>> 7)];
}

/** The module: it imports a memory and exports `multiply`. */
function kernelModule() {
  const text = (name) => [name.length, ...new TextEncoder().encode(name)];
  const section = (id, ...content) => [id, ...leb(content.flat().length), ...content.flat()];
  const INT = 0x7f, V128 = 0x7b;
  const locals = [2, 11, INT, 5, V128]; // besides the arguments: whole numbers, vectors
  const code = [...locals, ...kernelBody()];
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 6, INT, INT, INT, INT, INT, INT, 0]),
    ...section(2, [1], text("page"), text("memory"), [2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1], text("multiply"), [0, 0]),
    ...section(10, [1], leb(code.length), code)]);
}

/** Room for floats, and `multiply` on them. With SIMD all of it is one memory of WebAssembly;
    without, arrays of JavaScript. */
class Memory {
  constructor(floats, plain = false) {
    this.used = this.kept = 0;
    try {
      if (plain) throw new Error("the plain one was asked for");
      this.memory = new WebAssembly.Memory({ initial: Math.ceil((4 * floats) / 65536) + 1 });
      const module = new WebAssembly.Module(kernelModule());
      this.kernel = new WebAssembly.Instance(module, { page: { memory: this.memory } }).exports;
    } catch {
      this.memory = this.kernel = null; // an older browser, or one that forbids WebAssembly
    }
  }

  /** An array of n floats, for good or until `release`. What it holds at first is left over. */
  take(n) {
    if (!this.memory) return new Float32Array(n);
    const made = new Float32Array(this.memory.buffer, 4 * this.used, n);
    this.used += Math.ceil(n / 4) * 4;
    return made;
  }

  /** All that was taken so far stays; or: all that was taken since then is free again. */
  keep() {
    this.kept = this.used;
  }
  release() {
    this.used = this.kept;
  }

  multiply(out, x, weight, R, O, I) {
    if (!this.kernel || I % 4 || O % 4) multiply(out, x, weight, R, O, I);
    else this.kernel.multiply(out.byteOffset, x.byteOffset, weight.byteOffset, R, O, I);
  }
}
