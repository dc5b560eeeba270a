// The chain from logits to a draw. Its steps are those of model/decoding/sampling.py, bit by bit: logits are float32, the
// edges of top-p and min-p are found in float64 (a test compares the two). The chain, the one that was kept as A, the
// seed and the number of draws are kept in the link.

const SHOWN = 12; // tokens in the table
const COLD = 1e-30; // a temperature below it counts as 0
const RANKS = [1, 2, 3, 4, 5, 8, 10, 15, 20, 30, 40, 50, 100, 200, 500, 1000, 2000, 5000, Infinity]; // of top-k
/**
 * A step by its name: the value at which it is off, and the values of its slider.
 * @type {Record<string, { name: string, off: number, values: number[] }>}
 */
const STEPS = {
  repetition: { name: "repetition", off: 1, values: range(1, 2, 0.05) },
  temperature: { name: "temperature", off: 1, values: range(0, 2, 0.05) },
  "top-k": { name: "top-k", off: Infinity, values: RANKS },
  "top-p": { name: "top-p", off: 1, values: range(0, 1, 0.01) },
  "min-p": { name: "min-p", off: 0, values: range(0, 1, 0.01) },
};

/** @param {number} share */
const fine = (share) => percent(share, 2);

/**
 * The numbers from `least` to `most` by steps.
 * @param {number} least
 * @param {number} most
 * @param {number} step
 */
function range(least, most, step) {
  return Array.from({ length: Math.round((most - least) / step) + 1 }, (_, n) => Number((least + n * step).toFixed(2)));
}

// ---- the steps -------------------------------------------------------------------------------

/** @param {Float32Array} logits */
const maximum = (logits) => logits.reduce((a, b) => Math.max(a, b), -Infinity);

/**
 * e to the power of each logit less the largest, in float64: the probabilities, but for their sum.
 * @param {Float32Array} logits
 */
function powersOf(logits) {
  const largest = maximum(logits);
  return Float64Array.from(logits, (logit) => Math.exp(logit - largest));
}

/**
 * The probabilities of logits, in float64.
 * @param {Float32Array} logits
 */
function softmax(logits) {
  const powers = powersOf(logits);
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/**
 * The logits with −∞ in place of those that are cut.
 * @param {Float32Array} logits
 * @param {(id: number) => boolean} isKept
 */
const keep = (logits, isKept) => logits.map((logit, id) => (isKept(id) ? logit : -Infinity));

/** @type {Record<string, (logits: Float32Array, value: number, seen: number[]) => Float32Array>} */
const APPLY = {
  repetition: (logits, penalty, seen) => {
    const [after, factor] = [logits.slice(), Math.fround(penalty)];
    for (const id of seen) after[id] = after[id] < 0 ? after[id] * factor : after[id] / factor;
    return after;
  },
  temperature: (logits, value) => {
    if (value >= COLD) return logits.map((logit) => logit / Math.fround(value));
    const first = logits.indexOf(maximum(logits));
    return keep(logits, (id) => id === first);
  },
  "top-k": (logits, k) => {
    if (k >= logits.length) return logits;
    const least = logits.slice().sort()[logits.length - k];
    return keep(logits, (id) => logits[id] >= least);
  },
  "top-p": (logits, p) => {
    if (p === 1) return logits;
    const ascending = logits.slice().sort();
    const sums = powersOf(ascending).reverse();
    for (let n = 1; n < sums.length; n++) sums[n] += sums[n - 1]; // from the largest on
    const total = sums[sums.length - 1];
    const count = 1 + sums.findIndex((sum) => sum / total >= p);
    const least = ascending[ascending.length - count];
    let ties = count - ascending.filter((logit) => logit > least).length; // of equals the later ids are kept
    const after = logits.slice();
    for (let id = logits.length - 1; id >= 0; id--)
      if (logits[id] < least || (logits[id] === least && ties-- <= 0)) after[id] = -Infinity;
    return after;
  },
  "min-p": (logits, p) => {
    const powers = powersOf(logits);
    return keep(logits, (id) => powers[id] >= p);
  },
};

/**
 * The logits after the steps that are on; `report` is called after each step with what came in and what it left.
 * @param {[string, number][]} steps
 * @param {Float32Array} raw
 * @param {number[]} seen ids in the text
 * @param {(n: number, before: Float32Array, after: Float32Array) => void} [report]
 */
function apply(steps, raw, seen, report = () => {}) {
  return steps.reduce((logits, [name, value], n) => {
    const after = value === STEPS[name].off ? logits : APPLY[name](logits, value, seen);
    report(n, logits, after);
    return after;
  }, raw);
}

/**
 * How many tokens were cut, and the probability that they had.
 * @param {Float32Array} logits
 * @param {Float64Array} shares
 */
function lost(logits, shares) {
  let [count, mass] = [0, 0];
  for (let id = 0; id < logits.length; id++) {
    if (logits[id] > -Infinity || shares[id] === 0) continue;
    count++;
    mass += shares[id];
  }
  return [count, mass];
}

// ---- draws -----------------------------------------------------------------------------------

/**
 * Random numbers from 0 to 1, the same for the same seed (mulberry32).
 * @param {number} seed
 */
function* random(seed) {
  for (let state = seed >>> 0; ;) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }
}

