// What was tried, as a tree: tokens run on in a line, and where they part each branch has a line of its own. A click on
// a token goes back to it. Drawing is done by the chain above, which is asked by an event.


function button(text, title, act, ...children) {
  const made = Object.assign(element("button", text), { type: "button", title, onclick: act });
  made.append(...children);
  return made;
}

function draw(data, send) {
  const path = new Set(data.path);
  const at = data.path.at(-1);
  const children = [[], ...data.tokens.map(() => [])];
  data.tokens.forEach(({ after }, n) => children[after].push(n + 1));

  function token(n) {
    const { token, share } = n ? data.tokens[n - 1] : { token: data.root };
    const made = button("", n === at ? "the text ends here" : "go back to here", () => send("go", n), element("b", token));
    if (n) made.append(element("small", percent(share)));
    made.classList.toggle("path", path.has(n));
    if (n === at) made.setAttribute("aria-current", "true");
    return made;
  }

  // The tokens from one on to where they part, and below it the branches.
  function run(n) {
    const line = [token(n)];
    while (children[n].length === 1) line.push(token((n = children[n][0])));
    const made = [element("div", "", ...line)];
    if (children[n].length) made.push(element("ul", "", ...children[n].map((child) => element("li", "", ...run(child)))));
    return made;
  }

  const said = element("output", "");
  const roll = () => {
    const asked = new CustomEvent("vitrine-draw", { detail: { said: "" } });
    window.dispatchEvent(asked);
    said.textContent = asked.detail.said;
  };
  const back = button("‹ back", "one token back", () => send("go", data.tokens[at - 1].after));
  back.disabled = at === 0;
  const next = data.next.map(({ token, share, typable }, n) => {
    const made = button("", typable ? "take it" : "cannot stand in the prompt", () => send("take", n), element("b", token), element("small", percent(share)));
    made.disabled = !typable;
    return made;
  });
  const nav = element("nav", "", button("Draw and take one", "drawn by the chain above, with its seed", roll), back, element("span", "or take:"), ...next);
  const tree = element("div", "", ...run(0));
  tree.className = "tree";
  return [nav, said, tree];
}

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".branches") ?? parentElement.appendChild(element("div", ""));
  host.className = "branches";
  const focused = [...host.querySelectorAll("nav button")].indexOf(host.getRootNode().activeElement);
  host.replaceChildren(...draw(data, setTriggerValue));
  if (focused >= 0) host.querySelectorAll("nav button")[focused]?.focus({ preventScroll: true });
  const tree = host.querySelector(".tree");
  tree.scrollTop = host.querySelector("[aria-current]").offsetTop - tree.clientHeight / 2;

  writeLink({ tree: data.link || null });
}
