// The four steps of attention: their matrices, and the arithmetic of one query's row. A click or the arrow keys up and
// down pick the row; right walks through the steps from the first on, left back. Nothing is asked of the server.

const ENDS = ["180,83,9", "15,118,110"]; // red, green, blue of the least and the largest number
const WEIGHT = "124,58,237"; // of an attention weight
const WRITTEN = 4; // numbers of a vector up to which each is written; a longer one is drawn as a strip
const READABLE = 8; // columns of a matrix up to which its numbers are written
const SHOWN = 32; // keys whose arithmetic is written
const DECIMALS = 4;
const LAST = 5; // steps: q·k, divided, masked, softmax, mixed
const TITLES = ["1 · query · key", "2 · divided", "3 · masked", "4 · softmax", "5 · values mixed"];
// What uses the arrow keys itself while it is in focus.
const USES = "input, textarea, select, canvas, [role=radiogroup], [role=slider], [role=listbox], [role=menu]";

// ---- numbers in words ------------------------------------------------------------------------

/**
 * A computed number: an integer as it is, any other with so many decimals.
 * @param {number} value
 */
function text(value, digits = DECIMALS) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const written = Number.isInteger(value) ? String(value) : value.toFixed(digits);
  return Number(written) === 0 ? "0" : minus(written);
}

/**
 * A number of the input, or a sum of such: without zeros at its end.
 * @param {number} value
 */
const input = (value) => minus(String(Number(value.toFixed(DECIMALS))));

/**
 * A number in a cell, in about five characters.
 * @param {number} value
 */
function short(value) {
  if (Math.abs(value) >= 1e4 && Number.isFinite(value)) return minus(value.toExponential(0).replace("e+", "e"));
  return text(value, Math.max(0, 2 - Math.max(0, Math.floor(Math.log10(Math.abs(value) || 1)))));
}

/**
 * A share of 1; one that is above 0 is not written as 0.
 * @param {number} value
 */
function share(value, digits = DECIMALS) {
  return value > 0 && value < 10 ** -digits ? `<${(10 ** -digits).toFixed(digits)}` : text(value, digits);
}

/** @param {number} value a score; masked are −∞, and −1e9 with a score added */
const isMasked = (value) => value < -1e8;

/**
 * A number with its sign before it, as a summand.
 * @param {number} value
 */
const summand = (value) => `${value < 0 ? "−" : "+"} ${text(Math.abs(value))}`;

/**
 * A number with the sign of its subtraction before it.
 * @param {number} value
 */
const subtrahend = (value) => `${value < 0 ? "+" : "−"} ${text(Math.abs(value))}`;

/**
 * A score after the mask; beside −1e9 it would stand in the last digits.
 * @param {number} scaled
 * @param {number} value
 */
const masked = (scaled, value) => (isMasked(value) && Number.isFinite(value) ? `−1e9 ${summand(scaled)}` : text(value));

/**
 * The decimals that a mixture of these values has, if its weights have DECIMALS.
 * @param {number[]} values
 */
function decimals(values) {
  const size = Math.floor(Math.log10(Math.max(...values.map(Math.abs)) || 1));
  return Math.max(0, Math.min(DECIMALS, 2 - size));
}

/** @param {number} divisor an integer, or the root of one */
const root = (divisor) => (Number.isInteger(divisor) ? String(divisor) : `√${Math.round(divisor ** 2)}`);

/** @param {number} value */
const factor = (value) => (value < 0 ? `(${input(value)})` : input(value));

/** @param {number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);

/**
 * The largest finite size of a number that is not masked.
 * @param {number[]} values
 */
const largest = (values) =>
  Math.max(
    1e-9,
    ...values
      .filter(Number.isFinite)
      .map(Math.abs)
      .filter((value) => value < 1e5),
  );

// ---- matrices --------------------------------------------------------------------------------

// An element that is hidden until its step is reached.
function stepped(target, name, step) {
  if (step) target.dataset.step = step;
  return classed(target, name);
}

