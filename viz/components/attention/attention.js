// The picture of attention. The server sends every pattern once; the rest happens here, in the
// browser: picking a head, hovering, locking a word and the switches send nothing back. The choices are kept in the link
// (layer, head, top, sink, shade; in a second picture layer2 and so on).

const STEPS = 4095; // a share arrives as 12 bits: viz/attention/__init__.py
const MEAN = "mean"; // in the link, in place of a layer's or a head's number
const TOP = 80; // per cent of each token's attention that is drawn as arcs, to begin with
const ARCS = 96; // height of the arcs, in px
const GAP = 6; // between the small maps, in px; half of it where there are more than 12 of them in a row or a column
const TALL = 460; // the small maps together, at least, where the window has no room for more

// ---- what was sent ---------------------------------------------------------------------------

/**
 * The patterns as `encode` (viz/components/attention) has packed them: the rows of each up to the diagonal, one after
 * the other; and of each row the rest, which is what does not go to the first token.
 * @param {Uint8Array} body
 * @param {number} patterns
 * @param {number} count tokens
 */
function decode(body, patterns, count) {
  const size = (count * (count + 1)) / 2;
  const start = 4 * patterns * count;
  const rests = new Float32Array(body.slice(0, start).buffer);
  const packed = body.subarray(start);
  const share = (n) => {
    const byte = (n >> 1) * 3;
    const even = (packed[byte] << 4) | (packed[byte + 1] >> 4);
    return (n & 1 ? ((packed[byte + 1] & 15) << 8) | packed[byte + 2] : even) / STEPS;
  };
  const weights = new Float32Array(patterns * size);
  for (let row = 0, cell = 0, n = 0; row < patterns * count; row++) {
    weights[cell++] = Math.max(0, 1 - rests[row]);
    for (let column = 1; column <= row % count; column++) weights[cell++] = share(n++) * rests[row];
  }
  return { size, weights, rests };
}

/**
 * The place of a weight in its pattern.
 * @param {number} row
 * @param {number} column
 */
const at = (row, column) => (row * (row + 1)) / 2 + column;

/**
 * The numbers of the heads that a square of the map shows: one head; if `head` is one past the last, all of the layer;
 * if `layer` is, too, all there are.
 * @param {{ layers: number, heads: number }} data
 * @param {number} layer
 * @param {number} head
 */
function members(data, layer, head) {
  const first = (layer < data.layers ? layer : 0) * data.heads;
  if (head < data.heads) return [first + head];
  return [...Array(layer < data.layers ? data.heads : data.layers * data.heads).keys()].map((n) => first + n);
}

/**
 * The mean of the arrays of a size that have these numbers, one after the other in `values`.
 * @param {Float32Array} values
 * @param {number} size
 * @param {number[]} numbers
 */
function mean(values, size, numbers) {
  if (numbers.length === 1) return values.subarray(numbers[0] * size, (numbers[0] + 1) * size);
  const sum = new Float32Array(size);
  for (const number of numbers) for (let n = 0; n < size; n++) sum[n] += values[number * size + n];
  return sum.map((value) => value / numbers.length);
}

/**
 * The pattern without its first column, each row divided by its rest, so that it sums to 1 again; the first row, which
 * has no rest, is left empty.
 * @param {Float32Array} weights
 * @param {Float32Array} rests
 */
function withoutFirst(weights, rests) {
  const scaled = new Float32Array(weights.length);
  rests.forEach((rest, row) => {
    for (let column = 1; column <= row; column++)
      scaled[at(row, column)] = rest > 0 ? weights[at(row, column)] / rest : 0;
  });
  return scaled;
}

/**
 * Of each row the largest weights that together make up a share of it (and those equal to the last of them); the others
 * become 0.
 * @param {Float32Array} weights
 * @param {number} count
 * @param {number} share
 */
function largest(weights, count, share) {
  if (share >= 1) return weights;
  const kept = new Float32Array(weights.length);
  for (let row = 0; row < count; row++) {
    const [first, behind] = [at(row, 0), at(row, row) + 1];
    const sorted = weights.slice(first, behind).sort(); // a typed array: as numbers, the largest last
    let [n, left] = [row + 1, share * sorted.reduce((sum, weight) => sum + weight, 0)];
    while (n > 0 && left > 1e-6) left -= sorted[--n];
    for (let cell = first; cell < behind; cell++) if (weights[cell] >= sorted[n]) kept[cell] = weights[cell];
  }
  return kept;
}

