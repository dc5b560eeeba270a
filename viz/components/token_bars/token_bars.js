// Tokens in a row, each under the bar of its number; or several such rows, column by column.

/**
 * A number below its token; one that is above 0 is not written as 0.
 * @param {number | null} value
 */
function text(value) {
  if (value === null) return "–";
  return value > 0 && value < 0.01 ? "<0.01" : value.toFixed(2);
}

function cell({ token, value }, full) {
  const created = classed(element("i"), value === null && "none");
  if (value !== null) created.style.height = `${(100 * value) / full}%`;
  return [created, element("b", token), element("span", text(value))];
}

export default function ({ data, parentElement }) {
  const columns = data.columns ?? data.tokens.map((token) => [token]);
  const names = data.names ?? [];
  const strip = host(parentElement, "strip", names.length > 0 && "beside");
  strip.replaceChildren(
    ...columns.map((column, n) => {
      const created = element("div", "", ...column.flatMap((row) => cell(row, data.full)));
      if (n === data.parted) {
        created.className = "parted";
        created.title = "from here on they differ";
      } else if (data.differ?.includes(n)) {
        created.className = "differ";
        created.title = column.every(({ token }) => token) ? "one stands for the other" : "stands in one only";
      }
      return created;
    }),
  );
  const labels = names.flatMap((name) => [element("i"), element("b", name), element("span")]);
  if (names.length) strip.prepend(element("div", "", ...labels));
}