function color(value, bound, isWeight) {
  const strength = Math.min(1, Math.abs(value) / bound) || 0;
  return isWeight ? `rgba(${WEIGHT},${strength})` : `rgba(${ENDS[Number(value > 0)]},${0.75 * strength})`;
}

// A vector as colored squares, shaded by the square root so that small numbers are seen; its numbers on hover.
function strip(values, bound) {
  const canvas = Object.assign(element("canvas"), { width: values.length, height: 1 });
  const context = contextOf(canvas);
  values.forEach((value, n) => {
    context.fillStyle = color(Math.sign(value) * Math.sqrt(Math.abs(value) / bound), 1, false);
    context.fillRect(n, 0, 1, 1);
  });
  canvas.onpointermove = (event) => {
    const n = Math.min(values.length - 1, Math.floor((values.length * event.offsetX) / canvas.clientWidth));
    canvas.title = `number ${n}: ${text(values[n])}`;
  };
  return canvas;
}

/**
 * A vector in numbers, or as a strip.
 * @param {number[]} values
 * @param {number} [bound] of the colors
 * @param {(value: number, at: number) => string} [write]
 */
const vector = (values, bound = 1, write = input) =>
  values.length > WRITTEN ? strip(values, bound) : element("span", `(${values.map(write).join(", ")})`);

const column = (matrix, at) => matrix.map((row) => row[at]);

// What is written in a cell of the matrix of a step, and in full when it is hovered.
function cellText(data, step, row, at, value) {
  if (step === 4) return [share(value, 2), share(value)];
  if (step === 3) return [short(value), masked(data.scaled[row][at], value)];
  return [step < LAST ? short(value) : text(value, decimals(column(data.v, at))), text(value)];
}

function matrix(data, title, step, values, columns, pick) {
  const width = values[0].length;
  const bound = step === 4 ? 1 : largest(values.flat());
  const readable = width <= READABLE;
  const heads = (columns ?? []).map((name) => classed(element("th", name), step < LAST ? "k" : "v"));
  const rows = values.map((row, n) => {
    const cells = row.map((value, at) => {
      const [written, whole] = cellText(data, step, n, at, value);
      const hidden = step === 3 ? isMasked(value) : step === 4 && isMasked(data.masked[n][at]) && value === 0;
      const full = step === 4 && value > 0.6;
      const cell = element("td", readable ? written : "");
      classed(cell, hidden && "none", full && "full", written.length > 5 && "long");
      if (!hidden) cell.style.background = color(value, bound, step === 4);
      cell.title = `${data.queries[n]} · ${step < LAST ? data.keys[at] : `number ${at}`}: ${whole}`;
      return cell;
    });
    const line = element("tr", "", classed(element("th", data.queries[n]), "q"), ...cells);
    line.onclick = () => pick(n);
    return line;
  });
  const head = columns && readable ? [element("tr", "", element("th"), ...heads)] : [];
  const figure = element("figure", "", element("figcaption", title), element("table", "", ...head, ...rows));
  figure.style.setProperty("--columns", String(Math.min(width, 24) + Number(step === 1)));
  figure.style.setProperty("--rows", String(values.length));
  return stepped(figure, readable ? "" : "dense", step);
}

// ---- one query -------------------------------------------------------------------------------

