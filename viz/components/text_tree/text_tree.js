// The texts that were tried, as a tree: tokens run on in a line, and where they part each branch has a line of its own.
// A click on a token goes back to it. Tokens are drawn by the chain above, which an event asks.

function draw(data, send) {
  const path = new Set(data.path);
  const at = data.path.at(-1);
  const children = [[], ...data.tokens.map(() => [])];
  data.tokens.forEach(({ after }, n) => children[after].push(n + 1));

  function node(n) {
    const { token, share } = n ? data.tokens[n - 1] : { token: data.root, share: 1 };
    const parts = [element("b", token), ...(n ? [element("small", percent(share))] : [])];
    const created = button("", n === at ? "the text ends here" : "go back to here", () => send("go", n), ...parts);
    created.classList.toggle("path", path.has(n));
    if (n === at) created.setAttribute("aria-current", "true");
    return created;
  }

  // The tokens from a place on up to where they part, and below them the branches.
  function run(n) {
    const line = [node(n)];
    while (children[n].length === 1) line.push(node((n = children[n][0])));
    /** @type {HTMLElement[]} */
    const parts = [element("div", "", ...line)];
    const branches = children[n].map((child) => element("li", "", ...run(child)));
    if (branches.length) parts.push(element("ul", "", ...branches));
    return parts;
  }

  const status = element("output");
  const drawAndTake = () => {
    const request = new CustomEvent("vitrine-draw", { detail: { answer: "" } });
    window.dispatchEvent(request);
    status.textContent = request.detail.answer;
  };
  const back = button("‹ back", "one token back", () => send("go", data.tokens[at - 1].after));
  back.disabled = at === 0;
  const next = data.next.map(({ token, share, typable }, n) => {
    const title = typable ? "take it" : "cannot stand in the prompt";
    const created = button("", title, () => send("take", n), element("b", token), element("small", percent(share)));
    return Object.assign(created, { disabled: !typable });
  });
  const drawOne = button("Draw and take one", "drawn by the chain above, with its seed", drawAndTake);
  const nav = element("nav", "", drawOne, back, element("span", "or take:"), ...next);
  return [nav, status, classed(element("div", "", ...run(0)), "tree")];
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = host(parentElement, "branches");
  const buttons = () => [.../** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("nav button"))];
  const focused = buttons().indexOf(/** @type {any} */ (focusedNear(root)));
  root.replaceChildren(...draw(data, setTriggerValue));
  if (focused >= 0) buttons()[focused]?.focus({ preventScroll: true });
  const find = (selector) => /** @type {HTMLElement} */ (root.querySelector(selector));
  const tree = find(".tree");
  tree.scrollTop = find("[aria-current]").offsetTop - tree.clientHeight / 2;
  new LinkState(["tree"]).set({ tree: data.link || null });
}
