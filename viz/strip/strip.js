// Tokens in a row, each under the bar of its number.

function text(value) {
  if (value === null) return "–";
  return value > 0 && value < 0.01 ? "<0.01" : value.toFixed(2);
}

export default function ({ data, parentElement }) {
  const strip = parentElement.querySelector(".strip") ?? parentElement.appendChild(element("div", ""));
  strip.className = "strip";
  strip.replaceChildren(
    ...data.tokens.map(({ token, value }) => {
      const bar = element("i", "");
      if (value === null) bar.className = "none";
      else bar.style.height = `${(100 * value) / data.full}%`;
      return element("div", "", bar, element("b", token), element("span", text(value)));
    }),
  );
}
