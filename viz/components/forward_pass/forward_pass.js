// A GPT as boxes. The vectors in them are those of one token; a click picks a token, or opens a box.

const ENDS = [[180, 83, 9], [15, 118, 110]]; // the colours of the least and the largest number
const WEIGHT = [124, 58, 237]; // of attention, which is never below 0

const watches = new WeakMap(); // one of each picture, however often it is drawn

function paint(canvas, { percents, columns }) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const across = columns ?? Math.max(1, Math.ceil(Math.sqrt((percents.length * width) / height)));
  const down = Math.ceil(percents.length / across);
  Object.assign(canvas, { width: across, height: down }); // a pixel for each number; the style enlarges it
  const context = canvas.getContext("2d");
  percents.forEach((value, n) => {
    const hue = columns ? WEIGHT : ENDS[Number(value > 0)];
    context.fillStyle = `rgba(${hue.join()},${Math.abs(value) / 100})`;
    context.fillRect(n % across, Math.floor(n / across), 1, 1);
  });
}

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".flow") ?? parentElement.appendChild(element("div", ""));
  host.className = "flow";
  const canvases = [];

  function line(kind, ...children) {
    const made = element("div", "", ...children);
    made.className = `line ${kind}`;
    return made;
  }

  function pressable(made, kind, pressed, message) {
    made.type = "button";
    made.className = kind;
    made.setAttribute("aria-pressed", pressed);
    made.onclick = () => setTriggerValue("picked", message);
    return made;
  }

  function boxes(all, least) {
    return all.flatMap((box, n) => {
      const canvas = element("canvas", "");
      canvases.push([canvas, box]);
      const said = box.length === null ? box.size : box.length.toPrecision(3);
      const made = pressable(element("button", "", element("b", box.label), canvas, element("small", said)), `box ${box.role}`, box.name === data.picked, ["box", box.name]);
      made.title = box.length === null ? `${box.label}: ${box.size} numbers` : `${box.label}: ${box.size} numbers, length ${said}`;
      made.classList.toggle("open", box.name === data.block);
      made.style.setProperty("--least", least);
      return n ? [element("i", box.before), made] : [made];
    });
  }

  const chips = data.tokens.map((token, n) => pressable(element("button", token), "chip", n === data.token, ["token", n]));
  const words = data.words.flatMap(({ word, share }) => [element("b", word), element("span", percent(share))]);
  const next = pressable(element("button", "", ...words), "words", data.picked === "next", ["box", "next"]);
  next.title = "the likeliest next tokens";
  const dense = data.road.length > 12;
  host.replaceChildren(
    line("tokens", ...chips),
    line("road", ...boxes(data.road, dense ? "2.1rem" : "3.6rem"), element("i", "→"), next),
    line("inside", element("span", `Inside ${data.block}`), ...boxes(data.inside, "4.2rem")),
    element("small", `Each square is a number of the vector of ${data.tokens[data.token]} (the first ${data.drawn} of it): green above 0, brown below, on a scale of its own in each box (the 2 % farthest from 0 are not told apart). The number below says how long the vector is.`),
  );
  const draw = () => canvases.forEach(([canvas, box]) => paint(canvas, box));
  draw();
  watches.get(host)?.disconnect();
  const watch = new ResizeObserver(draw);
  watch.observe(host);
  watches.set(host, watch);
  return () => watch.disconnect();
}
