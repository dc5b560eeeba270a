// Attention by hand: the matrices of the four steps, and one query's row worked out. A click or the arrow keys up and
// down pick the row; left and right walk through the steps. Nothing is asked of the server.

const ENDS = [[180, 83, 9], [15, 118, 110]]; // the colours of the least and the largest number
const WRITTEN = 4; // numbers of a vector up to which each of them is written; more are drawn as a strip
const READABLE = 8; // columns of a matrix up to which its numbers are written
const LAST = 5; // steps: q·k, divided, masked, softmax, mixed
const TITLES = ["1 · query · key", "2 · divided", "3 · masked", "4 · softmax", "5 · values mixed"];

function text(value, digits = 2) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Math.abs(value) >= 1e5) return value.toExponential(0).replace("e+", "e").replaceAll("-", "−");
  const said = Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) >= 100 ? 0 : digits);
  return (Number(said) === 0 ? "0" : said).replace("-", "−");
}

const factor = (value) => (value < 0 ? `(${text(value)})` : text(value));
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
    canvas.title = `number ${n}: ${text(values[n], 4)}`;
  };
  return canvas;
}

const vector = (values, bound) =>
  values.length > WRITTEN ? strip(values, bound) : element("span", `(${values.map((value) => text(value)).join(", ")})`);

function matrix(data, title, step, values, columns, pick) {
  const wide = values[0].length;
  const bound = step === 4 ? 1 : largest(values.flat());
  const readable = wide <= READABLE;
  const names = columns && readable ? [element("tr", "", element("th", ""), ...columns.map((name) => classed(element("th", name), step < LAST ? "k" : "v")))] : [];
  const rows = values.map((row, n) => {
    const cells = row.map((value, at) => {
      const cell = element("td", readable ? text(value) : "");
      if (value > -1e8) cell.style.background = colour(value, bound, step === 4);
      else cell.className = "none";
      if (step === 4 && value > 0.6) cell.className = "full";
      cell.title = `${data.queries[n]} · ${step < LAST ? data.keys[at] : `number ${at}`}: ${text(value, 4)}`;
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
  const [q, scores, scaled, masked, weights] = [data.q, data.products, data.scaled, data.masked, data.weights].map((of) => of[row]);
  const top = Math.max(...masked);
  const powers = masked.map((score) => Math.exp(score - top));
  const products = data.k.map((key) => key.map((value, n) => value * q[n]));
  const shares = data.v.map((value, n) => value.map((one) => weights[n] * one));
  const [within, mixed] = [largest(products.flat()), largest([...shares.flat(), ...data.z[row]])];
  const short = q.length <= WRITTEN;
  const shown = keys.map((_, n) => n).filter((n) => keys.length <= READABLE || masked[n] > -1e8);
  const head = ["key", "q · k", `÷ ${text(divisor)}`, "masked", `e^(score ${top < 0 ? "+" : "−"} ${text(Math.abs(top))})`, "weight", "weight · value"];
  const cells = (n) => {
    const sum = short ? [element("span", `${q.map((value, i) => `${i ? factor(value) : text(value)}·${factor(data.k[n][i])}`).join(" + ")} = `)] : [strip(products[n], within), element("span", " sum = ")];
    const bar = element("i", "");
    bar.style.width = `${100 * (weights[n] || 0)}%`;
    return [
      classed(element("th", keys[n]), "k"),
      stepped(element("td", "", ...sum, element("b", text(scores[n]))), "", 1),
      stepped(element("td", text(scaled[n], 3)), "", 2),
      stepped(element("td", text(masked[n], 3)), "", 3),
      stepped(element("td", text(powers[n], 3)), "", 4),
      stepped(element("td", "", bar, element("b", text(weights[n], 3))), "weight", 4),
      stepped(element("td", "", ...(short ? [element("span", `${text(weights[n])} · `), vector(data.v[n])] : [vector(shares[n], mixed)])), "v", 5),
    ];
  };
  const steps = [0, 1, 2, 3, 4, 4, 5];
  const title = element("tr", "", ...head.map((name, n) => stepped(element("th", name), "", steps[n])));
  const end = element(
    "tr", "", element("th", "sum"), ...[1, 2, 3].map((step) => stepped(element("td", ""), "", step)),
    stepped(element("td", "", element("b", text(powers.reduce((sum, value) => sum + value, 0), 3))), "", 4),
    stepped(element("td", "", element("b", text(weights.reduce((sum, value) => sum + value, 0), 3))), "weight", 4),
    stepped(element("td", "", element("b", "", vector(data.z[row], mixed))), "v", 5),
  );
  const left = keys.length - shown.length;
  const rest = left ? [element("p", `${left} more ${left > 1 ? "keys are" : "key is"} masked: weight 0.`)] : [];
  const asks = classed(element("p", "", classed(element("b", data.queries[row]), "q"), ` asks with q = `, vector(q, largest(q))), "asks");
  return [asks, classed(element("div", "", element("table", "", title, ...shown.map((n) => element("tr", "", ...cells(n))), classed(end, "end"))), "scroll"), ...rest];
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
  const hint = element("small", `Click a row, or ↑ ↓ for the next query; ← → walk through the steps.${squares}`);
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
    ...[data.products, data.scaled, data.masked, data.weights].map((values, n) => matrix(data, n === 1 ? `2 · ÷ ${text(data.divisor)}` : TITLES[n], n + 1, values, data.keys, pick)),
    matrix(data, TITLES[4], LAST, data.z, sent.contents, pick),
  );
  maps.querySelectorAll("figcaption").forEach((caption, n) => (caption.onclick = () => ((step = n + 1), show())));
  show();
  writeLink(chosen); // the page may have written its own

  const moves = { ArrowUp: () => pick(row - 1), ArrowDown: () => pick(row + 1) };
  moves.ArrowLeft = () => ((step = Math.max(1, step - 1)), show());
  moves.ArrowRight = () => ((step = Math.min(LAST, step + 1)), show());
  const onKey = (event) => {
    const at = document.activeElement; // what is written into a box is not for the picture
    if (!moves[event.key] || !(at === document.body || at === host.getRootNode().host)) return;
    event.preventDefault();
    moves[event.key]();
  };
  document.removeEventListener("keydown", listening.get(host));
  document.addEventListener("keydown", onKey);
  listening.set(host, onKey);
  return () => document.removeEventListener("keydown", onKey);
}