/**
 * Draw ids by their probabilities: how often each came, and the last one (null, if none was drawn).
 * @param {Float64Array} shares
 * @param {number} count
 * @param {number} seed
 * @returns {{ counts: Map<number, number>, last: number | null }}
 */
function draw(shares, count, seed) {
  let sum = 0;
  const sums = shares.map((share) => (sum += share));
  const numbers = random(seed);
  const counts = new Map();
  /** @type {number | null} */
  let last = null;
  for (let n = 0; n < count; n++) {
    const number = Number(numbers.next().value) * sum;
    let [low, high] = [0, sums.length - 1]; // the first id whose sum is larger
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] > number) high = middle;
      else low = middle + 1;
    }
    last = low;
    counts.set(last, (counts.get(last) ?? 0) + 1);
  }
  return { counts, last };
}

// ---- the link: chain=top-p:0.9,temperature:0.7 (the steps that are on, in their order), beside (likewise), draws, seed

/** @param {[string, number][]} steps */
const encodeSteps = (steps) => steps.map((step) => step.join(":")).join(",");

/**
 * The steps of a text in the link, and whether all of it could be read: steps that exist, once each, in their range.
 * @param {string} text
 * @returns {{ steps: [string, number][], isValid: boolean }}
 */
function decodeSteps(text) {
  const pairs = text
    .split(",")
    .filter(Boolean)
    .map((step) => step.split(":"));
  const valid = pairs.filter(([name, value], n) => {
    if (!Object.hasOwn(STEPS, name) || !/^\d+(\.\d+)?$/.test(value ?? "")) return false;
    const { values } = STEPS[name];
    const isFirst = pairs.findIndex(([other]) => other === name) === n;
    return Number(value) >= values[0] && Number(value) <= values[values.length - 1] && isFirst;
  });
  const number = (name, value) => (name === "top-k" ? Math.round(Number(value)) : Number(value));
  return { steps: valid.map(([name, value]) => [name, number(name, value)]), isValid: valid.length === pairs.length };
}

/** @param {[string, number]} step */
const isOn = ([name, value]) => value !== STEPS[name].off;

/** @param {[string, number][]} steps */
const words = (steps) =>
  steps
    .filter(isOn)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ") || "no step";

// ---- the picture -----------------------------------------------------------------------------

/**
 * The chain that is shown, which the tree below asks for a draw.
 * @type {Chain | null}
 */
let shown = null;

class Chain {
  /** @type {any} what the server has sent */ data = null;
  /** @type {(event: string, value: unknown) => void} */ send = () => {};
  /** @type {[string, number][]} all steps in their order, on or off */ steps = [];
  /** @type {[string, number][] | null} the chain that was kept as A */ beside = null;
  /** @type {{ effect: HTMLElement, slider: HTMLInputElement, box: HTMLElement }[]} of each step */ cards = [];
  /** @type {number | null} the id whose probability is explained */ chosen = null;
  /** @type {number[]} ids in the table */ likeliest = [];
  model = new Float64Array(); // the probabilities before any step
  wrong = false; // whether the link could not be read in full
  seed = 1;
  draws = 0;
  frame = 0;
  link = new LinkState(["chain", "beside", "seed", "draws"]);
  buttons = [{ count: 0, created: element("button") }]; // of draws
  clear = element("button");
  drop = element("button");
  mass = element("span");

