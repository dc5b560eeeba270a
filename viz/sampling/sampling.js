// The chain from logits to a draw. What the steps do is what model/sampling.py does (a test holds the
// two against each other). The chain, the seed and the number of draws are kept in the link.

const SHOWN = 12; // tokens in the table
const STEPS = {
  repetition: { name: "repetition", off: 1, values: range(1, 2, 0.05) },
  temperature: { name: "temperature", off: 1, values: range(0, 2, 0.05) },
  "top-k": { name: "top-k", off: Infinity, values: [1, 2, 3, 4, 5, 8, 10, 15, 20, 30, 40, 50, 100, 200, 500, 1000, 2000, 5000, Infinity] },
  "top-p": { name: "top-p", off: 1, values: range(0, 1, 0.01) },
  "min-p": { name: "min-p", off: 0, values: range(0, 1, 0.01) },
};
const percent = (share) => (share === 0 ? "0" : share < 0.0001 ? "< 0.01 %" : `${(100 * share).toFixed(2)} %`);

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

// What was chosen last in this browser window: another page forgets the link.
let chosen = null;

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

  // ---- the link: chain=top-p:0.9,temperature:0.7 (the steps that are on, in their order), draws, seed

  readLink() {
    const here = new URLSearchParams(window.location.search);
    const link = ["chain", "seed", "draws"].some((name) => here.has(name)) ? here : (chosen ?? here);
    const asked = (link.get("chain") ?? "").split(",").filter(Boolean).map((step) => step.split(":"));
    const right = asked.filter(([name, value], n) => {
      const [least, most] = Object.hasOwn(STEPS, name) ? [STEPS[name].values[0], STEPS[name].values.at(-1)] : [1, 0];
      return /^\d+(\.\d+)?$/.test(value ?? "") && Number(value) >= least && Number(value) <= most && asked.findIndex(([other]) => other === name) === n;
    });
    this.wrong = right.length < asked.length;
    this.steps = right.map(([name, value]) => [name, name === "top-k" ? Math.round(Number(value)) : Number(value)]);
    for (const [name, { off }] of Object.entries(STEPS)) if (!this.steps.some(([other]) => other === name)) this.steps.push([name, off]);
    this.seed = /^\d{1,9}$/.test(link.get("seed") ?? "") ? Number(link.get("seed")) : 1;
    this.draws = ["1", "200"].includes(link.get("draws")) ? Number(link.get("draws")) : 0;
  }

  writeLink() {
    const url = new URL(window.location.href);
    const chain = this.on().map((step) => step.join(":")).join(",");
    for (const [name, value] of [["chain", chain || null], ["seed", this.seed === 1 ? null : this.seed], ["draws", this.draws || null]]) {
      if (value === null) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    window.history.replaceState(window.history.state, "", url);
    chosen = url.searchParams;
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
      const button = Object.assign(element("button", label), { type: "button" });
      button.onclick = () => {
        this.draws = this.draws === count ? 0 : count;
        this.changed();
      };
      return [count, button];
    };
    this.buttons = [pressed(1, "Draw one"), pressed(200, "Draw 200")];
    const seed = Object.assign(element("input", ""), { type: "number", min: 0, max: 999999999, value: this.seed });
    seed.setAttribute("aria-label", "seed");
    seed.oninput = () => {
      if (!/^\d{1,9}$/.test(seed.value)) return;
      this.seed = Number(seed.value);
      this.changed();
    };
    const write = Object.assign(element("button", "Write on"), { type: "button", title: "as many as 30 tokens, each drawn by this chain" });
    write.onclick = () => this.send("write", { chain: this.on(), seed: this.seed });
    this.mass = element("span", "");
    this.nav.replaceChildren(...this.buttons.map(([, button]) => button), element("label", "seed ", seed), write, this.mass);
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

  draw() {
    const { logits: raw, seen } = this.data;
    this.notice.textContent = this.wrong ? "The link asks for a step or a number that is not there; what could be read of it is used." : "";
    let logits = raw;
    for (const [n, [name, value]] of this.steps.entries()) {
      const { off } = STEPS[name];
      const { does, box } = this.cards[n];
      const on = value !== off;
      box.classList.toggle("on", on);
      if (on) {
        const before = softmax(logits);
        logits = MAKE[name](logits, value, seen);
        const [gone, count] = logits.reduce(([mass, cut], logit, id) => (logit === -Infinity && before[id] > 0 ? [mass + before[id], cut + 1] : [mass, cut]), [0, 0]);
        does.textContent = `${value}${name === "temperature" && !value ? " (greedy)" : ""}${count ? ` · cuts ${percent(gone)} of what comes in` : ""}`;
      } else does.textContent = "off";
    }
    const shares = softmax(logits);
    const { counts, last } = draw(shares, this.draws, this.seed + 7919 * this.data.read); // at each length other numbers
    this.buttons.forEach(([count, button]) => button.setAttribute("aria-pressed", this.draws === count));

    const [cut, gone] = logits.reduce(([count, mass], logit, id) => (logit > -Infinity ? [count, mass] : [count + 1, mass + this.model[id]]), [0, 0]);
    const kept = raw.length - cut;
    this.mass.textContent = `kept: ${kept.toLocaleString("en")} of ${raw.length.toLocaleString("en")} tokens, ${percent(1 - gone)} of the model’s probability; cut: ${percent(gone)}`;

    const ids = [...new Set([...this.likeliest, ...(last === null ? [] : [last])])];
    if (this.chosen === null) this.chosen = ids[0];
    const truth = this.data.truth ? ["truth"] : [];
    const heads = ["token", "logit", "after steps", ...truth, "P of the model", "P after steps", "■ after □ before", ...(this.draws ? ["drawn / expected"] : [])];
    const rows = ids.map((id) => this.row(id, logits, shares, counts));
    this.table.replaceChildren(element("thead", "", element("tr", "", ...heads.map((head) => element("th", head)))), element("tbody", "", ...rows));
    this.tell(logits, shares, last);
  }

  row(id, logits, shares, counts) {
    const bar = (share, kind) => {
      const made = element("i", "");
      made.className = kind;
      made.style.width = `${100 * share}%`;
      return made;
    };
    const bars = element("td", "", bar(shares[id], "after"), bar(this.model[id], "model"));
    bars.className = "bars";
    const cut = logits[id] === -Infinity;
    const drawn = this.draws ? [`${counts.get(id) ?? 0} / ${(this.draws * shares[id]).toFixed(1)}`] : [];
    const texts = [this.data.logits[id].toFixed(2), cut ? "cut" : logits[id].toFixed(2), ...(this.data.truth ? [percent(this.data.truth[id] ?? 0)] : []), percent(this.model[id]), percent(shares[id])];
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

  tell(logits, shares, last) {
    const id = this.chosen;
    const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    const power = (logits[id] - largest).toFixed(2);
    const how =
      logits[id] === -Infinity
        ? `${this.name(id)} was cut, so it cannot be drawn; the model gives it ${percent(this.model[id])}.`
        : `P(${this.name(id)}) = e^${power} / ${sum.toFixed(3)} = ${percent(shares[id])}: its logit less the largest, as a power of e, over the sum of these powers of all that are kept. Before any step it was ${percent(this.model[id])}.`;
    this.said.replaceChildren(element("span", how));
    if (this.draws === 1) {
      const take = Object.assign(element("button", `take ${this.name(last)}`), { type: "button" });
      take.onclick = () => this.send("token", last);
      take.disabled = !this.data.typable.includes(last);
      this.said.prepend(element("b", `Drawn: ${this.name(last)} `), take, element("br", ""));
    }
  }
}

const chains = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".sampling") ?? parentElement.appendChild(element("div", ""));
  host.className = "sampling";
  if (!chains.has(parentElement)) chains.set(parentElement, new Chain(host));
  chains.get(parentElement).show(unpack(data), setTriggerValue);
}
