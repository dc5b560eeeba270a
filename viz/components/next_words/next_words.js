// The next words as bars. A bar is as long as its probability, from 0 to 100 %: never rescaled.

const NAMES = ["model", "truth"];

function shareBar(share) {
  const created = bar(share);
  if (!share) created.style.visibility = "hidden";
  return created;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const list = host(parentElement, "words");
  list.style.setProperty("--shares", data.rest.length);
  const words = data.words.map(({ word, shares, typable }, n) => {
    const title = typable ? `add “${word}” to the prompt` : "cannot be typed into the prompt";
    const numbers = shares.map((share) => element("span", percent(share)));
    const parts = [element("b", word), element("div", "", ...shares.map(shareBar)), ...numbers];
    return Object.assign(
      button("", title, () => setTriggerValue("word", n), ...parts),
      { disabled: !typable },
    );
  });
  const both = data.rest.length > 1;
  const head = both ? [element("header", "", ...NAMES.map((name) => element("span", name)))] : [];
  const rest = data.rest.map((share, n) => percent(share) + (both ? ` (${NAMES[n]})` : "")).join(", ");
  const others = `and ${rest} for the other ${data.others.toLocaleString("en")} tokens together`;
  list.replaceChildren(...head, ...words, element("small", others));
}
