// Generation, pass by pass. Buttons, slider and arrow keys step through it in the browser and ask nothing of the server.

const whole = (count) => count.toLocaleString("en");

function amount(count) {
  for (const [size, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"]]) if (count >= size) return `${(count / size).toPrecision(3)} ${name}`;
  return whole(count);
}

function bytes(count) {
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} MB`;
  return count >= 1e4 ? `${(count / 1e3).toFixed(0)} kB` : `${whole(count)} bytes`;
}

function button(text, title, onclick) {
  return Object.assign(element("button", text), { type: "button", title, ariaLabel: title, onclick });
}

// What the cell of a token in a layer is at a pass.
function state(place, { first, cached, new: fresh }, kept) {
  if (place < first) return "gone";
  if (place < first + cached) return kept ? "kept" : "new";
  return place < first + cached + fresh ? "new" : "none";
}

function table(data, step, kept) {
  const one = data.passes[step];
  const end = one.first + one.cached + one.new;
  const states = data.text.map((_, place) => state(place, one, kept));
  const looks = data.text.map((_, place) => {
    const share = place < end ? one.looks[place - one.first] : undefined;
    const bar = element("i", "");
    bar.style.height = `${100 * (share ?? 0)}%`;
    return element("td", "", classed(element("div", "", element("small", share >= 0.045 ? Math.round(100 * share) : ""), bar), "look"));
  });
  const names = data.text.map((token, place) => {
    const shown = place < end ? token : "";
    const cell = element("td", "", element("b", shown));
    cell.title = place < end ? `${place} ${token}${one.looks[place - one.first] === undefined ? "" : `: ${percent(one.looks[place - one.first])} of the look`}` : "";
    return classed(cell, "token", states[place], place >= data.prompt && "written");
  });
  const layers = Array.from({ length: data.layers }, (_, layer) =>
    element("tr", "", element("th", `L${layer}`), ...states.map((name) => classed(element("td", "", element("i", "")), "cell", name))),
  );
  const made = classed(element("table", "", element("tr", "", element("th", "looks at, %"), ...looks), element("tr", "", element("th", "goes in"), ...names), ...layers), data.layers > 8 && "many");
  return { made, newest: made.rows[1].cells[end] };
}

function nextWord(one) {
  const lines = one.likeliest.map(([word, share], n) => {
    const bar = element("i", "");
    bar.style.width = `${100 * share}%`;
    return classed(element("li", "", element("b", word), element("div", "", bar), element("span", percent(share))), n === one.taken && "taken");
  });
  return [element("div", "What comes next, by the model; ", element("strong", "➜ taken")), element("ol", "", ...lines)];
}

function counted(data, step, kept) {
  const one = data.passes[step];
  const seen = one.cached + one.new;
  const sum = (which) => data.passes.slice(0, step + 1).reduce((so, { work }) => so + work[which], 0);
  const rows = [
    ["positions read", one.new, seen, whole],
    ["multiply-adds", ...one.work, amount],
    ["… so far", sum(0), sum(1), amount],
  ];
  const body = rows.map(([name, less, more, told]) => element("tr", "", element("th", name), classed(element("td", told(less)), kept && "on"), classed(element("td", told(more)), !kept && "on"), element("td", `${(more / less).toFixed(1)} ×`)));
  const size = seen < data.context ? seen * data.each : 0; // when the context is full, the next pass begins anew
  const room = element("tr", "", element("th", "kept"), classed(element("td", bytes(size)), kept && "on"), classed(element("td", "0"), !kept && "on"), element("td", ""));
  const head = element("tr", "", ...["at this pass", "with cache", "without", ""].map((name) => element("th", name)));
  const formula = element("p", `Kept: 2 · ${data.layers} layers · ${whole(seen)} tokens · ${whole(data.each / 8 / data.layers)} numbers · 4 bytes = ${whole(size)}`);
  return [classed(element("table", "", head, ...body, room), "counts"), ...(size ? [formula] : [])];
}

function said(data, step, kept) {
  const one = data.passes[step];
  const end = one.first + one.cached + one.new;
  const last = data.text[end - 1];
  if (one.first) return `The context of ${whole(data.context)} tokens is full: the oldest token falls out, every other stands one position earlier, and all are read anew. The cache is of no use any more.`;
  const room = end < data.context ? "keys and values are kept" : "they fill the context, so that nothing of them can be kept";
  if (!step) return `The prompt goes in: ${one.new === 1 ? "one token" : `${one.new} tokens at once`}; ${room}. Step on with › or the arrow keys.`;
  if (!kept) return `All ${end} tokens go in again; ${end - 1} of them give the keys and values that they gave before.`;
  return `Only “${last}” goes in. Its query looks at ${end} keys, of which ${one.cached} were kept.`;
}

const LEGEND = { kept: "read from the cache", new: "computed at this pass", none: "not there yet", gone: "fell out of the context" };

function draw(host, data) {
  const last = data.passes.length - 1;
  const asked = readLink("step") ?? "";
  let step = /^[1-9]\d?$/.test(asked) && Number(asked) <= last + 1 ? Number(asked) - 1 : 0;
  let kept = readLink("cache") !== "off";

  const slider = Object.assign(element("input", ""), { type: "range", min: 1, max: last + 1, ariaLabel: "pass" });
  const on = Object.assign(element("input", ""), { type: "checkbox", checked: kept });
  const at = classed(element("span", ""), "at");
  const buttons = [["«", "the prompt", () => go(0)], ["‹", "one pass back", () => go(step - 1)], ["›", "one pass on", () => go(step + 1)], ["»", "the last pass", () => go(last)]].map((one) => button(...one));
  const controls = classed(element("div", "", ...buttons, slider, at, element("label", "", on, " KV cache")), "controls");
  const sentence = classed(element("p", ""), "said");
  sentence.ariaLive = "polite";
  const [scroll, aside] = [classed(element("div", ""), "scroll"), element("aside", "")];
  const halves = element("span", "", classed(element("i", ""), "k"), " key ", classed(element("i", ""), "v"), " value");
  const swatches = Object.entries(LEGEND).filter(([name]) => name !== "gone" || data.passes[last].first).map(([name, says]) => element("span", "", classed(element("span", "", element("i", "")), "cell", name), ` ${says}`));
  const legend = classed(element("p", "", halves, ...swatches), "legend");

  function show() {
    slider.value = step + 1;
    at.textContent = `pass ${step + 1} of ${last + 1}`;
    [buttons[0].disabled, buttons[1].disabled] = [!step, !step];
    [buttons[2].disabled, buttons[3].disabled] = [step === last, step === last];
    sentence.textContent = said(data, step, kept);
    const { made, newest } = table(data, step, kept);
    scroll.replaceChildren(made);
    scroll.scrollLeft = newest.offsetLeft - scroll.clientWidth + 3 * newest.clientWidth;
    aside.replaceChildren(...nextWord(data.passes[step]), ...counted(data, step, kept));
  }

  function go(to) {
    step = Math.min(last, Math.max(0, to));
    writeLink({ step: step ? step + 1 : null });
    show();
  }

  slider.oninput = () => go(Number(slider.value) - 1);
  on.onchange = () => {
    kept = on.checked;
    writeLink({ cache: kept ? null : "off" });
    show();
  };
  host.onkeydown = (event) => {
    const to = { ArrowRight: step + 1, ArrowLeft: step - 1, Home: 0, End: last }[event.key];
    if (to === undefined || event.target === slider || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(to);
  };
  host.replaceChildren(controls, sentence, classed(element("div", "", classed(element("div", "", scroll, legend), "grid"), aside), "main"));
  show();
  writeLink(chosen); // the page may have written its own
}

export default function ({ data, parentElement }) {
  const host = parentElement.querySelector(".cache") ?? parentElement.appendChild(classed(element("div", ""), "cache"));
  host.tabIndex = 0;
  draw(host, data);
}
