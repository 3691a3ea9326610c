// Follow the reader's light or dark scheme. It stands in for MkDocs' own script, which also switches the styles of
// highlight.js: this site does not load them, and that script would stop with an error.
const darkScheme = window.matchMedia("(prefers-color-scheme: dark)");

function followScheme() {
  document.documentElement.setAttribute("data-bs-theme", darkScheme.matches ? "dark" : "light");
}

followScheme();
darkScheme.addEventListener("change", followScheme);
