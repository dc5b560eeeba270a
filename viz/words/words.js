// The next words as bars. A bar is as long as its probability, from 0 to 100 %: never rescaled.

const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`);

function element(kind, text, style = {}) {
  const made = Object.assign(document.createElement(kind), { textContent: text });
  Object.assign(made.style, style);
  return made;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector(".words") ?? parentElement.appendChild(element("div", ""));
  list.className = "words";
  const bars = data.words.map(({ word, probability, typable }, n) => {
    const button = element("button", "");
    button.type = "button";
    button.disabled = !typable;
    button.title = typable ? `add “${word}” to the prompt` : "cannot be typed into the prompt";
    button.onclick = () => setTriggerValue("word", n);
    button.append(element("b", word), element("i", "", { width: `${100 * probability}%` }), element("span", percent(probability)));
    return button;
  });
  list.replaceChildren(...bars, element("small", `and ${percent(data.rest)} for the other ${data.others.toLocaleString("en")} tokens together`));
}