  /** @param {HTMLElement} root */
  constructor(root) {
    this.readLink();
    this.chain = classed(element("div"), "chain");
    this.nav = element("nav");
    this.table = element("table");
    this.result = element("output");
    this.notice = classed(element("div"), "notice");
    root.replaceChildren(
      this.notice,
      this.chain,
      this.nav,
      classed(element("div", "", this.table), "scroll"),
      this.result,
    );
    this.layChain();
    this.layNav();
  }

  readLink() {
    const [seed, draws, beside] = [this.link.get("seed"), this.link.get("draws"), this.link.get("beside")];
    const chain = decodeSteps(this.link.get("chain") ?? "");
    const other = decodeSteps(beside ?? "");
    const names = new Set(chain.steps.map(([name]) => name)); // the places of these are taken in the order of the link
    let on = 0;
    this.steps = Object.entries(STEPS).map(([name, { off }]) => (names.has(name) ? chain.steps[on++] : [name, off]));
    this.beside = beside === null ? null : other.steps;
    this.wrong = !chain.isValid || !other.isValid;
    this.seed = /^\d{1,9}$/.test(seed ?? "") ? Number(seed) : 1;
    this.draws = draws === "1" || draws === "200" ? Number(draws) : 0;
  }

  writeLink() {
    const beside = this.beside && encodeSteps(this.beside);
    const chain = encodeSteps(this.steps.filter(isOn)) || null;
    this.link.set({ chain, beside, seed: this.seed === 1 ? null : this.seed, draws: this.draws || null });
  }

  // ---- the controls

  layChain() {
    this.cards = this.steps.map((_, n) => this.card(n));
    this.chain.replaceChildren(...this.cards.map(({ box }) => box));
  }

  // The slider of a step, its place in the chain, and what it does.
  card(n) {
    const [name, value] = this.steps[n];
    const { off, values } = STEPS[name];
    const move = (to, sign, title) => {
      const swap = () => {
        [this.steps[n], this.steps[to]] = [this.steps[to], this.steps[n]];
        this.layChain();
        this.changed();
        this.cards[to].slider.focus();
      };
      const created = button(sign, title, swap);
      created.disabled = to < 0 || to >= this.steps.length;
      created.setAttribute("aria-label", `${STEPS[name].name}: ${title}`);
      return created;
    };
    const slider = Object.assign(element("input"), { type: "range", min: 0, max: values.length - 1, step: 1 });
    slider.value = String(values.findIndex((number) => number >= value));
    slider.setAttribute("aria-label", STEPS[name].name);
    slider.setAttribute("aria-valuetext", value === off ? "off" : String(value));
    const slide = () => {
      const number = values[Number(slider.value)];
      this.steps[n][1] = number;
      slider.setAttribute("aria-valuetext", number === off ? "off" : String(number));
      this.changed();
    };
    slider.oninput = slide;
    slider.ondblclick = () => {
      slider.value = String(values.indexOf(off));
      slide();
    };
    const effect = element("small");
    const title = element("span", STEPS[name].name);
    const head = element("header", "", title, move(n - 1, "‹", "earlier"), move(n + 1, "›", "later"));
    return { effect, slider, box: element("div", "", head, slider, effect) };
  }

