// Attention by hand: the matrices of the four steps, and one query's row worked out. A click or the arrow keys up and
// down pick the row; right walks through the steps from the first on, left back. Nothing is asked of the server.

const ENDS = [[180, 83, 9], [15, 118, 110]]; // the colours of the least and the largest number
const WRITTEN = 4; // numbers of a vector up to which each of them is written; more are drawn as a strip
const READABLE = 8; // columns of a matrix up to which its numbers are written
const SHOWN = 32; // keys whose arithmetic is written
const DECIMALS = 4;
const LAST = 5; // steps: q·k, divided, masked, softmax, mixed
const TITLES = ["1 · query · key", "2 · divided", "3 · masked", "4 · softmax", "5 · values mixed"];
// What has the arrow keys for itself while it is in focus.
const USES = "input, textarea, select, canvas, [role=radiogroup], [role=slider], [role=listbox], [role=menu]";

const minus = (said) => said.replace("-", "−");

// A number in the arithmetic: a whole one as it is, another with so many decimals.
function text(value, digits = DECIMALS) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const said = Number.isInteger(value) ? String(value) : value.toFixed(digits);
  return Number(said) === 0 ? "0" : minus(said);
}

// A number that was given, or is a sum of such: without zeros at its end.
const given = (value) => minus(String(Number(value.toFixed(DECIMALS))));

// A number in a cell, in about five characters.
function short(value) {
  if (Math.abs(value) >= 1e4 && Number.isFinite(value)) return minus(value.toExponential(0).replace("e+", "e"));
  return text(value, Math.max(0, 2 - Math.max(0, Math.floor(Math.log10(Math.abs(value) || 1)))));
}

// A share of 1: a small one is not written as none.
const share = (value, digits = DECIMALS) => (value > 0 && value < 10 ** -digits ? `<${(10 ** -digits).toFixed(digits)}` : text(value, digits));

// A score behind the mask; beside −1e9 it would be in the last digits.
const masked = (scaled, value) => (lost(value) && Number.isFinite(value) ? `−1e9 ${scaled < 0 ? "−" : "+"} ${text(Math.abs(scaled))}` : text(value));

// The decimals of a mixture of these values to which weights of so many decimals suffice.
const decimals = (values) => Math.max(0, Math.min(DECIMALS, 2 - Math.floor(Math.log10(Math.max(...values.map(Math.abs)) || 1))));

const root = (divisor) => (Number.isInteger(divisor) ? String(divisor) : `√${Math.round(divisor ** 2)}`);
const lost = (value) => value < -1e8; // masked: −∞, or −1e9 and a score
const factor = (value) => (value < 0 ? `(${given(value)})` : given(value));
const largest = (values) => Math.max(1e-9, ...values.filter(Number.isFinite).map(Math.abs).filter((value) => value < 1e5));

// What is seen once its step is reached.
function stepped(made, name, step) {
  if (step) made.dataset.step = step;
  return classed(made, name);
}

function colour(value, bound, weight) {
  const share = Math.min(1, Math.abs(value) / bound) || 0;
  return weight ? `rgba(124,58,237,${share})` : `rgba(${ENDS[Number(value > 0)].join()},${0.75 * share})`;
}

// A vector as coloured squares, shaded by the square root so that small numbers are seen; its numbers on hover.
function strip(values, bound) {
  const canvas = Object.assign(element("canvas", ""), { width: values.length, height: 1 });
  const context = canvas.getContext("2d");
  values.forEach((value, n) => {
    context.fillStyle = colour(Math.sign(value) * Math.sqrt(Math.abs(value) / bound), 1);
    context.fillRect(n, 0, 1, 1);
  });
  canvas.onpointermove = (event) => {
    const n = Math.min(values.length - 1, Math.floor((values.length * event.offsetX) / canvas.clientWidth));
    canvas.title = `number ${n}: ${text(values[n])}`;
  };
  return canvas;
}

const vector = (values, bound, said = given) =>
  values.length > WRITTEN ? strip(values, bound) : element("span", `(${values.map(said).join(", ")})`);

const column = (matrix, at) => matrix.map((row) => row[at]);

