// A word from its bytes to its tokens, one row for each merge. Buttons and arrow keys step through them in the browser.

export default function ({ data, parentElement }) {
  const root = host(parentElement, "merges");
  const last = data.rows.length - 1;
  let step = 0;

  const rows = data.rows.map(({ rank, id, symbols }, n) => {
    const labels = symbols.map(({ label, new: isNew }) => classed(element("b", label), isNew && "new"));
    const merge = n ? `${n}. rank ${rank.toLocaleString("en")} → id ${id.toLocaleString("en")}` : "its bytes";
    return element("li", "", element("small", merge), element("div", "", ...labels));
  });
  const list = element("ol", "", ...rows);
  const status = element("span");
  /** @type {[string, string, () => number][]} */
  const moves = [
    ["«", "to the bytes", () => 0],
    ["‹", "one merge back", () => step - 1],
    ["›", "next merge", () => step + 1],
    ["»", "all merges", () => last],
  ];
  const buttons = moves.map(([sign, title, target]) => {
    const created = button(sign, title, () => go(target()));
    created.setAttribute("aria-label", title);
    return created;
  });

  function go(target) {
    step = Math.max(0, Math.min(last, target));
    rows.forEach((row, n) => (row.hidden = n > step));
    buttons.forEach((move, n) => move.setAttribute("aria-disabled", String(n < 2 ? step === 0 : step === last)));
    const count = data.rows[step].symbols.length;
    const end = step === last ? ", no known pair is left" : "";
    status.textContent = `${step} of ${last} merges: ${count} ${count === 1 ? "symbol" : "symbols"}${end}`;
    list.scrollTop = list.scrollHeight;
  }

  root.onkeydown = ({ key }) => {
    if (key === "ArrowRight") go(step + 1);
    if (key === "ArrowLeft") go(step - 1);
  };
  root.replaceChildren(element("nav", "", ...buttons, status), list);
  go(0);
}
