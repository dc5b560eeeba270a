// A whole model as boxes. The vectors in them are those of one token; a click picks a token, or opens a box.

const ENDS = ["180,83,9", "15,118,110"]; // red, green, blue of the least and the largest number
const WEIGHT = "124,58,237"; // of an attention weight, which is never below 0

/**
 * The color of a number, which is a whole percentage of the scale of its box.
 * @param {number} value from -100 to 100
 * @param {boolean} isWeight
 */
function color(value, isWeight) {
  return `rgba(${isWeight ? WEIGHT : ENDS[Number(value > 0)]},${Math.abs(value) / 100})`;
}

// A pixel for each number; the style enlarges it.
function paint(canvas, { percents, columns }) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const across = columns ?? Math.max(1, Math.ceil(Math.sqrt((percents.length * width) / height)));
  Object.assign(canvas, { width: across, height: Math.ceil(percents.length / across) });
  const context = canvas.getContext("2d");
  percents.forEach((value, n) => {
    context.fillStyle = color(value, columns !== null);
    context.fillRect(n % across, Math.floor(n / across), 1, 1);
  });
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = host(parentElement, "flow");
  const canvases = [];

  function pressable(target, kind, pressed, message) {
    target.type = "button";
    target.setAttribute("aria-pressed", String(pressed));
    target.onclick = () => setTriggerValue("picked", message);
    return classed(target, kind);
  }

  function boxes(all, least) {
    return all.flatMap((box, n) => {
      const canvas = element("canvas");
      canvases.push([canvas, box]);
      const number = box.length === null ? box.size : box.length.toPrecision(3);
      const content = element("button", "", element("b", box.label), canvas, element("small", number));
      const created = pressable(content, `box ${box.role}`, box.name === data.picked, ["box", box.name]);
      created.title = `${box.label}: ${box.size} numbers${box.length === null ? "" : `, length ${number}`}`;
      created.classList.toggle("open", box.name === data.block);
      created.style.setProperty("--least", least);
      return n ? [element("i", box.before), created] : [created];
    });
  }

  const chips = data.tokens.map((token, n) =>
    pressable(element("button", token), "chip", n === data.token, ["token", n]),
  );
  const words = data.words.flatMap(({ word, share }) => [element("b", word), element("span", percent(share))]);
  const next = pressable(element("button", "", ...words), "words", data.picked === "next", ["box", "next"]);
  next.title = "the likeliest next tokens";
  const dense = data.road.length > 12;
  root.replaceChildren(
    classed(element("div", "", ...chips), "line", "tokens"),
    classed(
      element("div", "", ...boxes(data.road, dense ? "2.1rem" : "3.6rem"), element("i", "→"), next),
      "line",
      "road",
    ),
    classed(
      element("div", "", element("span", `Inside ${data.block}`), ...boxes(data.inside, "4.2rem")),
      "line",
      "inside",
    ),
    element(
      "small",
      `Each square is a number of the vector of ${data.tokens[data.token]} (the first ${data.drawn} numbers): ` +
        "green above 0, brown below. Each box has its own scale, and the 2 % of its numbers that are farthest from 0 " +
        "share one color. The number below a box is the length of its vector.",
    ),
  );
  const draw = () => canvases.forEach(([canvas, box]) => paint(canvas, box));
  draw();
  return onResize(root, draw);
}