  layNav() {
    const drawing = (count, text) => {
      const act = () => {
        if (this.draws === count) seed.value = String(++this.seed);
        this.draws = count;
        this.changed();
      };
      return { count, created: button(text, "once more: with the next seed", act) };
    };
    const change = (values) => () => {
      Object.assign(this, values());
      this.changed();
    };
    this.buttons = [drawing(1, "Draw one"), drawing(200, "Draw 200")];
    this.clear = button(
      "×",
      "no draw",
      change(() => ({ draws: 0 })),
    );
    const seed = Object.assign(element("input"), { type: "number", min: 0, max: 999999999, value: String(this.seed) });
    seed.setAttribute("aria-label", "seed");
    seed.oninput = () => {
      if (/^\d{1,9}$/.test(seed.value)) change(() => ({ seed: Number(seed.value) }))();
    };
    const write = button("Write on", "as many as 30 tokens, each drawn by this chain", () => {
      const chains = [...(this.beside ? [this.beside] : []), this.steps.filter(isOn)];
      this.send("write", [this.seed, ...chains.map(encodeSteps)].join(";"));
    });
    const copy = () => ({ beside: this.steps.filter(isOn).map(([name, value]) => [name, value]) });
    const keepAsA = button("Keep as A", "keep this chain, change it to B, and see both", change(copy));
    this.drop = button(
      "Drop A",
      "",
      change(() => ({ beside: null })),
    );
    this.mass = element("span");
    const draws = this.buttons.map(({ created }) => created);
    const label = element("label", "seed ", seed);
    this.nav.replaceChildren(...draws, this.clear, label, write, keepAsA, this.drop, this.mass);
  }

