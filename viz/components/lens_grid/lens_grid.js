// The logit lens: what each layer would predict after each token. Hovering and the arrow keys read a cell out beside
// the grid and ask nothing of the server; a click picks the column.

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// The reading of one cell.
function reading({ tokens, rows, cells }, row, column) {
  const { likeliest, about, number, token } = cells[row][column];
  const lines = likeliest.map(([word, share]) =>
    element("li", "", element("b", word), element("div", "", bar(share)), element("span", percent(share))),
  );
  const place = element("div", `${rows[row]}, after `, element("strong", tokens[column]));
  return [place, element("ol", "", ...lines), element("span", token ? about : `${about} · here: ${number}`)];
}

function draw(root, data, send) {
  const at = data.picked - data.first;
  const output = data.rows.length - 1;
  const aside = element("aside");
  const read = (row, column) => aside.replaceChildren(...reading(data, row, column));
  const readPicked = () => read(output, at);

  const heads = data.tokens.map((token, n) =>
    Object.assign(classed(element("th", token), n === at && "picked"), { title: token }),
  );
  const buttons = data.cells.map((cells, row) =>
    cells.map(({ token, number, shade, same }, column) => {
      const pick = () => send("position", column + data.first);
      const texts = [...(token ? [element("b", token)] : []), element("small", number)];
      const cell = classed(button("", token, pick, ...texts), same && "same", !token && "number");
      cell.style.setProperty("--shade", shade);
      cell.setAttribute("aria-label", `${data.rows[row]} after ${data.tokens[column]}: ${token} ${number}`);
      cell.tabIndex = row === output && column === at ? 0 : -1; // the arrow keys reach the others
      cell.onmouseenter = cell.onfocus = () => read(row, column);
      cell.onkeydown = (event) => {
        const [down, right] = MOVES[event.key] ?? [0, 0];
        const next = buttons[row + down]?.[column + right];
        if (!next || next === cell) return;
        event.preventDefault();
        next.focus();
      };
      return cell;
    }),
  );
  const body = buttons.map((cells, row) => {
    const columns = cells.map((cell, column) => classed(element("td", "", cell), column === at && "picked"));
    return classed(element("tr", "", element("th", data.rows[row]), ...columns), row === output && "output");
  });
  const head = element("thead", "", element("tr", "", element("th"), ...heads));
  const table = element("table", "", head, element("tbody", "", ...body));
  table.onmouseleave = readPicked;
  readPicked();
  const before = root.querySelector(".scroll");
  const scrolled = before && [before.scrollLeft, before.scrollTop];
  const scroll = classed(element("div", "", table), "scroll");
  const legend = element("p", `Shown: ${data.legend}.`);
  root.replaceChildren(scroll, aside, legend);
  if (scroll.scrollWidth > scroll.clientWidth) legend.append(" The grid is wider than its room: scroll it sideways.");
  if (scrolled) [scroll.scrollLeft, scroll.scrollTop] = scrolled;
  else scroll.scrollLeft = heads[at].offsetLeft - scroll.clientWidth / 2;
}

export default function ({ data, parentElement, setTriggerValue }) {
  draw(host(parentElement, "lens", data.rows.length > 8 && "many"), data, setTriggerValue);
}