function matrix(data, title, step, values, columns, pick) {
  const wide = values[0].length;
  const bound = step === 4 ? 1 : largest(values.flat());
  const readable = wide <= READABLE;
  const names = columns && readable ? [element("tr", "", element("th", ""), ...columns.map((name) => classed(element("th", name), step < LAST ? "k" : "v")))] : [];
  const rows = values.map((row, n) => {
    const cells = row.map((value, at) => {
      const said = step === 4 ? share(value, 2) : step < LAST ? short(value) : text(value, decimals(column(data.v, at)));
      const none = step === 3 ? lost(value) : step === 4 && lost(data.masked[n][at]) && value === 0;
      const cell = classed(element("td", readable ? said : ""), none && "none", step === 4 && value > 0.6 && "full", said.length > 5 && "long");
      if (!none) cell.style.background = colour(value, bound, step === 4);
      const whole = step === 3 ? masked(data.scaled[n][at], value) : step === 4 ? share(value) : text(value);
      cell.title = `${data.queries[n]} · ${step < LAST ? data.keys[at] : `number ${at}`}: ${whole}`;
      return cell;
    });
    const made = element("tr", "", classed(element("th", data.queries[n]), "q"), ...cells);
    made.onclick = () => pick(n);
    return made;
  });
  const figure = stepped(element("figure", "", element("figcaption", title), element("table", "", ...names, ...rows)), readable ? "" : "dense", step);
  figure.style.setProperty("--columns", Math.min(wide, 24) + (step === 1));
  figure.style.setProperty("--rows", values.length);
  return figure;
}

// One query: its product with each key, and what becomes of it.
function arithmetic(data, row) {
  const { keys, divisor } = data;
  const [q, scores, scaled, behind, weights] = [data.q, data.products, data.scaled, data.masked, data.weights].map((of) => of[row]);
  const top = behind.indexOf(Math.max(...behind));
  const powers = behind.map((score) => Math.exp(score - behind[top]));
  const products = data.k.map((key) => key.map((value, n) => value * q[n]));
  const shares = data.v.map((value, n) => value.map((one) => weights[n] * one));
  const [within, mixed] = [largest(products.flat()), largest([...shares.flat(), ...data.z[row]])];
  const few = q.length <= WRITTEN;
  const seen = keys.map((_, n) => n).filter((n) => keys.length <= READABLE || !lost(behind[n]));
  const least = [...seen].sort((a, b) => weights[b] - weights[a])[SHOWN - 1];
  const shown = seen.length <= SHOWN ? seen : seen.filter((n) => weights[n] >= weights[least]);
  const off = lost(behind[top]) ? `+ 1e9 ${scaled[top] < 0 ? "+" : "−"} ${text(Math.abs(scaled[top]))}` : `${behind[top] < 0 ? "+" : "−"} ${text(Math.abs(behind[top]))}`;
  const head = ["key", "q · k", `÷ ${root(divisor)}`, "masked", `e^(score ${off})`, "weight", "weight · value"];
  const cells = (n) => {
    const sum = few ? [element("span", `${q.map((value, i) => `${i ? factor(value) : given(value)}·${factor(data.k[n][i])}`).join(" + ")} = `)] : [strip(products[n], within), element("span", " sum = ")];
    const bar = element("i", "");
    bar.style.width = `${100 * (weights[n] || 0)}%`;
    return [
      classed(element("th", keys[n]), "k"),
      stepped(element("td", "", ...sum, element("b", few ? given(scores[n]) : text(scores[n]))), "", 1),
      stepped(element("td", text(scaled[n])), "", 2),
      stepped(element("td", masked(scaled[n], behind[n])), "", 3),
      stepped(element("td", share(powers[n])), "", 4),
      stepped(element("td", "", bar, element("b", share(weights[n]))), "weight", 4),
      stepped(element("td", "", ...(few ? [element("span", `${share(weights[n])} · `), vector(data.v[n])] : [vector(shares[n], mixed)])), "v", 5),
    ];
  };
  const total = (values) => values.reduce((sum, value) => sum + value, 0);
  const steps = [0, 1, 2, 3, 4, 4, 5];
  const title = element("tr", "", ...head.map((name, n) => stepped(element("th", name), "", steps[n])));
  const last = (name, first, second, ...third) =>
    element(
      "tr", "", element("th", name), ...[1, 2, 3].map((step) => stepped(element("td", ""), "", step)),
      stepped(element("td", "", element("b", share(first))), "", 4),
      stepped(element("td", "", element("b", share(second))), "weight", 4),
      stepped(element("td", "", ...third), "v", 5),
    );
  const more = seen.filter((n) => !shown.includes(n));
  const others = more.length ? [last(`${more.length} more`, total(more.map((n) => powers[n])), total(more.map((n) => weights[n])))] : [];
  const z = vector(data.z[row], mixed, (value, at) => text(value, decimals(column(data.v, at))));
  const end = classed(last("sum", total(powers), total(weights), element("b", "", z)), "end");
  const asks = classed(element("p", "", classed(element("b", data.queries[row]), "q"), ` asks with q = `, vector(q, largest(q))), "asks");
  const table = element("table", "", title, ...shown.map((n) => element("tr", "", ...cells(n))), ...others, end);
  return [asks, classed(element("div", "", table), "scroll"), ...notes(keys.length - seen.length, scaled, behind[top])];
}