  changed() {
    this.writeLink();
    this.wrong = false;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  // ---- the picture

  show(data, send) {
    if (!this.wrong) this.writeLink(); // the server may have written an older copy of the link
    Object.assign(this, { data, send, chosen: null });
    this.model = softmax(data.logits);
    this.likeliest = [...this.model.keys()].sort((a, b) => this.model[b] - this.model[a]).slice(0, SHOWN);
    this.draw();
  }

  name(id) {
    return this.data.names[id] ?? `token ${id}`;
  }

  typable(id) {
    return this.data.names[id] !== undefined && !this.data.untypable.includes(id);
  }

  // Write on the card of a step what it does to the logits.
  describeStep(n, before, after) {
    const [name, value] = this.steps[n];
    const { off } = STEPS[name];
    const { effect, box } = this.cards[n];
    box.classList.toggle("on", value !== off);
    if (value === off) return void (effect.textContent = Number.isFinite(off) ? `${off}: off` : "off");
    const cuts = after.some((logit, id) => logit === -Infinity && before[id] > -Infinity);
    const [count, mass] = cuts ? lost(after, softmax(before)) : [0, 0];
    const greedy = name === "temperature" && value < COLD ? " (greedy)" : "";
    effect.textContent = `${value}${greedy}${count ? ` · cuts ${fine(mass)} of what comes in` : ""}`;
  }

  // The settings that are shown, each with its logits, probabilities and draws: one without a label, or A and B.
  settings() {
    const { logits: raw, seen, read } = this.data;
    const seed = this.seed + 7919 * read; // other draws at each length
    /** @type {[string, [string, number][]][]} */
    const both = this.beside
      ? [
          ["A", this.beside],
          ["B", this.steps],
        ]
      : [["", this.steps]];
    return both.map(([label, steps]) => {
      const report = (n, before, after) => this.describeStep(n, before, after);
      const logits = apply(steps, raw, seen, steps === this.steps ? report : undefined);
      const shares = softmax(logits);
      return { label, steps, logits, shares, ...draw(shares, this.draws, seed) };
    });
  }

  draw() {
    const wrong = "The link asks for a step or a number that is not there; what could be read of it is used.";
    this.notice.textContent = this.wrong ? wrong : "";
    const settings = this.settings();
    this.buttons.forEach(({ count, created }) => created.setAttribute("aria-pressed", String(this.draws === count)));
    this.clear.hidden = !this.draws;
    this.drop.hidden = !this.beside;
    this.mass.replaceChildren(...settings.map((setting) => this.describeMass(setting)));

    const drawn = settings.map(({ last }) => last).filter((id) => id !== null);
    const ids = [...new Set([...this.likeliest, ...drawn])];
    if (this.chosen === null) this.chosen = ids[0];
    const heads = this.heads(settings).map((head) => element("th", head));
    const rows = ids.map((id) => this.row(id, settings));
    this.table.replaceChildren(element("thead", "", element("tr", "", ...heads)), element("tbody", "", ...rows));
    this.describeToken(settings);
  }

  describeMass({ label, steps, logits }) {
    const [count, cut] = lost(logits, this.model);
    const [kept, all] = [logits.length - count, logits.length].map((number) => number.toLocaleString("en"));
    const text = `kept: ${kept} of ${all} tokens, ${fine(1 - cut)} of the model’s probability; cut: ${fine(cut)}`;
    return element("div", label ? `${label} (${words(steps)}) ${text}` : text);
  }

  heads(settings) {
    const two = settings.length > 1;
    const each = (head) => settings.map(({ label }) => head.replace("*", label));
    return [
      "token",
      "logit",
      ...(two ? [] : ["after steps"]),
      ...(this.data.truth ? ["truth"] : []),
      "P of the model",
      ...each(two ? "P after *" : "P after steps"),
      two ? "▨ A ■ B □ before" : "■ after □ before",
      ...(this.draws ? each(two ? "* drawn / expected" : "drawn / expected") : []),
    ];
  }

  row(id, settings) {
    const after = settings.map(({ label, shares }) => classed(bar(shares[id]), label || "after"));
    const bars = classed(element("td", "", ...after, classed(bar(this.model[id]), "model")), "bars");
    const { logits } = settings[settings.length - 1];
    const isCut = settings.every((setting) => setting.logits[id] === -Infinity);
    const cells = [
      this.data.logits[id].toFixed(2),
      ...(settings.length > 1 ? [] : [isCut ? "cut" : logits[id].toFixed(2)]),
      ...(this.data.truth ? [fine(this.data.truth[id] ?? 0)] : []),
      fine(this.model[id]),
      ...settings.map(({ shares }) => fine(shares[id])),
    ].map((text) => element("td", text));
    const draws = settings.map(({ counts, shares }) => {
      return element("td", `${counts.get(id) ?? 0} / ${(this.draws * shares[id]).toFixed(1)}`);
    });
    const name = button(this.name(id), "how its probability is computed", () => {}); // the row hears the click
    const row = element("tr", "", element("td", "", name), ...cells, bars, ...(this.draws ? draws : []));
    classed(row, isCut && "cut", id === this.chosen && "chosen");
    row.onclick = () => {
      this.chosen = id;
      this.draw();
    };
    return row;
  }

  // How the probability of the chosen token is computed; and the tokens that were drawn, to be taken.
  describeToken(settings) {
    const id = Number(this.chosen);
    const { label, logits, shares } = settings[settings.length - 1];
    const sum = powersOf(logits).reduce((total, power) => total + power, 0);
    const power = (logits[id] - maximum(logits)).toFixed(2);
    const text =
      logits[id] === -Infinity
        ? `${this.name(id)} was cut, so it cannot be drawn; the model gives it ${fine(this.model[id])}.`
        : `P(${this.name(id)}) = e^${power} / ${sum.toFixed(3)} = ${fine(shares[id])}: its logit less the largest, as a power of e, over the sum of these powers of all that are kept. Before any step it was ${fine(this.model[id])}.`;
    this.result.replaceChildren(element("span", label ? `After ${label}: ${text}` : text));
    if (this.draws !== 1) return;
    const takes = settings.flatMap(({ label, last }) => {
      const take = button(`take ${this.name(last)}`, "", () => this.send("token", last));
      take.disabled = !this.typable(last);
      return [element("b", `${label ? `${label} draws` : "Drawn"}: ${this.name(last)} `), take];
    });
    this.result.prepend(...takes, element("br"));
  }

  // Draw one token with this chain and take it; a sentence, if it cannot be taken.
  take() {
    const { last } = draw(this.settings().slice(-1)[0].shares, 1, this.seed + 7919 * this.data.read);
    if (!this.typable(last))
      return `Drawn: ${this.name(last)}, which cannot stand in the prompt. Another seed draws another token.`;
    this.send("token", last);
    return "";
  }
}

/** @type {WeakMap<HTMLElement, Chain>} */
const chains = new WeakMap();
/** @param {any} event */
const answer = ({ detail }) => (detail.answer = shown?.take() ?? "");

export default function ({ data, parentElement, setTriggerValue }) {
  window.addEventListener("vitrine-draw", answer); // the same function is added once, however often
  const root = host(parentElement, "sampling");
  shown = chains.get(parentElement) ?? new Chain(root);
  chains.set(parentElement, shown);
  const { header, body } = unpack(data);
  shown.show({ ...header, logits: new Float32Array(body.buffer) }, setTriggerValue);
}
