// A text and its tokens: chips with ids, and below them rulers, all on one scale of bytes. Hovering a piece describes it;
// a click keeps the description.

const HUES = ["violet", "green", "blue", "orange", "red"];
const CELL = [14, 24]; // px of one byte in a ruler, at least and at most

/**
 * The byte offsets at which the pieces of a row begin, and its end.
 * @param {{ size: number }[]} pieces
 */
function borders(pieces) {
  let at = 0;
  return [0, ...pieces.map(({ size }) => (at += size))];
}

/**
 * The first and last byte offset of each line of the rulers. Lines break where all rows have a border; a line is longer
 * than `room` bytes only if no such border is nearer.
 * @param {{ size: number }[][]} rows
 * @param {number} room
 */
function lines(rows, room) {
  const [first, ...others] = rows.map((row) => new Set(borders(row)));
  const common = [...first].filter((at) => others.every((set) => set.has(at)));
  const breaks = [0];
  for (const [n, at] of common.entries()) {
    const start = breaks[breaks.length - 1];
    const next = common[n + 1];
    if ((next === undefined || next - start > room) && at > start) breaks.push(at);
  }
  return breaks.slice(1).map((end, n) => /** @type {[number, number]} */ ([breaks[n], end]));
}

export default function ({ data, parentElement }) {
  const root = host(parentElement, "pieces");
  const status = element("output", "Hover a piece to see its bytes.");
  /** @type {HTMLElement | null} the piece that was clicked */
  let locked = null;

  function describe(target, piece) {
    root.querySelectorAll(".lit").forEach((other) => other.classList.remove("lit"));
    target.classList.add("lit");
    status.replaceChildren(element("b", piece.label), ` · ${piece.about}`);
  }

  function chip(piece, hue) {
    const click = () => {
      locked = locked === created ? null : created;
      describe(created, piece);
    };
    const created = button("", "", click, element("b", piece.label));
    created.style.setProperty("--hue", hue);
    created.setAttribute("aria-label", `${piece.label}, ${piece.about}`);
    created.onmouseenter = created.onfocus = () => locked ?? describe(created, piece);
    return created;
  }

  const hue = (n) => `var(--st-${HUES[n % HUES.length]}-color)`;

  function ruler(name, pieces, row, [start, end]) {
    const title = element("span", name);
    title.style.gridRow = row + 1;
    const at = borders(pieces);
    const cells = pieces.flatMap((piece, n) => {
      if (at[n] < start || at[n] >= end) return [];
      const cell = chip(piece, row ? hue(n) : "transparent");
      if (!piece.whole) {
        cell.replaceChildren(element("b", piece.label.replace(/[< >]/g, "")));
        cell.classList.add("bytes");
      }
      if (data.chips) cell.tabIndex = -1; // the keyboard reaches the chips
      cell.style.gridArea = `${row + 1} / ${2 + at[n] - start} / auto / span ${piece.size}`;
      return [cell];
    });
    return [title, ...cells];
  }

  const rulers = element("div");
  function draw() {
    const label = Math.max(...data.rows.map(({ name }) => name.length)) * 9 + 12;
    const wide = root.clientWidth - label;
    const cell = Math.min(CELL[1], Math.max(CELL[0], Math.floor(wide / Math.max(...borders(data.characters)))));
    const room = Math.max(8, Math.floor(wide / cell));
    const rows = [{ name: "", tokens: data.characters }, ...data.rows];
    const spans = lines(
      rows.map(({ tokens }) => tokens),
      room,
    );
    rulers.replaceChildren(
      ...spans.map((span) => {
        const pieces = rows.flatMap(({ name, tokens }, row) => ruler(name, tokens, row, span));
        const line = classed(element("div", "", ...pieces), "line");
        line.style.setProperty("--bytes", String(span[1] - span[0]));
        line.style.setProperty("--cell", `${cell}px`);
        return line;
      }),
    );
  }

  const chips = classed(element("div"), "chips");
  for (const [n, piece] of data.chips ? data.rows[0].tokens.entries() : []) {
    const created = chip(piece, hue(n));
    created.append(element("small", piece.id));
    chips.append(created);
  }
  root.replaceChildren(...(data.chips ? [chips, status, rulers] : [rulers, status]));
  draw();
  return onResize(root, draw);
}
