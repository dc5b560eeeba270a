// A word from its bytes to its tokens: one row a merge, as many rows as steps were taken.

export default function ({ data, parentElement }) {
  const host = parentElement.querySelector(".merges") ?? parentElement.appendChild(element("div", ""));
  host.className = "merges";
  const last = data.rows.length - 1;
  let step = 0;

  const rows = data.rows.map(({ rank, id, symbols }, n) => {
    const pieces = symbols.map(({ label, new: fresh }) => {
      const piece = element("b", label);
      piece.classList.toggle("new", fresh);
      return piece;
    });
    const what = n ? `${n}. rank ${rank.toLocaleString("en")} → id ${id.toLocaleString("en")}` : "its bytes";
    return element("li", "", element("small", what), element("div", "", ...pieces));
  });
  const list = element("ol", "", ...rows);
  const said = element("span", "");
  const moves = [["«", "to the bytes", () => 0], ["‹", "one merge back", () => step - 1], ["›", "next merge", () => step + 1], ["»", "all merges", () => last]];
  const buttons = moves.map(([sign, title, where]) => {
    const button = Object.assign(element("button", sign), { type: "button", title, onclick: () => go(where()) });
    button.setAttribute("aria-label", title);
    return button;
  });

  function go(to) {
    step = Math.max(0, Math.min(last, to));
    rows.forEach((row, n) => (row.hidden = n > step));
    buttons.forEach((button, n) => button.setAttribute("aria-disabled", n < 2 ? step === 0 : step === last));
    const tokens = data.rows[step].symbols.length;
    const end = step === last ? ", no known pair is left" : "";
    said.textContent = `${step} of ${last} merges: ${tokens} ${tokens === 1 ? "symbol" : "symbols"}${end}`;
    list.scrollTop = list.scrollHeight;
  }

  host.onkeydown = ({ key }) => {
    if (key === "ArrowRight") go(step + 1);
    if (key === "ArrowLeft") go(step - 1);
  };
  host.replaceChildren(element("nav", "", ...buttons, said), list);
  go(0);
}
