// What the pages need beyond the theme's scripts.

// A page from a file system may not fetch others, which the search does for its excerpts.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined")
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// On paper nothing can be unfolded, and the ground is white.
const { dataset } = document.documentElement;
let unfolded = [], theme = "";
addEventListener("beforeprint", () => {
  theme = dataset.theme;
  dataset.theme = "light";
  unfolded = [...document.querySelectorAll("main details:not([open])")];
  for (const details of unfolded) details.open = true;
});
addEventListener("afterprint", () => {
  dataset.theme = theme;
  for (const details of unfolded) details.open = false;
});

// pages.css says what a tap on a picture does on a phone. In a panel the next picture is in full, too.
document.querySelector("main")?.addEventListener("click", ({ target }) => {
  if (target.matches("div.cell_output img")) (target.closest(".panel-picture") ?? target).classList.toggle("in-full");
});
const hint = Object.assign(document.createElement("p"), {
  className: "picture-hint",
  textContent: "Tap a picture to see it in full size.",
});
document.querySelector("div.cell_output img")?.closest("div.cell")?.before(hint);

// A way down the page ends at its place, and not behind the list.
document.querySelector("#pst-secondary-sidebar-modal")?.addEventListener("click", (event) => {
  if (event.target.closest("a")) event.currentTarget.close();
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
