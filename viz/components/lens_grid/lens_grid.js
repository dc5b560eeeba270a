// The lens: what each layer would say after each token. Hovering and the arrow keys read a cell out beside the grid and
// ask nothing of the server; a click picks the column.

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// What is said of one cell.
function reading({ tokens, rows, cells }, row, column) {
  const { likeliest, about, number, token } = cells[row][column];
  const lines = likeliest.map(([word, share]) => {
    const bar = element("i", "");
    bar.style.width = `${100 * share}%`;
    return element("li", "", element("b", word), element("div", "", bar), element("span", percent(share)));
  });
  const where = element("div", `${rows[row]}, after `, element("strong", tokens[column]));
  return [where, element("ol", "", ...lines), element("span", token ? about : `${about} · here: ${number}`)];
}

function draw(host, data, send) {
  const at = data.picked - data.first;
  const aside = element("aside", "");
  const say = (row, column) => aside.replaceChildren(...reading(data, row, column));
  const rest = () => say(data.rows.length - 1, at);

  const head = element("tr", "", element("th", ""), ...data.tokens.map((token, n) => Object.assign(classed(element("th", token), n === at ? "picked" : ""), { title: token })));
  const buttons = data.cells.map((row, n) =>
    row.map(({ token, number, shade, same }, column) => {
      const made = element("button", "", ...(token ? [element("b", token)] : []), element("small", number));
      made.type = "button";
      made.title = token;
      made.className = `${same ? "same" : ""} ${token ? "" : "number"}`;
      made.style.setProperty("--shade", shade);
      made.setAttribute("aria-label", `${data.rows[n]} after ${data.tokens[column]}: ${token} ${number}`);
      made.tabIndex = n === data.rows.length - 1 && column === at ? 0 : -1; // the arrow keys reach the others
      made.onmouseenter = made.onfocus = () => say(n, column);
      made.onclick = () => send("position", column + data.first);
      made.onkeydown = (event) => {
        const [down, right] = STEPS[event.key] ?? [0, 0];
        const next = buttons[n + down]?.[column + right];
        if (!next || next === made) return;
        event.preventDefault();
        next.focus();
      };
      return made;
    }),
  );
  const body = buttons.map((row, n) => {
    const cells = row.map((button, column) => classed(element("td", "", button), column === at ? "picked" : ""));
    return classed(element("tr", "", element("th", data.rows[n]), ...cells), n === buttons.length - 1 ? "output" : "");
  });
  const table = element("table", "", element("thead", "", head), element("tbody", "", ...body));
  table.onmouseleave = rest;
  rest();
  const before = host.querySelector(".scroll");
  const kept = before && [before.scrollLeft, before.scrollTop];
  const scroll = classed(element("div", "", table), "scroll");
  const legend = element("p", `Shown: ${data.legend}.`);
  host.replaceChildren(scroll, aside, legend);
  if (scroll.scrollWidth > scroll.clientWidth) legend.append(" The grid is wider than its room: scroll it sideways.");
  if (kept) [scroll.scrollLeft, scroll.scrollTop] = kept;
  else scroll.scrollLeft = head.children[at + 1].offsetLeft - scroll.clientWidth / 2;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".lens") ?? parentElement.appendChild(element("div", ""));
  host.className = `lens${data.rows.length > 8 ? " many" : ""}`;
  draw(host, data, setTriggerValue);
}
