// An element with a text and children: what each component below makes its picture of.
function element(kind, text, ...children) {
  const made = Object.assign(document.createElement(kind), { textContent: text });
  made.append(...children);
  return made;
}

function classed(made, ...names) {
  made.className = names.filter(Boolean).join(" ");
  return made;
}