/**
 * The habits of a head on this prompt: shares of the attention of every token from the third on (for the second, the
 * token before is the first), and the effective number of tokens that it looks at (the exponential of a row's entropy).
 * @param {Float32Array} weights
 * @param {number} count
 */
function habits(weights, count) {
  const sums = { before: 0, first: 0, itself: 0, breadth: 0 };
  for (let row = 2; row < count; row++) {
    sums.before += weights[at(row, row - 1)];
    sums.first += weights[at(row, 0)];
    sums.itself += weights[at(row, row)];
    let entropy = 0;
    for (let column = 0; column <= row; column++) {
      const weight = weights[at(row, column)];
      if (weight > 0) entropy -= weight * Math.log(weight);
    }
    sums.breadth += Math.exp(entropy);
  }
  for (const name of /** @type {const} */ (["before", "first", "itself", "breadth"])) sums[name] /= count - 2;
  return sums;
}

/**
 * The habits of a head in a sentence; `first` is left out where the first token is hidden.
 * @param {string} name
 * @param {Float32Array} weights
 * @param {number} count
 * @param {boolean} hidesFirst
 */
function describe(name, weights, count, hidesFirst) {
  if (count < 3) return "A token can look only at itself and at the tokens before it: type a few more words.";
  const { before, first, itself, breadth } = habits(weights, count);
  const toFirst = hidesFirst ? "the first token is hidden" : `${percent(first)} to the first`;
  return (
    `${name} gives ${percent(before)} to the token before, ${percent(itself)} to itself, ` +
    `${toFirst}; its attention is spread over about ${breadth.toFixed(1)} tokens.`
  );
}

// ---- the picture -----------------------------------------------------------------------------

