// A stand-in for the browser's document: elements with children, text, style and attributes, and no layout.

class StandIn {
  constructor(tag) {
    Object.assign(this, { tag, children: [], style: { setProperty: (name, value) => (this.style[name] = value) } });
    Object.assign(this, { attributes: {}, dataset: {}, className: "", own: "", clientWidth: 800 });
    this.classList = { toggle: (name, on) => this.toggle(name, on), add: (name) => this.toggle(name, true) };
  }
  toggle(name, on) {
    const names = this.className.split(" ").filter((other) => other && other !== name);
    this.className = [...names, ...(on ? [name] : [])].join(" ");
  }
  set textContent(text) {
    Object.assign(this, { children: [], own: String(text) });
  }
  get textContent() {
    return this.own + this.children.map((child) => child.textContent ?? child).join("");
  }
  append(...children) {
    this.children.push(...children);
  }
  appendChild(child) {
    this.append(child);
    return child;
  }
  replaceChildren(...children) {
    Object.assign(this, { children, own: "" });
  }
  setAttribute(name, value) {
    this.attributes[name] = String(value);
  }
  // Every element below, by a test of it.
  all(test) {
    const below = this.children.filter((child) => child instanceof StandIn);
    return below.flatMap((child) => [...(test(child) ? [child] : []), ...child.all(test)]);
  }
  querySelector(selector) {
    return this.all((child) => child.className.split(" ").includes(selector.slice(1)))[0] ?? null;
  }
  querySelectorAll(tag) {
    return this.all((child) => child.tag === tag);
  }
  getContext() {
    return contextStandIn;
  }
  getRootNode() {
    return { activeElement: null };
  }
}

const contextStandIn = { fillStyle: "", fillRect() {} };

globalThis.document = {
  createElement: (tag) => new StandIn(tag),
  createElementNS: (_, tag) => new StandIn(tag),
};
globalThis.window = { location: { search: "", href: "http://localhost/" }, history: { state: null } };
window.history.replaceState = (_, __, url) => Object.assign(window.location, { href: url.href, search: url.search });
globalThis.ResizeObserver = class {
  observe() {}
  disconnect() {}
};
