// All heads as switches. A click on a head turns it off or on, one on a layer's name all heads of it.

const signed = (effect) => (Math.abs(effect) < 0.005 ? "0" : effect.toFixed(2).replace("-", "−"));

export default function ({ data, parentElement, setTriggerValue }) {
  const { layers, heads, effects } = data;
  const off = new Set(data.off.map(String));
  const board = parentElement.querySelector(".board") ?? parentElement.appendChild(element("div", ""));
  board.className = effects ? "board told" : "board";
  board.style.setProperty("--heads", heads);
  const rows = [element("div", "", element("span", ""), ...Array.from({ length: heads }, (_, head) => element("span", `H${head}`)))];

  function flip(picked) {
    setTriggerValue("flipped", picked);
  }

  for (let layer = 0; layer < layers; layer++) {
    const name = element("button", `L${layer}`);
    name.title = `all heads of layer ${layer}`;
    name.onclick = () => flip([layer, null]);
    const cells = Array.from({ length: heads }, (_, head) => {
      const effect = effects?.[layer][head];
      const cell = element("button", off.has(`${layer},${head}`) ? "✕" : effect === undefined ? "" : signed(effect));
      cell.className = `head${effect < 0 ? " less" : ""}${Math.abs(effect) > 0.6 ? " much" : ""}`;
      cell.ariaPressed = off.has(`${layer},${head}`);
      cell.ariaLabel = `L${layer} H${head}`;
      cell.title = `L${layer} H${head}` + (effect === undefined ? "" : `, alone: ${effect.toFixed(4)}`);
      if (effect !== undefined) cell.style.setProperty("--effect", `${100 * Math.min(1, Math.abs(effect))}%`);
      cell.onclick = () => flip([layer, head]);
      return cell;
    });
    rows.push(element("div", "", name, ...cells));
  }
  const focused = [...board.querySelectorAll("button")].indexOf(board.getRootNode().activeElement);
  board.replaceChildren(...rows);
  if (focused >= 0) board.querySelectorAll("button")[focused]?.focus();
}
