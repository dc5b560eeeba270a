// The residual stream from left to right: a road for each token, the wider the longer its vector is. Attention comes in
// from above, the MLP from below, on ramps that tell how long what they add is. A click picks a block of a token.

const SVG = "http://www.w3.org/2000/svg";
const [LEFT, START, RIGHT, TOP, WIDE, RAMP] = [112, 44, 58, 24, 17, 7]; // px: names, embeddings, ends, layers, the widest road, a ramp
const ROW = WIDE + 2 * RAMP;

const watches = new WeakMap(); // one of each picture, however often it is drawn

function drawn(kind, attributes, text = "") {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const number = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2)).replace("-", "−");
const short = (token) => (token.length > 9 ? `${token.slice(0, 8)}…` : token);

export default function ({ data, parentElement, setTriggerValue }) {
  const { tokens, places, stream, written, cosines, shares, picked } = data;
  const host = parentElement.querySelector(".road") ?? parentElement.appendChild(element("div", ""));
  host.className = "road";
  const told = element("output", "");
  const field = element("div", "");
  field.className = "field";
  const layers = places.at(-1).layer + 1;

  function about(t, n) {
    const { layer, part } = places[n];
    const what = layer < 0 ? `the ${part}` : `L${layer} ${part}`;
    const to = n ? ` to ${number(stream[t][n - 1])}, which makes ${number(stream[t][n])}` : "";
    return ` ${what} adds ${number(written[t][n])}${to} (lengths); cosine with the end ${number(cosines[t][n])}, ${(100 * shares[t][n]).toFixed(1).replace("-", "−")} % of it. `;
  }

  // What is said of one place, or of all that a block adds.
  function tell(t, ...which) {
    told.replaceChildren(element("b", tokens[t]), ...which.map((n) => about(t, n)));
  }

  function draw() {
    const width = field.clientWidth;
    const step = (width - LEFT - START - RIGHT) / (2 * layers); // of attention, and of an MLP
    const x = (n) => (n < 2 ? LEFT + (n * START) / 2 : LEFT + START + step * (n - 1.5));
    const svg = drawn("svg", { width, height: TOP + ROW * tokens.length, role: "img" });
    svg.setAttribute("aria-label", `The residual stream of ${tokens.length} tokens through ${layers} blocks`);
    const lit = drawn("rect", { class: "lit", width: step, height: ROW, visibility: "hidden" });
    svg.append(lit);
    const every = Math.ceil(30 / (2 * step)); // layers from one name to the next
    for (let layer = 0; layer < layers; layer++) {
      const left = LEFT + START + 2 * step * layer;
      svg.append(drawn("line", { x1: left, x2: left, y1: 0, y2: TOP + ROW * tokens.length }));
      if (layer % every === 0) svg.append(drawn("text", { x: left + step, y: 15, "text-anchor": "middle" }, `L${layer}`));
    }
    svg.append(drawn("text", { class: "end", x: width, y: 15, "text-anchor": "end" }, "length"));

    tokens.forEach((token, t) => {
      const y = TOP + ROW * (t + 0.5);
      const longest = Math.max(...stream[t], ...written[t], 1e-9);
      const wide = (length) => Math.max(1, WIDE * Math.sqrt(length / longest));
      svg.append(drawn("text", { class: "token", x: LEFT - 8, y: y + 5, "text-anchor": "end" }, short(token)));
      svg.append(drawn("text", { class: "end", x: width, y: y + 5, "text-anchor": "end" }, number(stream[t].at(-1))));
      const bend = Math.min(step / 4, 6);
      const upper = places.flatMap((_, n) => {
        const end = n + 1 < places.length ? x(n + 1) - bend : width - RIGHT;
        return [[x(n) + (n ? bend : 0), wide(stream[t][n]) / 2], [end, wide(stream[t][n]) / 2]];
      });
      const outline = [...upper.map(([x, half]) => [x, y - half]), ...upper.reverse().map(([x, half]) => [x, y + half])];
      svg.append(drawn("polygon", { class: "stream", points: outline.map((point) => point.join()).join(" ") }));
      places.forEach(({ part }, n) => {
        if (!n) return; // the token itself is where its road begins
        const ramp = Math.min(n < 2 ? START / 2 : step - 2, wide(written[t][n]));
        const half = wide(Math.min(stream[t][n - 1], stream[t][n])) / 2;
        const high = WIDE / 2 + RAMP - 1 - half;
        const from = part === "MLP" ? y + half : y - half - high;
        const kind = `ramp ${part}${cosines[t][n] < 0 ? " against" : ""}`;
        svg.append(drawn("rect", { class: kind, x: x(n) - ramp / 2, y: from, width: ramp, height: high }));
      });
    });
    const [t, layer] = picked;
    const box = { x: LEFT + START + step * 2 * layer, y: TOP + ROW * t, width: 2 * step, height: ROW, rx: 5 };
    svg.append(drawn("rect", { class: "picked", ...box }));

    const at = ({ clientX, clientY }) => {
      const { left, top } = svg.getBoundingClientRect();
      const along = clientX - left - LEFT - START;
      const [n, t] = [along < 0 ? Number(along > -START * 0.75) : 2 + Math.floor(along / step), Math.floor((clientY - top - TOP) / ROW)];
      return tokens[t] !== undefined && places[n] ? [t, n] : null;
    };
    const rest = () => {
      lit.setAttribute("visibility", "hidden");
      tell(t, 2 * layer + 2, 2 * layer + 3);
    };
    svg.onpointermove = (event) => {
      const found = at(event);
      if (!found) return rest();
      lit.setAttribute("x", x(found[1]) - step / 2);
      lit.setAttribute("y", TOP + ROW * found[0]);
      lit.setAttribute("visibility", "visible");
      tell(...found);
    };
    svg.onpointerleave = rest;
    svg.onclick = (event) => {
      const found = at(event);
      if (found) setTriggerValue("picked", [found[0], Math.max(0, places[found[1]].layer)]);
    };
    field.replaceChildren(svg);
    rest();
  }

  const key = element("div", "");
  key.className = "key";
  const named = { position: "position", attention: "attention, from above", MLP: "MLP, from below" };
  for (const [part, name] of Object.entries(named)) {
    const mark = element("i", "");
    mark.className = part;
    key.append(element("span", "", mark, name));
  }
  const hollow = element("i", "");
  hollow.style.borderStyle = "dashed";
  key.append(element("span", "", hollow, "points against the end (cosine below 0)"));
  key.append(element("span", "the wider, the longer (by the square root, each row on its own scale)"));
  const top = host.querySelector(".field")?.scrollTop ?? 0;
  host.replaceChildren(key, field, told);
  draw();
  field.scrollTop = top;
  let width = field.clientWidth;
  watches.get(host)?.disconnect();
  const watch = new ResizeObserver(() => {
    if (field.clientWidth === width) return;
    width = field.clientWidth;
    draw();
  });
  watch.observe(field);
  watches.set(host, watch);
  return () => watch.disconnect();
}