// What is to be said of a row: what is not in its table, and how exact it is.
function notes(hidden, scaled, top) {
  const said = [`Computed with all digits, written with ${DECIMALS} decimals: what is worked out from these may differ in the last one.`];
  if (hidden) said.unshift(`${hidden} more ${hidden > 1 ? "keys are" : "key is"} masked: weight 0.`);
  if (lost(top)) {
    const rough = scaled.map((score) => Math.fround(score - 1e9));
    const powers = rough.map((score) => Math.exp(score - Math.max(...rough)));
    const sum = powers.reduce((one, other) => one + other, 0);
    said.unshift(
      "Every key is blocked. −1e9 on all of them changes no difference, so the weights are as without a mask. That is in float64, as here; " +
        `in float32, whose numbers are 64 apart there, they would be ${powers.map((power) => share(power / sum)).join(", ")}.`,
    );
  }
  return said.map((note) => element("p", note));
}

const numbers = (rows) => rows.map((row) => row.map(Number));
const listening = new WeakMap(); // of each picture what it does on a key

export default function ({ data: sent, parentElement }) {
  const data = { ...sent };
  for (const name of ["q", "k", "v", "products", "scaled", "masked", "weights", "z"]) data[name] = numbers(sent[name]);
  const host = parentElement.querySelector(".byhand") ?? parentElement.appendChild(element("div", ""));
  host.className = "byhand";
  host.tabIndex = 0;
  const last = data.queries.length - 1;
  const linked = readLink("row") ?? "";
  let row = Math.min(last, Number(host.dataset.row ?? (/^\d{1,4}$/.test(linked) ? linked : last)));
  let step = Number(host.dataset.shown ?? LAST);

  const maps = classed(element("div", ""), "maps");
  const work = classed(element("div", ""), "work");
  const squares = data.q[0].length > WRITTEN ? " Each square is a number: green above 0, brown below, shaded by the square root." : "";
  const hatched = data.masked.flat().some(lost) ? " Hatched: masked; in 4 its weight is exactly 0." : "";
  const hint = element("small", `Click a row; then ↑ ↓ go to the next query, and → walks through the steps from the first on, ← back.${hatched}${squares}`);
  host.replaceChildren(maps, hint, work);

  function show() {
    Object.assign(host.dataset, { row, shown: step });
    work.replaceChildren(...arithmetic(data, row));
    maps.querySelectorAll("table").forEach((table) => [...table.rows].slice(-last - 1).forEach((one, n) => one.classList.toggle("picked", n === row)));
    host.querySelectorAll("[data-step]").forEach((one) => {
      one.classList.toggle("later", Number(one.dataset.step) > step);
      one.classList.toggle("now", Number(one.dataset.step) === step && step < LAST);
    });
  }

  function pick(n) {
    row = Math.max(0, Math.min(last, n));
    writeLink({ row });
    show();
  }

  maps.append(
    ...[data.products, data.scaled, data.masked, data.weights].map((values, n) => matrix(data, n === 1 ? `2 · ÷ ${root(data.divisor)}` : TITLES[n], n + 1, values, data.keys, pick)),
    matrix(data, TITLES[4], LAST, data.z, sent.contents, pick),
  );
  maps.querySelectorAll("figcaption").forEach((caption, n) => (caption.onclick = () => ((step = n + 1), show())));
  show();
  writeLink(chosen); // the page may have written its own

  const moves = { ArrowUp: () => pick(row - 1), ArrowDown: () => pick(row + 1) };
  moves.ArrowLeft = () => ((step = Math.max(1, step - 1)), show());
  moves.ArrowRight = () => ((step = (step % LAST) + 1), show());
  const onKey = (event) => {
    if (!moves[event.key] || document.activeElement.closest(USES)) return;
    event.preventDefault();
    moves[event.key]();
  };
  document.removeEventListener("keydown", listening.get(host));
  document.addEventListener("keydown", onKey);
  listening.set(host, onKey);
  return () => document.removeEventListener("keydown", onKey);
}
