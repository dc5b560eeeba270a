// A beam search: a column for each step, what was kept above the line and what was dropped below it. A click takes the
// text up to there.

const [ROW, GAP] = [54, 26]; // px, from box to box as high as in the style
const nats = (total) => total.toFixed(2).replace("-", "−");

function draw(room, { root, columns, width }, send) {
  const step = Math.max(128, Math.min(240, Math.floor((room - 4) / (columns.length + 1))));
  const box = step - GAP;
  const rows = Math.max(...columns.map((column) => column.length));
  const below = rows > width ? 14 : 0; // px, for the line between kept and dropped
  const top = (row) => row * ROW + (row < width ? 0 : below) + 22;

  const lines = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  lines.setAttribute("width", step * (columns.length + 1));
  lines.setAttribute("height", top(rows));
  const place = (made, column, row) => {
    Object.assign(made.style, { left: `${column * step}px`, top: `${top(row)}px`, width: `${box}px` });
    return made;
  };
  const start = place(element("b", root), 0, 0);
  start.className = "root";
  const made = [lines, start];

  columns.forEach((column, n) => {
    const head = element("small", n + 1 === columns.length ? `step ${n + 1}: found` : `step ${n + 1}`);
    head.style.left = `${(n + 1) * step}px`;
    made.push(head);
    column.forEach(({ beam, token, text, typable, log_p, total, kept, best }, row) => {
      const kind = best ? "best" : kept ? "kept" : "dropped";
      const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const [x, y, to, end] = [n * step + box, top(beam) + ROW / 2 - 4, (n + 1) * step, top(row) + ROW / 2 - 4];
      line.setAttribute("d", `M${x} ${y}C${(x + to) / 2} ${y} ${(x + to) / 2} ${end} ${to} ${end}`);
      line.setAttribute("class", kind);
      line.setAttribute("stroke-width", 1.5 + 5 * Math.exp(log_p));
      lines.append(line);
      const about = `${kind === "best" ? "on the best path" : kind}: “${text}”, P of this token ${percent(Math.exp(log_p))}, total ${nats(total)} nats`;
      const node = Object.assign(element("button", "", element("b", token), element("small", `${percent(Math.exp(log_p))}  ${nats(total)}`)), { type: "button", title: about });
      node.setAttribute("aria-label", about);
      node.className = kind;
      node.disabled = !typable;
      node.onclick = () => send("taken", [n, row]);
      made.push(place(node, n + 1, row));
    });
  });
  if (below) {
    const line = element("hr", "");
    Object.assign(line.style, { left: `${step}px`, top: `${top(width) - below / 2 - 4}px`, width: `${step * columns.length - GAP}px` });
    made.push(line);
  }
  const field = element("div", "", ...made);
  Object.assign(field.style, { width: `${step * (columns.length + 1) - GAP}px`, height: `${top(rows)}px` });
  return field;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".beams") ?? parentElement.appendChild(element("div", ""));
  host.className = "beams";
  host.replaceChildren(draw(host.clientWidth, data, setTriggerValue));
}
