// What the pages need beyond the theme's scripts.

// A page from a file system may not fetch others, which the search does for its excerpts.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined")
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// On paper nothing can be unfolded.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("main details:not([open])")];
  for (const details of unfolded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of unfolded) details.open = false;
});

// Names that the theme does not give to a screen reader, or gives other than what is seen.
for (const summary of document.querySelectorAll(".bd-links summary")) {
  const lesson = summary.closest("li").querySelector("a").textContent.trim();
  summary.setAttribute("aria-label", `What belongs to ${lesson}`);
}
for (const named of document.querySelectorAll(".search-button-field, details.hide > summary"))
  named.removeAttribute("aria-label");
const home = document.querySelector(".bd-sidebar-primary .navbar-brand")?.parentElement;
home?.setAttribute("role", "navigation");
home?.setAttribute("aria-label", "Start page");
