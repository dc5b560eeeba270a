// The common kit of all components. It is put before the script of each (viz/components/component.py), so that what is
// declared here is known there; nothing is imported and nothing is built.

// ---- elements --------------------------------------------------------------------------------

/**
 * A new HTML element with a text and children.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string | number} [text]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function element(tag, text = "", ...children) {
  const created = Object.assign(document.createElement(tag), { textContent: text });
  created.append(...children);
  return created;
}

/**
 * The same element with these CSS classes; false and "" are left out.
 * @template {HTMLElement} Kind
 * @param {Kind} target
 * @param {...(string | false | undefined)} names
 */
function classed(target, ...names) {
  target.className = names.filter(Boolean).join(" ");
  return target;
}

/**
 * A button; `title` is shown on hover.
 * @param {string} text
 * @param {string} title
 * @param {() => void} onclick
 * @param {...Node} children
 */
function button(text, title, onclick, ...children) {
  return Object.assign(element("button", text, ...children), { type: /** @type {const} */ ("button"), title, onclick });
}

/**
 * A bar whose length is a share of the width that it stands in, from 0 to 1.
 * @param {number} share
 */
function bar(share) {
  const created = element("i");
  created.style.width = `${100 * share}%`;
  return created;
}

/**
 * A new SVG element with attributes and a text.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 * @param {string} [text]
 * @returns {SVGElementTagNameMap[Tag]}
 */
function svg(tag, attributes, text = "") {
  const created = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, String(value));
  created.textContent = text;
  return created;
}

/**
 * The element of class `name` that a component draws in: the one of the last run, or a new one.
 * @param {HTMLElement} parent
 * @param {string} name
 * @param {...(string | false)} more other classes
 */
function host(parent, name, ...more) {
  const found = /** @type {HTMLElement | null} */ (parent.querySelector(`.${name}`));
  return classed(found ?? parent.appendChild(element("div")), name, ...more);
}

/**
 * The element in focus in the document, or in the shadow root, that an element stands in.
 * @param {Node} root
 */
function focusedNear(root) {
  return /** @type {HTMLElement | null} */ (/** @type {ShadowRoot | Document} */ (root.getRootNode()).activeElement);
}

/**
 * The drawing context of a canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
function contextOf(canvas, settings) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", settings));
}

/** @type {WeakMap<HTMLElement, ResizeObserver>} */
const observers = new WeakMap();

/**
 * Call `draw` when the width of an element changes. Each host has one observer, however often it is drawn.
 * @param {HTMLElement} host
 * @param {() => void} draw
 * @param {HTMLElement} [watched] the host itself, or an element in it
 * @returns {() => void} ends it
 */
function onResize(host, draw, watched = host) {
  let width = watched.clientWidth;
  const observer = new ResizeObserver(() => {
    if (watched.clientWidth === width) return;
    width = watched.clientWidth;
    draw();
  });
  observers.get(host)?.disconnect();
  observers.set(host, observer);
  observer.observe(watched);
  return () => observer.disconnect();
}

// ---- numbers ---------------------------------------------------------------------------------

/**
 * A share of 1 as a percentage, as viz/percent.py writes it.
 * @param {number} share
 * @param {number} [decimals]
 */
function percent(share, decimals = 1) {
  if (share === 0) return "0 %";
  if (Number.isNaN(share)) return "–";
  const least = 10 ** -decimals;
  if (100 * Math.abs(share) < least) return `< ${least.toFixed(decimals)} %`;
  return `${(Math.sign(share) * Math.floor(Math.abs(100 * share) / least + 0.5) * least).toFixed(decimals)} %`;
}

/**
 * A number in digits with a minus sign in place of the hyphen.
 * @param {string} digits
 */
const minus = (digits) => digits.replace("-", "−");

// ---- messages of the server ------------------------------------------------------------------

/**
 * Decode what `pack` (viz/components/component.py) has encoded: a header in JSON, and bytes that start at an address
 * at which any typed array may start.
 * @param {Uint8Array} message
 */
function unpack(message) {
  const end = 4 + new DataView(message.buffer, message.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(message.subarray(4, end)));
  return { header, body: message.slice(end) };
}

// ---- the link --------------------------------------------------------------------------------

/**
 * What was chosen in this component since the app was opened, by key of the link; null is the default.
 * @type {Record<string, string | null>}
 */
const choices = {};

/**
 * The state of a component that is kept in the link (the address bar), so that a copied link shows it again.
 *
 * The server is not told of a choice, and may write an older copy of the link over it (for an example prompt, or when
 * another page opens). So a choice goes before the link, and `restore` writes it again.
 */
class LinkState {
  /**
   * @param {string[]} names what is kept
   * @param {string} [suffix] put behind each name in the link: a second picture on a page has other keys
   */
  constructor(names, suffix = "") {
    this.names = names;
    this.suffix = suffix;
  }

  /**
   * The choice of a name, or what the link holds; null is the default.
   * @param {string} name
   */
  get(name) {
    const key = name + this.suffix;
    return key in choices ? choices[key] : new URLSearchParams(window.location.search).get(key);
  }

  /**
   * Choose values by name; null is the default, which the link leaves out.
   * @param {Record<string, string | number | null>} values
   */
  set(values) {
    for (const [name, value] of Object.entries(values))
      choices[name + this.suffix] = value === null ? null : String(value);
    this.restore();
  }

  /** Write the choices into the link where it holds others. */
  restore() {
    const url = new URL(window.location.href);
    const keys = this.names.map((name) => name + this.suffix).filter((key) => key in choices);
    const lost = keys.filter((key) => url.searchParams.get(key) !== choices[key]);
    for (const key of lost) {
      const value = choices[key];
      if (value === null) url.searchParams.delete(key);
      else url.searchParams.set(key, value);
    }
    if (lost.length) window.history.replaceState(window.history.state, "", url);
  }
}
