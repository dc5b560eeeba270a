// The chain from logits to a draw. What the steps do is what model/decoding/sampling.py does (a test holds the
// two against each other). The chain, the one that was kept as A, the seed and the number of draws are kept in the link.

const SHOWN = 12; // tokens in the table
const STEPS = {
  repetition: { name: "repetition", off: 1, values: range(1, 2, 0.05) },
  temperature: { name: "temperature", off: 1, values: range(0, 2, 0.05) },
  "top-k": { name: "top-k", off: Infinity, values: [1, 2, 3, 4, 5, 8, 10, 15, 20, 30, 40, 50, 100, 200, 500, 1000, 2000, 5000, Infinity] },
  "top-p": { name: "top-p", off: 1, values: range(0, 1, 0.01) },
  "min-p": { name: "min-p", off: 0, values: range(0, 1, 0.01) },
};
const fine = (share) => percent(share, 2);

function range(least, most, step) {
  return Array.from({ length: Math.round((most - least) / step) + 1 }, (_, n) => Number((least + n * step).toFixed(2)));
}

function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { ...header, logits: Float64Array.from(new Float32Array(bytes.slice(4 + length).buffer)) };
}

function softmax(logits) {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

const keep = (logits, kept) => logits.map((logit, id) => (kept(logit, id) ? logit : -Infinity));

const MAKE = {
  repetition: (logits, penalty, seen) => {
    const made = logits.slice();
    for (const id of seen) made[id] = made[id] < 0 ? made[id] * penalty : made[id] / penalty;
    return made;
  },
  temperature: (logits, value) => {
    if (value > 0) return logits.map((logit) => logit / value);
    const first = logits.indexOf(logits.reduce((a, b) => Math.max(a, b), -Infinity));
    return keep(logits, (_, id) => id === first);
  },
  "top-k": (logits, k) => {
    if (k >= logits.length) return logits;
    const least = logits.slice().sort()[logits.length - k];
    return keep(logits, (logit) => logit >= least);
  },
  "top-p": (logits, p) => {
    const shares = softmax(logits);
    const ascending = shares.slice().sort();
    let first = ascending.length; // of those that are kept
    let mass = 0;
    do mass += ascending[--first];
    while (first > 0 && mass < p);
    const least = ascending[first];
    let ties = 0; // of those that are kept, as many as the least; of equals the later ids are kept
    while (ascending[first + ties] === least) ties++;
    const kept = shares.map(() => 0);
    for (let id = shares.length - 1; id >= 0; id--) kept[id] = shares[id] > least || (shares[id] === least && ties-- > 0);
    return keep(logits, (_, id) => kept[id]);
  },
  "min-p": (logits, p) => {
    const shares = softmax(logits);
    const least = p * shares.reduce((a, b) => Math.max(a, b), 0);
    return keep(logits, (_, id) => shares[id] >= least);
  },
};

// Random numbers from 0 to 1 that a seed makes come again (mulberry32).
function* random(seed) {
  for (let state = seed >>> 0; ; ) {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    yield ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }
}

// The logits after the steps that are on; `told` hears of each step what came in and what it left.
function apply(steps, raw, seen, told = () => {}) {
  return steps.reduce((logits, [name, value], n) => {
    const made = value === STEPS[name].off ? logits : MAKE[name](logits, value, seen);
    told(n, logits, made);
    return made;
  }, raw);
}

// How many tokens were cut, and the probability that they had.
function lost(logits, shares) {
  let [count, mass] = [0, 0];
  for (let id = 0; id < logits.length; id++) {
    if (logits[id] > -Infinity || shares[id] === 0) continue;
    count++;
    mass += shares[id];
  }
  return [count, mass];
}

function draw(shares, count, seed) {
  let sum = 0;
  const sums = shares.map((share) => (sum += share));
  const numbers = random(seed);
  const counts = new Map();
  let last = null;
  for (let n = 0; n < count; n++) {
    const number = numbers.next().value * sum;
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

const spelled = (steps) => steps.map((step) => step.join(":")).join(",");
const words = (steps) => steps.map(([name, value]) => `${name} ${value}`).join(", ") || "no step";

// What was chosen last in this browser window: another page forgets the link. And the chain that it shows.
let latest = null;
let shown = null;
window.addEventListener("vitrine-draw", ({ detail }) => (detail.said = shown?.add() ?? ""));

class Chain {
  constructor(host) {
    this.readLink();
    this.chain = element("div", "");
    this.chain.className = "chain";
    this.nav = element("nav", "");
    this.table = element("table", "");
    const scroll = element("div", "", this.table);
    scroll.className = "scroll";
    this.said = element("output", "");
    this.notice = element("div", "");
    this.notice.className = "notice";
    host.replaceChildren(this.notice, this.chain, this.nav, scroll, this.said);
    this.layChain();
    this.layNav();
  }

  // ---- the link: chain=top-p:0.9,temperature:0.7 (the steps that are on, in their order), beside (likewise), draws, seed

  readLink() {
    const here = new URLSearchParams(window.location.search);
    const link = ["chain", "beside", "seed", "draws"].some((name) => here.has(name)) ? here : (latest ?? here);
    this.wrong = false;
    const on = this.readSteps(link.get("chain") ?? "");
    const names = new Set(on.map(([name]) => name)); // the places of these are taken in the order of the link
    this.steps = Object.entries(STEPS).map(([name, { off }]) => (names.has(name) ? on.shift() : [name, off]));
    this.beside = link.has("beside") ? this.readSteps(link.get("beside")) : null;
    this.seed = /^\d{1,9}$/.test(link.get("seed") ?? "") ? Number(link.get("seed")) : 1;
    this.draws = ["1", "200"].includes(link.get("draws")) ? Number(link.get("draws")) : 0;
  }

  readSteps(text) {
    const asked = text.split(",").filter(Boolean).map((step) => step.split(":"));
    const right = asked.filter(([name, value], n) => {
      const [least, most] = Object.hasOwn(STEPS, name) ? [STEPS[name].values[0], STEPS[name].values.at(-1)] : [1, 0];
      return /^\d+(\.\d+)?$/.test(value ?? "") && Number(value) >= least && Number(value) <= most && asked.findIndex(([other]) => other === name) === n;
    });
    this.wrong ||= right.length < asked.length;
    return right.map(([name, value]) => [name, name === "top-k" ? Math.round(Number(value)) : Number(value)]);
  }

  writeLink() {
    const beside = this.beside && spelled(this.beside);
    writeLink({ chain: spelled(this.on()) || null, beside, seed: this.seed === 1 ? null : this.seed, draws: this.draws || null });
    latest = new URLSearchParams(window.location.search);
  }

  on() {
    return this.steps.filter(([name, value]) => value !== STEPS[name].off);
  }

  // ---- the controls

  layChain() {
    this.cards = this.steps.map(([name, value], n) => {
      const { off, values } = STEPS[name];
      const move = (to, sign, title) => {
        const button = Object.assign(element("button", sign), { type: "button", title, disabled: to < 0 || to >= this.steps.length });
        button.setAttribute("aria-label", `${STEPS[name].name}: ${title}`);
        button.onclick = () => {
          [this.steps[n], this.steps[to]] = [this.steps[to], this.steps[n]];
          this.layChain();
          this.changed();
          this.cards[to].slider.focus();
        };
        return button;
      };
      const slider = Object.assign(element("input", ""), { type: "range", min: 0, max: values.length - 1, step: 1 });
      slider.value = values.findIndex((one) => one >= value);
      slider.setAttribute("aria-label", STEPS[name].name);
      slider.setAttribute("aria-valuetext", value === off ? "off" : value);
      slider.oninput = () => {
        this.steps[n][1] = values[slider.value];
        slider.setAttribute("aria-valuetext", values[slider.value] === off ? "off" : values[slider.value]);
        this.changed();
      };
      slider.ondblclick = () => {
        slider.value = values.indexOf(off);
        slider.oninput();
      };
      const does = element("small", "");
      const head = element("header", "", element("span", STEPS[name].name), move(n - 1, "‹", "earlier"), move(n + 1, "›", "later"));
      return { does, slider, box: element("div", "", head, slider, does) };
    });
    this.chain.replaceChildren(...this.cards.map(({ box }) => box));
  }

  layNav() {
    const pressed = (count, label) => {
      const button = Object.assign(element("button", label), { type: "button", title: "once more: with the next seed" });
      button.onclick = () => {
        if (this.draws === count) seed.value = ++this.seed;
        this.draws = count;
        this.changed();
      };
      return [count, button];
    };
    this.buttons = [pressed(1, "Draw one"), pressed(200, "Draw 200")];
    this.clear = Object.assign(element("button", "×"), { type: "button", title: "no draw" });
    this.clear.onclick = () => {
      this.draws = 0;
      this.changed();
    };
    const seed = Object.assign(element("input", ""), { type: "number", min: 0, max: 999999999, value: this.seed });
    seed.setAttribute("aria-label", "seed");
    seed.oninput = () => {
      if (!/^\d{1,9}$/.test(seed.value)) return;
      this.seed = Number(seed.value);
      this.changed();
    };
    const write = Object.assign(element("button", "Write on"), { type: "button", title: "as many as 30 tokens, each drawn by this chain" });
    write.onclick = () => this.send("write", [this.seed, ...(this.beside ? [spelled(this.beside)] : []), spelled(this.on())].join(";"));
    const keep = Object.assign(element("button", "Keep as A"), { type: "button", title: "keep this chain, change it to B, and see both" });
    keep.onclick = () => {
      this.beside = this.on().map((step) => [...step]);
      this.changed();
    };
    this.drop = Object.assign(element("button", "Drop A"), { type: "button" });
    this.drop.onclick = () => {
      this.beside = null;
      this.changed();
    };
    this.mass = element("span", "");
    this.nav.replaceChildren(...this.buttons.map(([, button]) => button), this.clear, element("label", "seed ", seed), write, keep, this.drop, this.mass);
  }

  changed() {
    this.writeLink();
    this.wrong = false;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  // ---- the picture

  show(data, send) {
    if (!this.wrong) this.writeLink(); // the server, which is not told, may have written there itself
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

  // The settings that are shown, each with what it makes of the logits: one without a name, or A and B.
  settings() {
    const { logits: raw, seen, read } = this.data;
    const told = (n, before, after) => {
      const [name, value] = this.steps[n];
      const { does, box } = this.cards[n];
      box.classList.toggle("on", value !== STEPS[name].off);
      const { off } = STEPS[name];
      if (value === off) return void (does.textContent = Number.isFinite(off) ? `${off}: off` : "off");
      const cuts = after.some((logit, id) => logit === -Infinity && before[id] > -Infinity);
      const [count, mass] = cuts ? lost(after, softmax(before)) : [0, 0];
      does.textContent = `${value}${name === "temperature" && !value ? " (greedy)" : ""}${count ? ` · cuts ${fine(mass)} of what comes in` : ""}`;
    };
    const both = this.beside ? [["A", this.beside], ["B", this.steps]] : [["", this.steps]];
    return both.map(([label, steps]) => {
      const logits = apply(steps, raw, seen, steps === this.steps ? told : undefined);
      const shares = softmax(logits);
      return { label, steps, logits, shares, ...draw(shares, this.draws, this.seed + 7919 * read) }; // at each length other numbers
    });
  }

  draw() {
    this.notice.textContent = this.wrong ? "The link asks for a step or a number that is not there; what could be read of it is used." : "";
    const settings = this.settings();
    this.buttons.forEach(([count, button]) => button.setAttribute("aria-pressed", this.draws === count));
    this.clear.hidden = !this.draws;
    this.drop.hidden = !this.beside;
    this.mass.replaceChildren(
      ...settings.map(({ label, steps, logits }) => {
        const [count, gone] = lost(logits, this.model);
        const kept = `kept: ${(logits.length - count).toLocaleString("en")} of ${logits.length.toLocaleString("en")} tokens, ${fine(1 - gone)} of the model’s probability; cut: ${fine(gone)}`;
        return element("div", label ? `${label} (${words(steps.filter(([name, value]) => value !== STEPS[name].off))}) ${kept}` : kept);
      }),
    );

    const drawn = settings.map(({ last }) => last).filter((id) => id !== null);
    const ids = [...new Set([...this.likeliest, ...drawn])];
    if (this.chosen === null) this.chosen = ids[0];
    const each = (head) => settings.map(({ label }) => head.replace("*", label));
    const two = settings.length > 1;
    const heads = [
      "token",
      "logit",
      ...(two ? [] : ["after steps"]),
      ...(this.data.truth ? ["truth"] : []),
      "P of the model",
      ...each(two ? "P after *" : "P after steps"),
      two ? "▨ A ■ B □ before" : "■ after □ before",
      ...(this.draws ? each(two ? "* drawn / expected" : "drawn / expected") : []),
    ];
    const rows = ids.map((id) => this.row(id, settings));
    this.table.replaceChildren(element("thead", "", element("tr", "", ...heads.map((head) => element("th", head)))), element("tbody", "", ...rows));
    this.tell(settings);
  }

  row(id, settings) {
    const bar = (share, kind) => {
      const made = element("i", "");
      made.className = kind;
      made.style.width = `${100 * share}%`;
      return made;
    };
    const bars = element("td", "", ...settings.map(({ label, shares }) => bar(shares[id], label || "after")), bar(this.model[id], "model"));
    bars.className = "bars";
    const { logits } = settings.at(-1);
    const cut = settings.every((one) => one.logits[id] === -Infinity);
    const truth = this.data.truth ? [fine(this.data.truth[id] ?? 0)] : [];
    const after = settings.length > 1 ? [] : [cut ? "cut" : logits[id].toFixed(2)];
    const texts = [this.data.logits[id].toFixed(2), ...after, ...truth, fine(this.model[id]), ...settings.map(({ shares }) => fine(shares[id]))];
    const drawn = this.draws ? settings.map(({ counts, shares }) => `${counts.get(id) ?? 0} / ${(this.draws * shares[id]).toFixed(1)}`) : [];
    const name = Object.assign(element("button", this.name(id)), { type: "button", title: "how its probability comes about" });
    const row = element("tr", "", element("td", "", name), ...texts.map((text) => element("td", text)), bars, ...drawn.map((text) => element("td", text)));
    row.classList.toggle("cut", cut);
    row.classList.toggle("chosen", id === this.chosen);
    row.onclick = () => {
      this.chosen = id;
      this.draw();
    };
    return row;
  }

  tell(settings) {
    const id = this.chosen;
    const { label, logits, shares } = settings.at(-1);
    const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    const power = (logits[id] - largest).toFixed(2);
    const how =
      logits[id] === -Infinity
        ? `${this.name(id)} was cut, so it cannot be drawn; the model gives it ${fine(this.model[id])}.`
        : `P(${this.name(id)}) = e^${power} / ${sum.toFixed(3)} = ${fine(shares[id])}: its logit less the largest, as a power of e, over the sum of these powers of all that are kept. Before any step it was ${fine(this.model[id])}.`;
    this.said.replaceChildren(element("span", label ? `After ${label}: ${how}` : how));
    if (this.draws !== 1) return;
    const takes = settings.flatMap(({ label, last }) => {
      const take = Object.assign(element("button", `take ${this.name(last)}`), { type: "button" });
      take.onclick = () => this.send("token", last);
      take.disabled = !this.typable(last);
      return [element("b", `${label ? `${label} draws` : "Drawn"}: ${this.name(last)} `), take];
    });
    this.said.prepend(...takes, element("br", ""));
  }

  // Draw one token with this chain and take it; what there is to say if it cannot be taken.
  add() {
    const { last } = draw(this.settings().at(-1).shares, 1, this.seed + 7919 * this.data.read);
    if (!this.typable(last)) return `Drawn: ${this.name(last)}, which cannot stand in the prompt. Another seed draws another token.`;
    this.send("token", last);
    return "";
  }
}

const chains = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".sampling") ?? parentElement.appendChild(element("div", ""));
  host.className = "sampling";
  if (!chains.has(parentElement)) chains.set(parentElement, new Chain(host));
  shown = chains.get(parentElement);
  shown.show(unpack(data), setTriggerValue);
}
