"""Sphinx's settings for the site. tools/pages.py prepares the documents and calls Sphinx; nothing is executed here."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import pages  # noqa: E402

project = (
    (pages.ROOT / pages.START).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
)
language = "en"
root_doc = "index"
extensions = ["myst_nb", "terms", "outputs"]
smartquotes = False  # the words are shown as they are committed

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # an output may be a table, which CommonMark has not
myst_heading_anchors = 3
myst_enable_extensions = []  # what a code host shows, and no more

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["pages.css", "panels.css"]
html_js_files = [("pages.js", {"defer": "defer"}), ("panels.js", {"defer": "defer"})]
html_copy_source = False  # the prepared notebooks would not run alone
html_show_sphinx = False
html_show_copyright = False
html_use_index = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "search_bar_text": "Search the lessons",
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    # Without a bar on top: the theme would listen to its buttons, and not to those on the page.
    "navbar_persistent": [],
    "footer_content_items": "",
    "toc_title": "On this page",
}
pygments_style = "a11y-high-contrast-light"
