// All heads as switches. A click on a head turns it off or on; a click on the name of a layer, all its heads.

/**
 * The effect of a head with its sign; less than half a hundredth is 0.
 * @param {number} effect
 */
const signed = (effect) => (Math.abs(effect) < 0.005 ? "0" : minus(effect.toFixed(2)));

export default function ({ data, parentElement, setTriggerValue }) {
  const { layers, heads, effects } = data;
  const off = new Set(data.off.map(String));
  const board = host(parentElement, "board", effects && "told");
  board.style.setProperty("--heads", heads);
  const names = Array.from({ length: heads }, (_, head) => element("span", `H${head}`));
  const rows = [element("div", "", element("span"), ...names)];

  const flip = (layer, head) => setTriggerValue("flipped", [layer, head]);

  function headSwitch(layer, head) {
    const isOff = off.has(`${layer},${head}`);
    const effect = effects?.[layer][head];
    const name = `L${layer} H${head}`;
    const title = effect === undefined ? name : `${name}, alone: ${effect.toFixed(4)}`;
    const text = isOff ? "✕" : effect === undefined ? "" : signed(effect);
    const created = button(text, title, () => flip(layer, head));
    classed(created, "head", effect < 0 && "less", Math.abs(effect) > 0.6 && "much");
    created.ariaPressed = String(isOff);
    created.ariaLabel = name;
    if (effect !== undefined) created.style.setProperty("--effect", `${100 * Math.min(1, Math.abs(effect))}%`);
    return created;
  }

  for (let layer = 0; layer < layers; layer++) {
    const name = button(`L${layer}`, `all heads of layer ${layer}`, () => flip(layer, null));
    rows.push(element("div", "", name, ...Array.from({ length: heads }, (_, head) => headSwitch(layer, head))));
  }
  const focused = [...board.querySelectorAll("button")].indexOf(/** @type {any} */ (focusedNear(board)));
  board.replaceChildren(...rows);
  if (focused >= 0) board.querySelectorAll("button")[focused]?.focus();
}
