// Generation, pass by pass. Buttons, slider and arrow keys step through it in the browser and ask nothing of the server.

const LEGEND = {
  kept: "read from the cache",
  new: "computed at this pass",
  none: "not there yet",
  gone: "fell out of the context",
};

const whole = (count) => count.toLocaleString("en");

/**
 * A count in three digits and T, G or M; a smaller one in full.
 * @param {number} count
 */
function amount(count) {
  const sizes = /** @type {[number, string][]} */ ([
    [1e12, "T"],
    [1e9, "G"],
    [1e6, "M"],
  ]);
  const [size, name] = sizes.find(([size]) => count >= size) ?? [1, ""];
  return name ? `${(count / size).toPrecision(3)} ${name}` : whole(count);
}

/**
 * A count of bytes.
 * @param {number} count
 */
function bytes(count) {
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} MB`;
  return count >= 1e4 ? `${(count / 1e3).toFixed(0)} kB` : `${whole(count)} bytes`;
}

/**
 * The state of a token at a pass: "gone" out of the context, "kept" in the cache, "new" (computed), or "none" (later).
 * @param {number} place
 * @param {{ first: number, cached: number, new: number }} pass
 * @param {boolean} hasCache
 */
function state(place, { first, cached, new: fresh }, hasCache) {
  if (place < first) return "gone";
  if (place < first + cached) return hasCache ? "kept" : "new";
  return place < first + cached + fresh ? "new" : "none";
}

/**
 * Multiply-adds of all passes up to this one, with the cache (0) or without (1).
 * @param {{ work: number[] }[]} passes
 * @param {number} step
 * @param {number} which
 */
const workSoFar = (passes, step, which) => passes.slice(0, step + 1).reduce((sum, { work }) => sum + work[which], 0);

function table(data, step, hasCache) {
  const pass = data.passes[step];
  const end = pass.first + pass.cached + pass.new;
  const states = data.text.map((_, place) => state(place, pass, hasCache));
  const shares = data.text.map((_, place) => (place < end ? pass.looks[place - pass.first] : undefined));
  const weights = shares.map((share) => {
    const column = element("i");
    column.style.height = `${100 * (share ?? 0)}%`;
    const label = element("small", share >= 0.045 ? Math.round(100 * share) : "");
    return element("td", "", classed(element("div", "", label, column), "look"));
  });
  const names = data.text.map((token, place) => {
    const cell = element("td", "", element("b", place < end ? token : ""));
    const weight = shares[place] === undefined ? "" : `: ${percent(shares[place])} of the attention`;
    cell.title = place < end ? `${place} ${token}${weight}` : "";
    return classed(cell, "token", states[place], place >= data.prompt && "written");
  });
  const layers = Array.from({ length: data.layers }, (_, layer) => {
    const cells = states.map((name) => classed(element("td", "", element("i")), "cell", name));
    return element("tr", "", element("th", `L${layer}`), ...cells);
  });
  const attention = element("tr", "", element("th", "looks at, %"), ...weights);
  const tokens = element("tr", "", element("th", "goes in"), ...names);
  const created = classed(element("table", "", attention, tokens, ...layers), data.layers > 8 && "many");
  return { created, newest: tokens.cells[end] };
}

function nextWord(pass) {
  const lines = pass.likeliest.map(([word, share], n) => {
    const line = element("li", "", element("b", word), element("div", "", bar(share)), element("span", percent(share)));
    return classed(line, n === pass.taken && "taken");
  });
  const title = element("div", "The model’s next tokens; ", element("strong", "➜ taken"));
  return [title, element("ol", "", ...lines)];
}

function counts(data, step, hasCache) {
  const pass = data.passes[step];
  const read = pass.cached + pass.new;
  const size = read < data.context ? read * data.each : 0; // when the context is full, the next pass begins anew
  const row = (name, less, more, ratio) => {
    const [cached, plain] = [
      classed(element("td", less), hasCache && "on"),
      classed(element("td", more), !hasCache && "on"),
    ];
    return element("tr", "", element("th", name), cached, plain, element("td", ratio));
  };
  const numbers = [
    ["positions read", pass.new, read, whole],
    ["multiply-adds", ...pass.work, amount],
    ["… so far", workSoFar(data.passes, step, 0), workSoFar(data.passes, step, 1), amount],
  ];
  const rows = numbers.map(([name, less, more, text]) =>
    row(name, text(less), text(more), `${(more / less).toFixed(1)} ×`),
  );
  const head = element("tr", "", ...["at this pass", "with cache", "without", ""].map((name) => element("th", name)));
  /** @type {HTMLElement[]} */
  const parts = [classed(element("table", "", head, ...rows, row("kept", bytes(size), "0", "")), "counts")];
  const factors = `2 · ${data.layers} layers · ${whole(read)} tokens · ${whole(data.each / 8 / data.layers)} numbers · 4 bytes`;
  if (size) parts.push(element("p", `Kept: ${factors} = ${whole(size)}`));
  return parts;
}

// What happens at a pass, in a sentence.
function sentence(data, step, hasCache) {
  const pass = data.passes[step];
  const end = pass.first + pass.cached + pass.new;
  if (pass.first)
    return `The context of ${whole(data.context)} tokens is full: the oldest token falls out, every other moves one position forward, and all are read anew. The cache is of no use any more.`;
  if (!step) {
    const tokens = pass.new === 1 ? "one token" : `${pass.new} tokens at once`;
    const room = end < data.context ? "keys and values are kept" : "they fill the context, so none of them can be kept";
    return `The prompt goes in: ${tokens}; ${room}. Step on with › or the arrow keys.`;
  }
  if (!hasCache) return `All ${end} tokens go in again; ${end - 1} of them give the same keys and values as before.`;
  return `Only “${data.text[end - 1]}” goes in. Its query looks at ${end} keys, of which ${pass.cached} were kept.`;
}

function draw(root, data) {
  const link = new LinkState(["step", "cache"]);
  const last = data.passes.length - 1;
  const asked = link.get("step") ?? "";
  let step = /^[1-9]\d?$/.test(asked) && Number(asked) <= last + 1 ? Number(asked) - 1 : 0;
  let hasCache = link.get("cache") !== "off";

  const slider = Object.assign(element("input"), { type: "range", min: 1, max: last + 1, ariaLabel: "pass" });
  const checkbox = Object.assign(element("input"), { type: "checkbox", checked: hasCache });
  const at = classed(element("span"), "at");
  /** @type {[string, string, () => number][]} */
  const moves = [
    ["«", "the prompt", () => 0],
    ["‹", "one pass back", () => step - 1],
    ["›", "one pass on", () => step + 1],
    ["»", "the last pass", () => last],
  ];
  const buttons = moves.map(([sign, title, target]) =>
    Object.assign(
      button(sign, title, () => go(target())),
      { ariaLabel: title },
    ),
  );
  const controls = [...buttons, slider, at, element("label", "", checkbox, " KV cache")];
  const status = Object.assign(classed(element("p"), "said"), { ariaLive: "polite" });
  const [scroll, aside] = [classed(element("div"), "scroll"), element("aside")];
  const halves = element("span", "", classed(element("i"), "k"), " key ", classed(element("i"), "v"), " value");
  const swatches = Object.entries(LEGEND)
    .filter(([name]) => name !== "gone" || data.passes[last].first)
    .map(([name, text]) => element("span", "", classed(element("span", "", element("i")), "cell", name), ` ${text}`));
  const legend = classed(element("p", "", halves, ...swatches), "legend");

  function show() {
    slider.value = String(step + 1);
    at.textContent = `pass ${step + 1} of ${last + 1}`;
    buttons.forEach((move, n) => (move.disabled = step === (n < 2 ? 0 : last)));
    status.textContent = sentence(data, step, hasCache);
    const { created, newest } = table(data, step, hasCache);
    scroll.replaceChildren(created);
    scroll.scrollLeft = newest.offsetLeft - scroll.clientWidth + 3 * newest.clientWidth;
    aside.replaceChildren(...nextWord(data.passes[step]), ...counts(data, step, hasCache));
  }

  function go(target) {
    step = Math.min(last, Math.max(0, target));
    link.set({ step: step ? step + 1 : null });
    show();
  }

  slider.oninput = () => go(Number(slider.value) - 1);
  checkbox.onchange = () => {
    hasCache = checkbox.checked;
    link.set({ cache: hasCache ? null : "off" });
    show();
  };
  root.onkeydown = (event) => {
    const target = { ArrowRight: step + 1, ArrowLeft: step - 1, Home: 0, End: last }[event.key];
    if (target === undefined || event.target === slider || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(target);
  };
  const grid = classed(element("div", "", scroll, legend), "grid");
  const main = classed(element("div", "", grid, aside), "main");
  root.replaceChildren(classed(element("div", "", ...controls), "controls"), status, main);
  show();
  link.restore();
}

export default function ({ data, parentElement }) {
  const root = host(parentElement, "cache");
  root.tabIndex = 0;
  draw(root, data);
}
