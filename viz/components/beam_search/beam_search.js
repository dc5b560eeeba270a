// A beam search: a column for each step, the kept texts above the line and the dropped ones below it. A click takes the
// text up to there.

const [ROW, GAP] = [54, 26]; // px, from box to box; the height of a box is in the style

/**
 * What is written on a candidate: its probability and total on its second line, and the whole of it on hover.
 * @param {{ text: string, log_p: number, total: number, kept: boolean, best: boolean }} candidate
 */
function describe({ text, log_p, total, kept, best }) {
  const kind = best ? "best" : kept ? "kept" : "dropped";
  const [share, nats] = [percent(Math.exp(log_p)), minus(total.toFixed(2))];
  const place = best ? "on the best path" : kind;
  return {
    kind,
    line: `${share}  ${nats}`,
    about: `${place}: “${text}”, P of this token ${share}, total ${nats} nats`,
  };
}

function draw(room, { root, columns, width }, send) {
  const step = Math.max(128, Math.min(240, Math.floor((room - 4) / (columns.length + 1))));
  const box = step - GAP;
  const rows = Math.max(...columns.map((column) => column.length));
  const below = rows > width ? 14 : 0; // px, for the line between kept and dropped
  const top = (row) => row * ROW + (row < width ? 0 : below) + 22;
  const place = (target, column, row) => {
    Object.assign(target.style, { left: `${column * step}px`, top: `${top(row)}px`, width: `${box}px` });
    return target;
  };

  const lines = svg("svg", { width: step * (columns.length + 1), height: top(rows) });
  const parts = [lines, place(classed(element("b", root), "root"), 0, 0)];
  columns.forEach((column, n) => {
    const head = element("small", n + 1 === columns.length ? `step ${n + 1}: found` : `step ${n + 1}`);
    head.style.left = `${(n + 1) * step}px`;
    parts.push(head);
    column.forEach((candidate, row) => {
      const { kind, line, about } = describe(candidate);
      const [x, y] = [n * step + box, top(candidate.beam) + ROW / 2 - 4];
      const [right, end] = [(n + 1) * step, top(row) + ROW / 2 - 4];
      const middle = (x + right) / 2;
      const curve = `M${x} ${y}C${middle} ${y} ${middle} ${end} ${right} ${end}`;
      lines.append(svg("path", { d: curve, class: kind, "stroke-width": 1.5 + 5 * Math.exp(candidate.log_p) }));
      const take = () => send("taken", [n, row]);
      const node = button("", about, take, element("b", candidate.token), element("small", line));
      node.setAttribute("aria-label", about);
      node.disabled = !candidate.typable;
      parts.push(place(classed(node, kind), n + 1, row));
    });
  });
  if (below) {
    const line = element("hr");
    const across = `${step * columns.length - GAP}px`;
    Object.assign(line.style, { left: `${step}px`, top: `${top(width) - below / 2 - 4}px`, width: across });
    parts.push(line);
  }
  const field = element("div", "", ...parts);
  Object.assign(field.style, { width: `${step * (columns.length + 1) - GAP}px`, height: `${top(rows)}px` });
  return field;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = host(parentElement, "beams");
  root.replaceChildren(draw(root.clientWidth, data, setTriggerValue));
}