// The cells of one key: its product with the query, and what becomes of it.
function keyCells(data, row, n, powers, bounds) {
  const [q, weight] = [data.q[row], data.weights[row][n]];
  const [total, scaled, score] = [data.products, data.scaled, data.masked].map((values) => values[row][n]);
  const few = q.length <= WRITTEN;
  const product = q.map((value, i) => `${i ? factor(value) : input(value)}·${factor(data.k[n][i])}`).join(" + ");
  const products = data.k[n].map((value, i) => value * q[i]);
  const sums = few
    ? [element("span", `${product} = `)]
    : [strip(products, bounds.products), element("span", " sum = ")];
  const values = data.v[n].map((value) => weight * value);
  const mixed = few ? [element("span", `${share(weight)} · `), vector(data.v[n])] : [vector(values, bounds.mixed)];
  return [
    classed(element("th", data.keys[n]), "k"),
    stepped(element("td", "", ...sums, element("b", few ? input(total) : text(total))), "", 1),
    stepped(element("td", text(scaled)), "", 2),
    stepped(element("td", masked(scaled, score)), "", 3),
    stepped(element("td", share(powers[n])), "", 4),
    stepped(element("td", "", bar(weight || 0), element("b", share(weight))), "weight", 4),
    stepped(element("td", "", ...mixed), "v", 5),
  ];
}

// A row below those of the keys: a sum of powers, a sum of weights, and the mixture.
function totalRow(name, power, weight, ...mixture) {
  const empty = [1, 2, 3].map((step) => stepped(element("td"), "", step));
  return element(
    "tr",
    "",
    element("th", name),
    ...empty,
    stepped(element("td", "", element("b", share(power))), "", 4),
    stepped(element("td", "", element("b", share(weight))), "weight", 4),
    stepped(element("td", "", ...mixture), "v", 5),
  );
}

/**
 * The keys whose arithmetic is shown for one query: those that are not masked (of few keys all), and of many those with
 * the largest weights.
 * @param {number[]} scores after the mask
 * @param {number[]} weights
 */
function shownKeys(scores, weights) {
  const all = scores.map((_, n) => n);
  const seen = all.filter((n) => scores.length <= READABLE || !isMasked(scores[n]));
  const least = [...seen].sort((a, b) => weights[b] - weights[a])[SHOWN - 1];
  return { seen, shown: seen.length <= SHOWN ? seen : seen.filter((n) => weights[n] >= weights[least]) };
}

function arithmetic(data, row) {
  const [q, scaled, scores, weights] = [data.q[row], data.scaled[row], data.masked[row], data.weights[row]];
  const top = scores.indexOf(Math.max(...scores));
  const powers = scores.map((score) => Math.exp(score - scores[top]));
  const products = data.k.flatMap((key) => key.map((value, n) => value * q[n]));
  const values = data.v.flatMap((value, n) => value.map((number) => weights[n] * number));
  const bounds = { products: largest(products), mixed: largest([...values, ...data.z[row]]) };
  const { seen, shown } = shownKeys(scores, weights);

  const less = isMasked(scores[top]) ? `+ 1e9 ${subtrahend(scaled[top])}` : subtrahend(scores[top]);
  const heads = ["key", "q · k", `÷ ${root(data.divisor)}`, "masked", `e^(score ${less})`, "weight", "weight · value"];
  const steps = [0, 1, 2, 3, 4, 4, 5];
  const title = element("tr", "", ...heads.map((name, n) => stepped(element("th", name), "", steps[n])));
  const rows = shown.map((n) => element("tr", "", ...keyCells(data, row, n, powers, bounds)));
  const others = seen.filter((n) => !shown.includes(n));
  const [power, weight] = [powers, weights].map((numbers) => sum(others.map((n) => numbers[n])));
  if (others.length) rows.push(totalRow(`${others.length} more`, power, weight));
  const z = vector(data.z[row], bounds.mixed, (value, at) => text(value, decimals(column(data.v, at))));
  const end = classed(totalRow("sum", sum(powers), sum(weights), element("b", "", z)), "end");
  const query = classed(element("b", data.queries[row]), "q");
  const asks = classed(element("p", "", query, ` asks with q = `, vector(q, largest(q))), "asks");
  const table = classed(element("div", "", element("table", "", title, ...rows, end)), "scroll");
  return [asks, table, ...notes(data.keys.length - seen.length, scaled, scores[top])];
}

