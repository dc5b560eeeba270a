// A text and its tokens: chips with ids, and below them rulers, all on one scale of bytes. Hovering a
// piece says what it is; a click keeps that.

const HUES = ["violet", "green", "blue", "orange", "red"];
const CELL = [14, 24]; // px of one byte in a ruler, at least and at most

const watches = new WeakMap(); // one of each picture, however often it is drawn

// Byte offsets at which a row begins a piece, its end among them.
function borders(pieces) {
  let at = 0;
  return [0, ...pieces.map(({ size }) => (at += size))];
}

// The lines of the rulers: they break where all rows have a border; a line is longer than `room` only if none is nearer.
function lines(rows, room) {
  const [first, ...others] = rows.map((row) => new Set(borders(row)));
  const common = [...first].filter((at) => others.every((set) => set.has(at)));
  const breaks = [0];
  for (const [n, at] of common.entries()) {
    const next = common[n + 1];
    if (next === undefined || next - breaks.at(-1) > room) if (at > breaks.at(-1)) breaks.push(at);
  }
  return breaks.slice(1).map((end, n) => [breaks[n], end]);
}

export default function ({ data, parentElement }) {
  const host = parentElement.querySelector(".pieces") ?? parentElement.appendChild(element("div", ""));
  host.className = "pieces";
  const told = element("output", "Hover a piece to see its bytes.");
  let kept = null;

  function tell(button, piece) {
    host.querySelectorAll(".lit").forEach((other) => other.classList.remove("lit"));
    button.classList.add("lit");
    told.replaceChildren(element("b", piece.label), ` · ${piece.about}`);
  }

  function made(piece, n, hue) {
    const button = element("button", "", element("b", piece.label));
    button.type = "button";
    button.style.setProperty("--hue", hue ?? `var(--st-${HUES[n % HUES.length]}-color)`);
    button.setAttribute("aria-label", `${piece.label}, ${piece.about}`);
    button.onmouseenter = button.onfocus = () => kept ?? tell(button, piece);
    button.onclick = () => {
      kept = kept === button ? null : button;
      tell(button, piece);
    };
    return button;
  }

  const chips = element("div", "");
  chips.className = "chips";
  for (const [n, piece] of data.chips ? data.rows[0].tokens.entries() : []) {
    const chip = made(piece, n);
    chip.append(element("small", piece.id));
    chips.append(chip);
  }

  const rulers = element("div", "");
  function draw() {
    const label = Math.max(...data.rows.map(({ name }) => name.length)) * 9 + 12;
    const wide = host.clientWidth - label;
    const cell = Math.min(CELL[1], Math.max(CELL[0], Math.floor(wide / borders(data.characters).at(-1))));
    const room = Math.max(8, Math.floor(wide / cell));
    const rows = [{ name: "", tokens: data.characters }, ...data.rows];
    const all = rows.map(({ tokens }) => tokens);
    rulers.replaceChildren(
      ...lines(all, room).map(([start, end]) => {
        const line = element("div", "");
        line.className = "line";
        line.style.setProperty("--bytes", end - start);
        line.style.setProperty("--cell", `${cell}px`);
        for (const [r, { name, tokens }] of rows.entries()) {
          const title = line.appendChild(element("span", name));
          title.style.gridRow = r + 1;
          const at = borders(tokens);
          for (const [n, piece] of tokens.entries()) {
            if (at[n] < start || at[n] >= end) continue;
            const cell = line.appendChild(made(piece, n, r ? undefined : "transparent"));
            if (!piece.whole) {
              cell.firstChild.textContent = piece.label.replace(/[< >]/g, "");
              cell.classList.add("bytes");
            }
            if (data.chips) cell.tabIndex = -1; // they are the way by keyboard
            cell.style.gridArea = `${r + 1} / ${2 + at[n] - start} / auto / span ${piece.size}`;
          }
        }
        return line;
      }),
    );
  }
  host.replaceChildren(...(data.chips ? [chips, told, rulers] : [rulers, told]));
  draw();
  let width = host.clientWidth;
  watches.get(host)?.disconnect();
  const watch = new ResizeObserver(() => {
    if (host.clientWidth === width) return;
    width = host.clientWidth;
    draw();
  });
  watch.observe(host);
  watches.set(host, watch);
  return () => watch.disconnect();
}
