// What was chosen in the pictures since the app was opened, as text (null: the default). It goes before the link, since
// the server, which is not told, writes there itself for an example prompt or another page.
const chosen = {};

const readLink = (name) => (name in chosen ? chosen[name] : new URLSearchParams(window.location.search).get(name));

function writeLink(values) {
  const url = new URL(window.location.href);
  for (const [name, value] of Object.entries(values)) {
    chosen[name] = value === null ? null : String(value);
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  window.history.replaceState(window.history.state, "", url);
}
