// Tokens in a row, each under the bar of its number; or several such rows, column by column.

function text(value) {
  if (value === null) return "–";
  return value > 0 && value < 0.01 ? "<0.01" : value.toFixed(2);
}

function cell({ token, value }, full) {
  const bar = element("i", "");
  if (value === null) bar.className = "none";
  else bar.style.height = `${(100 * value) / full}%`;
  return [bar, element("b", token), element("span", text(value))];
}

export default function ({ data, parentElement }) {
  const strip = parentElement.querySelector(".strip") ?? parentElement.appendChild(element("div", ""));
  const columns = data.columns ?? data.tokens.map((token) => [token]);
  const names = data.names ?? [];
  strip.className = `strip${names.length ? " beside" : ""}`;
  strip.replaceChildren(
    ...columns.map((column, n) => {
      const made = element("div", "", ...column.flatMap((one) => cell(one, data.full)));
      if (n === data.parted) {
        made.className = "parted";
        made.title = "from here on they differ";
      } else if (data.differ?.includes(n)) {
        made.className = "differ";
        made.title = column.every(({ token }) => token) ? "one stands for the other" : "stands in one only";
      }
      return made;
    }),
  );
  if (names.length) strip.prepend(element("div", "", ...names.flatMap((name) => [element("i", ""), element("b", name), element("span", "")])));
}