/** The picture; a head is [layer, head], in which one past the last is a mean. */
class Picture {
  /** @type {any} */ data = null;
  /** @type {[number, number]} */ picked = [0, 0];
  /** @type {[number, number] | null} the head below the pointer */ preview = null;
  /** @type {number | null} */ token = null;
  /** @type {number[] | null} query and key below the pointer */ pair = null;
  locked = false; // whether the token stays
  /** @type {Map<string, any>} weights and images that are drawn */ cache = new Map();
  /** @type {any} the request of the next frame */ waiting = null;
  /** @type {Record<string, string>} */ colors = {};
  top = TOP;
  sink = false;
  shade = "";
  link = new LinkState([]);
  grid = { left: 0, above: 0, cell: 1, gap: 0 }; // of the small maps
  large = { left: 0, above: 0, cell: 1 }; // of the large map
  /** @type {(event: KeyboardEvent) => void} */ onKey = () => {};

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = /** @type {HTMLElement} */ (root.querySelector(".vitrine"));
    this.find = (selector) => /** @type {any} */ (this.root.querySelector(selector));
    this.listen();
    this.again = () => this.draw();
    this.stopResize = onResize(this.root, this.again);
    document.fonts.addEventListener("loadingdone", this.again); // a canvas does not notice by itself
  }

  close() {
    this.stopResize();
    document.fonts.removeEventListener("loadingdone", this.again);
    document.removeEventListener("keydown", this.onKey);
  }

  show(data, send) {
    const same = this.data && this.data.tokens.join("\0") === data.tokens.join("\0");
    this.data = data;
    this.send = send;
    this.cache = new Map();
    this.preview = null;
    if (!same) Object.assign(this, { token: null, pair: null, locked: false });
    this.root.classList.toggle("small", Boolean(data.small));
    this.readLink();
    this.follow();
    if (!same) this.layTokens();
    this.report();
    this.draw();
    if (!same) requestAnimationFrame(() => (this.find(".strip").scrollLeft = 1e6)); // to what was just typed
  }

  // ---- state, and the link that holds it

  readLink() {
    const { layers, heads, start, small } = this.data;
    this.link = new LinkState(["layer", "head", "top", "sink", "shade"], this.data.link);
    this.link.restore();
    const number = (text, count, otherwise) => {
      if (text === null) return otherwise;
      if (text === MEAN) return count;
      return /^\d+$/.test(text) && Number(text) < count ? Number(text) : NaN;
    };
    let [layer, head] = [
      number(this.link.get("layer"), layers, start[0]),
      number(this.link.get("head"), heads, start[1]),
    ];
    if (layer === layers) head = heads;
    const wrong = Number.isNaN(layer) || Number.isNaN(head);
    if (wrong) [layer, head] = start;
    this.find(".notice").textContent = wrong
      ? `The link asks for a layer or a head that is not there: this model has layers 0 to ${layers - 1} and heads 0 to ${heads - 1}. You see L${layer} H${head}.`
      : "";
    this.picked = [layer, head];
    const [top, sink, shade] = ["top", "sink", "shade"].map((name) => (small ? null : this.link.get(name)));
    const shades = [...this.find(".shade").options].map((option) => option.value);
    this.top = Number(top) >= 10 && Number(top) <= 100 ? Number(top) : TOP;
    this.sink = sink === "1";
    this.shade = shades.includes(shade) ? shade : shades[0];
    this.find(".top-range").value = this.top;
    this.find(".sink").checked = this.sink;
    this.find(".shade").value = this.shade;
  }

  pick(layer, head) {
    const { layers, heads } = this.data;
    this.picked = [layer, head];
    this.preview = null;
    this.find(".notice").textContent = "";
    this.draw();
    this.report();
    this.link.set({ layer: layer < layers ? layer : MEAN, head: head < heads ? head : MEAN });
  }

  // Go to the head that the page has picked; the first time the link goes before it.
  follow() {
    const start = String(this.data.start);
    const moved = this.data.follow && this.started !== undefined && this.started !== start;
    this.started = start;
    if (moved) this.pick(...this.data.start);
  }

  // Send the picked head to a page that shows more of it, once for each.
  report() {
    const picked = String(this.picked);
    if (!this.data.report || this.reported === picked) return;
    this.reported = picked;
    this.send("picked", this.picked);
  }

  set(name, value, inLink) {
    this[name] = value;
    this.cache = new Map();
    this.draw();
    this.link.set({ [name]: inLink });
  }

  get shown() {
    return this.preview ?? this.picked;
  }

  name([layer, head]) {
    const { layers, heads } = this.data;
    if (layer === layers) return "mean of all";
    return `L${layer} ${head === heads ? "mean" : `H${head}`}`;
  }

  // The weights of a head, without the first token where the switch says so.
  weights([layer, head]) {
    const key = `${layer} ${head}`;
    if (!this.cache.has(key)) {
      const { weights, rests, size, count } = this.data;
      const heads = members(this.data, layer, head);
      const whole = mean(weights, size, heads);
      this.cache.set(key, this.sink ? withoutFirst(whole, mean(rests, count, heads)) : whole);
    }
    return this.cache.get(key);
  }

  // How strongly a weight is drawn, from 0 to 1.
  shader(weights) {
    if (this.shade === "linear") return (cell) => weights[cell];
    if (this.shade === "root") return (cell) => Math.sqrt(weights[cell]);
    const tops = [];
    for (let row = 0; row < this.data.count; row++)
      tops.push(Math.max(1 / STEPS, ...weights.subarray(at(row, 0), at(row, row) + 1)));
    return (cell, row) => weights[cell] / tops[row];
  }

  // ---- pointer and keys

  listen() {
    this.find(".top-range").oninput = (event) => this.look({ top: Number(event.target.value) });
    this.find(".top-range").onchange = () => this.link.set({ top: this.top === TOP ? null : this.top });
    this.find(".top-range").onpointerup = (event) => event.target.blur(); // the arrow keys are the picture's again
    this.find(".sink").onchange = (event) => this.set("sink", event.target.checked, event.target.checked ? 1 : null);
    this.find(".shade").onchange = (event) => {
      event.target.blur();
      this.set("shade", event.target.value, event.target.selectedIndex ? event.target.value : null);
    };

    const all = this.find(".all canvas");
    all.onpointermove = (event) => this.look({ preview: this.headAt(event) });
    all.onpointerleave = () => this.look({ preview: null });
    all.onclick = (event) => {
      const square = this.headAt(event);
      if (square) this.pick(...square);
    };
    const one = this.find(".one canvas");
    one.onpointermove = (event) => this.look({ pair: this.cellAt(event) });
    one.onpointerleave = () => this.look({ pair: null });
    one.onclick = (event) => {
      const cell = this.cellAt(event);
      if (cell) this.lock(cell[0]);
    };

    this.onKey = (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const idle = document.activeElement === document.body && this.root.matches(":hover");
      const uses = "input:not([type=checkbox]), select"; // these need the arrow keys themselves
      if (
        !(idle || event.composedPath().includes(this.root)) ||
        /** @type {Element} */ (event.composedPath()[0]).closest?.(uses)
      )
        return;
      const [layer, head] = this.picked;
      const { layers, heads, count } = this.data;
      const turn = (value, by, total) => (value + by + total) % total;
      const walk = (by) =>
        this.lock(this.token === null ? (by > 0 ? 0 : count - 1) : turn(this.token, by, count), true);
      const keys = {
        ArrowLeft: () => this.pick(Math.min(layer, layers - 1), turn(head, -1, heads + 1)),
        ArrowRight: () => this.pick(Math.min(layer, layers - 1), turn(head, 1, heads + 1)),
        ArrowUp: () => this.pick(turn(Math.min(layer, layers - 1), -1, layers), head),
        ArrowDown: () => this.pick(turn(Math.min(layer, layers - 1), 1, layers), head),
        ",": () => walk(-1),
        ".": () => walk(1),
        m: () => this.pick(layers, heads),
        Escape: () => this.lock(null),
      };
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    };
    document.addEventListener("keydown", this.onKey);
  }

  look(change) {
    Object.assign(this, change);
    this.draw();
  }

  lock(token, always = false) {
    const again = this.locked && this.token === token && !always;
    if (token === null) focusedNear(this.root)?.blur();
    this.locked = token !== null && !again;
    this.token = again ? null : token;
    this.draw();
  }

  headAt(event) {
    const { left, above, cell, gap } = this.grid;
    const column = Math.floor((event.offsetX - left) / (cell + gap));
    const row = Math.floor((event.offsetY - above) / (cell + gap));
    const { layers, heads } = this.data;
    if (column < 0 || row < 0 || column > heads || row > layers || (row === layers && column < heads)) return null;
    return [row, column];
  }

  cellAt(event) {
    const { left, above, cell } = this.large;
    const column = Math.floor((event.offsetX - left) / cell);
    const row = Math.floor((event.offsetY - above) / cell);
    return row >= 0 && row < this.data.count && column >= 0 && column <= row ? [row, column] : null;
  }

  // ---- drawing

  draw() {
    if (this.waiting || !this.data) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      if (!this.root.isConnected) return;
      this.readColors();
      this.drawWords();
      this.drawArcs();
      this.drawAll();
      if (!this.data.small) this.drawOne();
      this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1); // for whoever waits for the picture
    });
  }

  readColors() {
    const style = getComputedStyle(this.root);
    const color = (name) => style.getPropertyValue(`--st-${name}`).trim();
    this.colors = {
      attention: color("violet-color"),
      query: color("blue-text-color"),
      key: color("red-text-color"),
      text: color("text-color"),
      page: color("background-color"),
      empty: color("secondary-background-color"),
    };
    this.font = style.fontFamily;
    this.mono = color("code-font");
  }

  canvas(selector, width, height) {
    const canvas = this.find(selector);
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    return context;
  }

  layTokens() {
    const line = this.find(".tokens");
    line.replaceChildren(
      ...this.data.tokens.map((token, n) => {
        const created = button(token, "", () => this.lock(n), element("small"));
        created.onpointerenter = () => this.locked || this.look({ token: n });
        created.onpointerleave = () => this.locked || this.look({ token: null });
        return created;
      }),
    );
  }

  // The tokens, shaded by what the chosen one gives (keys, to its left) and gets (queries, to its right).
  drawWords() {
    const { tokens, count, layers, heads } = this.data;
    const whole = this.weights(this.shown);
    this.find(".picked").textContent = this.name(this.shown);
    this.find(".top").textContent = `${this.top} %`;
    const token = this.pair ? this.pair[0] : this.token;
    [...this.find(".tokens").children].forEach((button, n) => {
      const weight = token === null ? 0 : n <= token ? whole[at(token, n)] : whole[at(n, token)];
      button.className = token === null ? "" : n <= token ? "key" : "query";
      button.classList.toggle("chosen", n === token);
      button.classList.toggle("locked", this.locked && n === token);
      button.style.setProperty("--weight", `${Math.round(75 * Math.sqrt(weight))}%`);
      button.lastChild.textContent = token === null ? "" : (100 * weight).toFixed(1);
    });

    const reading = this.find(".reading");
    const word = (n, role) => classed(element("b", tokens[n]), role);
    const list = (cells, role) =>
      cells
        .sort((a, b) => b.weight - a.weight)
        .filter(({ weight }) => weight >= 0.0005)
        .slice(0, 3)
        .flatMap(({ n, weight }, i) => [i ? ", " : "", word(n, role), ` ${percent(weight)}`]);
    const others = [...Array(count).keys()];
    if (this.pair) {
      const [row, column] = this.pair;
      reading.replaceChildren(
        word(row, "q"),
        " (query) gives ",
        word(column, "k"),
        ` (key) ${percent(whole[at(row, column)])} of its attention`,
      );
    } else if (token !== null) {
      const given = list(
        others.slice(0, token + 1).map((n) => ({ n, weight: whole[at(token, n)] })),
        "k",
      );
      const got = list(
        others.slice(token + 1).map((n) => ({ n, weight: whole[at(n, token)] })),
        "q",
      );
      reading.replaceChildren(
        word(token, ""),
        " looks at ",
        ...(given.length ? given : ["nothing that is shown"]),
        got.length ? " · it is looked at by " : " · no later token looks at it",
        ...got,
      );
    } else {
      const [layer, head] = this.shown;
      const group = layer < layers ? `mean of its ${heads} heads` : `mean of all ${layers * heads} heads`;
      const name = head < heads ? this.name(this.shown) : `${this.name(this.shown)} (${group})`;
      reading.textContent = describe(name, whole, count, this.sink);
    }
  }

  drawArcs() {
    const line = this.find(".line");
    this.canvas(".arcs", 0, 0); // so that the line is as wide as its tokens, which shrink, then scroll
    for (const size of ["", "tight", "tighter", "tightest"]) {
      this.find(".tokens").className = `tokens ${size}`;
      if (line.offsetWidth <= line.parentNode.clientWidth) break;
    }
    const context = this.canvas(".arcs", line.clientWidth, ARCS);
    const middles = [...this.find(".tokens").children].map(
      (button) => button.offsetLeft - line.offsetLeft + button.offsetWidth / 2,
    );
    const kept = largest(this.weights(this.shown), this.data.count, this.top / 100);
    const [token, key] = this.pair ?? [this.token, null];
    const widest = middles[middles.length - 1] - middles[0];
    const paths = []; // one for each strength, in steps of 5 %: a thousand strokes take long
    let drawn = 0;
    context.strokeStyle = this.colors.attention;
    for (let row = 0; row < this.data.count; row++)
      for (let column = 0; column <= row; column++) {
        const weight = kept[at(row, column)];
        const touches =
          key === null ? token === null || row === token || column === token : row === token && column === key;
        if (weight < 0.005 || !touches) continue;
        const path = (paths[Math.round(20 * weight)] ??= new Path2D());
        const span = middles[row] - middles[column];
        const height = (ARCS - 10) * Math.sqrt(span / widest);
        path.moveTo(span ? middles[column] : middles[row] + 5, span ? ARCS - 1 : ARCS - 8);
        if (span)
          path.ellipse((middles[row] + middles[column]) / 2, ARCS - 1, span / 2, height, 0, Math.PI, 2 * Math.PI);
        else path.arc(middles[row], ARCS - 8, 5, 0, 2 * Math.PI);
        drawn++;
      }
    paths.forEach((path, level) => {
      context.globalAlpha = 0.15 + (0.85 * level) / 20;
      context.lineWidth = 1 + (5 * level) / 20;
      context.stroke(path);
    });
    this.find(".drawn").textContent = `${drawn} arcs`;
  }

  // The room below the words in a window that is not scrolled.
  below() {
    const main = /** @type {Partial<ShadowRoot>} */ (this.root.getRootNode()).host?.closest("[data-testid=stMain]");
    return window.innerHeight - this.find(".maps").getBoundingClientRect().top - (main?.scrollTop ?? 0);
  }

  // Every layer and head, small; behind each row the mean of its heads, below them the mean of all.
  drawAll() {
    const { layers, heads, count } = this.data;
    const room = this.root.clientWidth;
    const wide = room > 820 && !this.data.small ? room * 0.44 : room;
    const [left, above] = [34, 22];
    const tall = Math.max(TALL, this.below());
    const gap = Math.max(layers, heads) > 12 ? GAP / 2 : GAP;
    const fits = (space, count) => Math.floor(space / (count + 1)) - gap;
    const cell = Math.max(16, Math.min(72, fits(wide - left, heads), fits(tall - above, layers)));
    this.grid = { left, above, cell, gap };
    const side = (n) => n * (cell + gap);
    const context = this.canvas(".all canvas", left + side(heads + 1), above + side(layers + 1));
    context.font = `600 ${cell > 24 ? 14 : 11}px ${this.font}`;
    context.textBaseline = "middle";
    const label = (text, x, y, chosen) => {
      context.fillStyle = chosen ? this.colors.attention : this.colors.text;
      context.fillText(text, x, y);
    };
    context.textAlign = "center";
    for (let head = 0; head <= heads; head++)
      label(
        head < heads ? (cell > 24 ? `H${head}` : head) : cell > 40 ? "mean" : "⌀",
        left + side(head) + cell / 2,
        above / 2,
        head === this.shown[1],
      );
    context.textAlign = "left";
    for (let layer = 0; layer < layers; layer++)
      label(`L${layer}`, 0, above + side(layer) + cell / 2, layer === this.shown[0]);
    context.textAlign = "right";
    if (cell > 28)
      label("mean of all", left + side(heads) - 4, above + side(layers) + cell / 2, this.shown[0] === layers);

    context.imageSmoothingEnabled = count > cell;
    for (let layer = 0; layer <= layers; layer++)
      for (let head = layer < layers ? 0 : heads; head <= heads; head++) {
        const [x, y] = [left + side(head), above + side(layer)];
        context.drawImage(this.image([layer, head]), x, y, cell, cell);
        const isPicked = layer === this.picked[0] && head === this.picked[1];
        const isShown = layer === this.shown[0] && head === this.shown[1];
        if (!isPicked && !isShown) continue;
        context.strokeStyle = this.colors.attention;
        context.lineWidth = isPicked ? 3 : 1.5;
        context.strokeRect(x - 2, y - 2, cell + 4, cell + 4);
      }
    this.find(".all figcaption").textContent =
      `${layers} layers × ${heads} heads: each square is one head, each row of it one token that looks, each column one that is looked at. Click one. Keys: arrows for layer and head, comma and full stop along the tokens, m for the mean, Esc to let go.`;
  }

  // One pixel a weight: the attention color, as strong as the weight, on the grey of what may be seen.
  image(which) {
    const { count } = this.data;
    const key = `${which} ${this.shade} ${this.colors.attention} ${this.colors.empty}`;
    if (this.cache.has(key)) return this.cache.get(key);
    const shade = this.shader(this.weights(which));
    const [full, empty] = [rgb(this.colors.attention), rgb(this.colors.empty)];
    const image = new ImageData(count, count);
    for (let row = 0; row < count; row++)
      for (let column = 0; column <= row; column++) {
        const strength = shade(at(row, column), row);
        const pixel = 4 * (row * count + column);
        for (let part = 0; part < 3; part++)
          image.data[pixel + part] = full[part] * strength + empty[part] * (1 - strength);
        image.data[pixel + 3] = 255;
      }
    const canvas = Object.assign(element("canvas"), { width: count, height: count });
    contextOf(canvas).putImageData(image, 0, 0);
    this.cache.set(key, canvas);
    return canvas;
  }

  // How strong which weight is drawn, in the corner that the mask leaves empty.
  drawLegend(context, right, y) {
    const [width, height] = [110, 12];
    const x = right - width;
    const strength = this.shade === "root" ? Math.sqrt : (weight) => weight;
    for (let step = 0; step < width; step++) {
      context.fillStyle = this.colors.empty;
      context.fillRect(x + step, y, 1, height);
      context.globalAlpha = strength(step / width);
      context.fillStyle = this.colors.attention;
      context.fillRect(x + step, y, 1, height);
      context.globalAlpha = 1;
    }
    context.fillStyle = this.colors.text;
    context.font = `12px ${this.font}`;
    context.textAlign = "center";
    const marks = { 0: "0", 0.5: "50", 1: this.shade === "row" ? "largest" : "100 %" };
    for (const [share, text] of Object.entries(marks))
      context.fillText(text, x + Number(share) * width, y + height + 9);
  }

  // One head, large: queries down, keys across, the numbers where they fit.
  drawOne() {
    const { tokens, count } = this.data;
    const weights = this.weights(this.shown);
    const shade = this.shader(weights);
    const room = this.root.clientWidth;
    const space = room > 820 ? room * 0.56 - 60 : room;
    const measure = this.find(".one canvas").getContext("2d");
    const size = (cell) => Math.max(10, Math.min(17, cell - 2));
    const below = this.below();
    let cell = 56;
    let longest = 0;
    for (let pass = 0; pass < 2; pass++) {
      measure.font = `${size(cell)}px ${this.mono}`;
      longest = Math.min(110, Math.max(...tokens.map((token) => measure.measureText(token).width)) + 8);
      cell = Math.max(
        11,
        Math.min(
          56,
          Math.floor((space - 1.75 * longest - 10) / count),
          Math.floor(Math.max(300, below - longest - 24) / count),
        ),
      );
    }
    const [left, above] = [longest + 4, longest * 0.8 + 14];
    this.large = { left, above, cell };
    const context = this.canvas(".one canvas", left + count * cell + longest * 0.75 + 4, above + count * cell + 2);
    const [query, key] = this.pair ?? [this.token, this.token];

    context.textBaseline = "middle";
    for (let n = 0; n < count; n++) {
      const middle = n * cell + cell / 2;
      const font = (chosen) => `${chosen ? "700 " : ""}${size(cell)}px ${this.mono}`;
      context.textAlign = "right";
      context.font = font(n === query);
      context.fillStyle = this.colors.query;
      context.fillText(tokens[n], left - 6, above + middle, longest);
      context.save();
      context.translate(left + middle, above - 5);
      context.rotate(-0.9);
      context.textAlign = "left";
      context.font = font(n === key);
      context.fillStyle = this.colors.key;
      context.fillText(tokens[n], 0, 0, longest);
      context.restore();
    }

    const decimals = cell >= 44 ? 1 : 0;
    context.font = `${Math.max(11, Math.min(18, Math.round(cell * 0.4)))}px ${this.font}`;
    context.textAlign = "center";
    context.imageSmoothingEnabled = false;
    context.drawImage(this.image(this.shown), left, above, count * cell, count * cell);
    context.fillStyle = this.colors.page; // the lines between the cells
    for (let n = 0; n < count; n++) {
      context.fillRect(left + (n + 1) * cell - 1, above + n * cell, 1, (count - n) * cell);
      context.fillRect(left, above + (n + 1) * cell - 1, (n + 1) * cell, 1);
    }
    for (let row = 0; row < count && cell >= 22; row++)
      for (let column = 0; column <= row; column++) {
        const weight = weights[at(row, column)];
        if (weight < 0.005) continue;
        context.fillStyle = shade(at(row, column), row) > 0.6 ? this.colors.page : this.colors.text;
        context.fillText((100 * weight).toFixed(decimals), left + (column + 0.5) * cell, above + (row + 0.5) * cell);
      }

    if (count * cell > 200) this.drawLegend(context, left + count * cell, above);
    context.lineWidth = 2;
    if (query !== null) {
      context.strokeStyle = this.colors.query;
      context.strokeRect(left, above + query * cell, (query + 1) * cell - 1, cell - 1);
    }
    if (key !== null) {
      context.strokeStyle = this.colors.key;
      context.strokeRect(left + key * cell, above + key * cell, cell - 1, (count - key) * cell - 1);
    }
    const hidden = this.sink ? " The first token is hidden and the rest of each row scaled to sum to 100 % again." : "";
    this.find(".one figcaption").textContent =
      `${this.name(this.shown)}, in %. Down: the token that looks (query). Across: the token it looks at (key). ` +
      `What lies ahead is masked.${hidden}`;
  }
}

/** @type {CanvasRenderingContext2D | null} */
let swatch = null;

// Red, green, blue of a color in CSS.
function rgb(color) {
  swatch ??= contextOf(element("canvas"), { willReadFrequently: true });
  swatch.fillStyle = color;
  swatch.fillRect(0, 0, 1, 1);
  return swatch.getImageData(0, 0, 1, 1).data;
}

// Streamlit calls this whenever the data or the theme has changed, and calls the returned function at the end.
const pictures = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  if (!pictures.has(parentElement)) pictures.set(parentElement, new Picture(parentElement));
  const picture = pictures.get(parentElement);
  const { header, body } = unpack(data);
  const count = header.tokens.length;
  picture.show({ ...header, count, ...decode(body, header.layers * header.heads, count) }, setStateValue);
  return () => {
    picture.close();
    pictures.delete(parentElement);
  };
}