// Notes on a row: the keys that are not in its table, and how exact it is.
function notes(hidden, scaled, top) {
  const texts = [
    `Computed with all digits, written with ${DECIMALS} decimals: what is worked out from these may differ in the last one.`,
  ];
  if (hidden) texts.unshift(`${hidden} more ${hidden > 1 ? "keys are" : "key is"} masked: weight 0.`);
  if (isMasked(top)) {
    const rounded = scaled.map((score) => Math.fround(score - 1e9));
    const powers = rounded.map((score) => Math.exp(score - Math.max(...rounded)));
    texts.unshift(
      "Every key is blocked. −1e9 on all of them changes no difference, so the weights are as without a mask. That is in float64, as here; " +
        `in float32, whose numbers are 64 apart there, they would be ${powers.map((power) => share(power / sum(powers))).join(", ")}.`,
    );
  }
  return texts.map((note) => element("p", note));
}

// ---- the component ---------------------------------------------------------------------------

const numbers = (rows) => rows.map((row) => row.map(Number));
const keyListeners = new WeakMap(); // of each host

export default function ({ data: sent, parentElement }) {
  const data = { ...sent };
  for (const name of ["q", "k", "v", "products", "scaled", "masked", "weights", "z"]) data[name] = numbers(sent[name]);
  const box = host(parentElement, "byhand");
  box.tabIndex = 0;
  const link = new LinkState(["row"]);
  const last = data.queries.length - 1;
  const linked = link.get("row") ?? "";
  let row = Math.min(last, Number(box.dataset.row ?? (/^\d{1,4}$/.test(linked) ? linked : last)));
  let step = Number(box.dataset.shown ?? LAST);

  const maps = classed(element("div"), "maps");
  const work = classed(element("div"), "work");
  const squares =
    data.q[0].length > WRITTEN
      ? " Each square is a number: green above 0, brown below, shaded by the square root."
      : "";
  const hatched = data.masked.flat().some(isMasked) ? " Hatched: masked; in 4 its weight is exactly 0." : "";
  const hint = `Click a row; then ↑ ↓ go to the next query, and → walks through the steps from the first on, ← back.${hatched}${squares}`;
  box.replaceChildren(maps, element("small", hint), work);

  function show() {
    Object.assign(box.dataset, { row, shown: step });
    work.replaceChildren(...arithmetic(data, row));
    for (const table of maps.querySelectorAll("table"))
      [...table.rows].slice(-last - 1).forEach((line, n) => line.classList.toggle("picked", n === row));
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (box.querySelectorAll("[data-step]"))) {
      part.classList.toggle("later", Number(part.dataset.step) > step);
      part.classList.toggle("now", Number(part.dataset.step) === step && step < LAST);
    }
  }

  function pick(n) {
    row = Math.max(0, Math.min(last, n));
    link.set({ row });
    show();
  }

  function walk(to) {
    step = to;
    show();
  }

  const shown = [data.products, data.scaled, data.masked, data.weights];
  const titles = TITLES.map((title, n) => (n === 1 ? `2 · ÷ ${root(data.divisor)}` : title));
  maps.append(...shown.map((values, n) => matrix(data, titles[n], n + 1, values, data.keys, pick)));
  maps.append(matrix(data, titles[4], LAST, data.z, sent.contents, pick));
  maps.querySelectorAll("figcaption").forEach((caption, n) => (caption.onclick = () => walk(n + 1)));
  show();
  link.restore();

  const moves = {
    ArrowUp: () => pick(row - 1),
    ArrowDown: () => pick(row + 1),
    ArrowLeft: () => walk(Math.max(1, step - 1)),
    ArrowRight: () => walk((step % LAST) + 1),
  };
  const onKey = (event) => {
    if (!moves[event.key] || document.activeElement?.closest(USES)) return;
    event.preventDefault();
    moves[event.key]();
  };
  document.removeEventListener("keydown", keyListeners.get(box));
  document.addEventListener("keydown", onKey);
  keyListeners.set(box, onKey);
  return () => document.removeEventListener("keydown", onKey);
}
