// The residual stream from left to right: a road for each token, the wider the longer its vector is. Attention comes in
// from above, the MLP from below, on ramps whose width is the length of what they add. A click picks a block of a token.

// In px: names, embeddings, numbers at the end, names of layers, the widest road, a ramp.
const [LEFT, START, RIGHT, TOP, WIDE, RAMP] = [112, 44, 58, 24, 17, 7];
const ROW = WIDE + 2 * RAMP;

/**
 * A number of about three digits.
 * @param {number} value
 */
const number = (value) => minus(Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2));
const short = (token) => (token.length > 9 ? `${token.slice(0, 8)}…` : token);

/**
 * How wide a vector is drawn, in px: by the square root of its length, on the scale of its row.
 * @param {number} length
 * @param {number} longest of the row
 */
const wide = (length, longest) => Math.max(1, WIDE * Math.sqrt(length / longest));

/**
 * What is added at a place n to the stream of a token t, in words.
 * @param {{ places: { layer: number, part: string }[], stream: number[][], written: number[][], cosines: number[][],
 *   shares: number[][] }} data
 * @param {number} t
 * @param {number} n
 */
function about({ places, stream, written, cosines, shares }, t, n) {
  const { layer, part } = places[n];
  const name = layer < 0 ? `the ${part}` : `L${layer} ${part}`;
  const sum = n ? ` to ${number(stream[t][n - 1])}, which makes ${number(stream[t][n])}` : "";
  const share = minus((100 * shares[t][n]).toFixed(1));
  return ` ${name} adds ${number(written[t][n])}${sum} (lengths); cosine with the end ${number(cosines[t][n])}, ${share} % of it. `;
}

/**
 * What the colors and widths mean. A model without position vectors has no color for them.
 * @param {{ part: string }[]} places
 */
function legend(places) {
  const names = { position: "position", attention: "attention, from above", MLP: "MLP, from below" };
  const parts = Object.entries(names).filter(([part]) => places.some((place) => place.part === part));
  const entries = parts.map(([part, name]) => element("span", "", classed(element("i"), part), name));
  const hollow = element("i");
  hollow.style.borderStyle = "dashed";
  entries.push(element("span", "", hollow, "points against the end (cosine below 0)"));
  entries.push(element("span", "the wider, the longer (by the square root, each row on its own scale)"));
  return classed(element("div", "", ...entries), "key");
}

export default function ({ data, parentElement, setTriggerValue }) {
  const { tokens, places, stream, written, cosines, picked } = data;
  const root = host(parentElement, "road");
  const status = element("output");
  const field = classed(element("div"), "field");
  const layers = places.at(-1).layer + 1;

  // Read out what is added at some places of a token.
  function read(t, ...at) {
    status.replaceChildren(element("b", tokens[t]), ...at.map((n) => about(data, t, n)));
  }

  function draw() {
    const width = field.clientWidth;
    const height = TOP + ROW * tokens.length;
    const step = (width - LEFT - START - RIGHT) / (2 * layers); // of attention, and of an MLP
    const x = (n) => (n < 2 ? LEFT + (n * START) / 2 : LEFT + START + step * (n - 1.5));
    const picture = svg("svg", { width, height, role: "img" });
    picture.setAttribute("aria-label", `The residual stream of ${tokens.length} tokens through ${layers} blocks`);
    const lit = svg("rect", { class: "lit", width: step, height: ROW, visibility: "hidden" });
    picture.append(lit);
    const every = Math.ceil(30 / (2 * step)); // layers from one name to the next
    for (let layer = 0; layer < layers; layer++) {
      const left = LEFT + START + 2 * step * layer;
      picture.append(svg("line", { x1: left, x2: left, y1: 0, y2: height }));
      if (layer % every === 0)
        picture.append(svg("text", { x: left + step, y: 15, "text-anchor": "middle" }, `L${layer}`));
    }
    picture.append(svg("text", { class: "end", x: width, y: 15, "text-anchor": "end" }, "length"));
    tokens.forEach((_, t) => picture.append(...drawRow(t, width, step, x)));
    const [t, layer] = picked;
    const box = { x: LEFT + START + step * 2 * layer, y: TOP + ROW * t, width: 2 * step, height: ROW, rx: 5 };
    picture.append(svg("rect", { class: "picked", ...box }));

    const at = ({ clientX, clientY }) => {
      const { left, top } = picture.getBoundingClientRect();
      const along = clientX - left - LEFT - START;
      const n = along < 0 ? Number(along > -START * 0.75) : 2 + Math.floor(along / step);
      const t = Math.floor((clientY - top - TOP) / ROW);
      return tokens[t] !== undefined && places[n] ? [t, n] : null;
    };
    const readPicked = () => {
      lit.setAttribute("visibility", "hidden");
      read(t, 2 * layer + 2, 2 * layer + 3);
    };
    picture.onpointermove = (event) => {
      const place = at(event);
      if (!place) return readPicked();
      lit.setAttribute("x", String(x(place[1]) - step / 2));
      lit.setAttribute("y", String(TOP + ROW * place[0]));
      lit.setAttribute("visibility", "visible");
      read(...place);
    };
    picture.onpointerleave = readPicked;
    picture.onclick = (event) => {
      const place = at(event);
      if (place) setTriggerValue("picked", [place[0], Math.max(0, places[place[1]].layer)]);
    };
    field.replaceChildren(picture);
    readPicked();
  }

  // The road of one token, with its ramps.
  function drawRow(t, width, step, x) {
    const y = TOP + ROW * (t + 0.5);
    const longest = Math.max(...stream[t], ...written[t], 1e-9);
    const bend = Math.min(step / 4, 6);
    const upper = places.flatMap((_, n) => {
      const end = n + 1 < places.length ? x(n + 1) - bend : width - RIGHT;
      const half = wide(stream[t][n], longest) / 2;
      return [
        [x(n) + (n ? bend : 0), half],
        [end, half],
      ];
    });
    const above = upper.map(([x, half]) => [x, y - half]);
    const below = upper.reverse().map(([x, half]) => [x, y + half]);
    const points = [...above, ...below].map((point) => point.join()).join(" ");
    const ramps = places.slice(1).map(({ part }, m) => {
      const n = m + 1; // the token itself is where its road begins
      const ramp = Math.min(n < 2 ? START / 2 : step - 2, wide(written[t][n], longest));
      const half = wide(Math.min(stream[t][n - 1], stream[t][n]), longest) / 2;
      const high = WIDE / 2 + RAMP - 1 - half;
      const kind = `ramp ${part}${cosines[t][n] < 0 ? " against" : ""}`;
      const top = part === "MLP" ? y + half : y - half - high;
      return svg("rect", { class: kind, x: x(n) - ramp / 2, y: top, width: ramp, height: high });
    });
    return [
      svg("text", { class: "token", x: LEFT - 8, y: y + 5, "text-anchor": "end" }, short(tokens[t])),
      svg("text", { class: "end", x: width, y: y + 5, "text-anchor": "end" }, number(stream[t].at(-1))),
      svg("polygon", { class: "stream", points }),
      ...ramps,
    ];
  }

  const top = root.querySelector(".field")?.scrollTop ?? 0;
  root.replaceChildren(legend(places), field, status);
  draw();
  field.scrollTop = top;
  return onResize(root, draw, field);
}
