// The next words as bars. A bar is as long as its probability, from 0 to 100 %: never rescaled.

const NAMES = ["model", "truth"];

function bar(share) {
  const made = element("i", "");
  made.style.width = `${100 * share}%`;
  if (!share) made.style.visibility = "hidden";
  return made;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector(".words") ?? parentElement.appendChild(element("div", ""));
  list.className = "words";
  list.style.setProperty("--shares", data.rest.length);
  const bars = data.words.map(({ word, shares, typable }, n) => {
    const numbers = shares.map((share) => element("span", percent(share)));
    const button = element("button", "", element("b", word), element("div", "", ...shares.map(bar)), ...numbers);
    button.type = "button";
    button.disabled = !typable;
    button.title = typable ? `add “${word}” to the prompt` : "cannot be typed into the prompt";
    button.onclick = () => setTriggerValue("word", n);
    return button;
  });
  const both = data.rest.length > 1;
  const head = both ? [element("header", "", ...NAMES.map((name) => element("span", name)))] : [];
  const rest = data.rest.map((share, n) => percent(share) + (both ? ` (${NAMES[n]})` : "")).join(", ");
  list.replaceChildren(...head, ...bars, element("small", `and ${rest} for the other ${data.others.toLocaleString("en")} tokens together`));
}
