"""Where the lessons can be opened on the web: links for the README, made from the one address in pyproject.toml."""

import re
import tomllib
from dataclasses import dataclass

import lessons

SETTINGS = lessons.ROOT / "pyproject.toml"
ADDRESS = re.compile(r"https://github\.com/([A-Za-z0-9-]+)/([A-Za-z0-9._-]+?)")
BRANCH = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Repository:
    """A public repository on GitHub: its owner, its name, the branch that people read."""

    owner: str
    name: str
    branch: str

    def binder(self, path):
        """The address that opens a file of the repository, such as notebooks/01_x.ipynb, on Binder."""
        return f"https://mybinder.org/v2/gh/{self.owner}/{self.name}/{self.branch}?urlpath=lab/tree/{path}"

    def colab(self, path):
        """The same on Google Colab."""
        return f"https://colab.research.google.com/github/{self.owner}/{self.name}/blob/{self.branch}/{path}"


def repository(settings=None):
    """The Repository that pyproject.toml names, or None if it names none.

    settings: the text of that file, if not the one in the series. Raises ValueError that says what to write.
    """
    text = SETTINGS.read_text(encoding="utf-8") if settings is None else settings
    told = tomllib.loads(text).get("tool", {}).get("lessons", {})
    if unknown := told.keys() - {"repository", "branch"}:
        raise ValueError(
            f"pyproject.toml, [tool.lessons]: unknown {', '.join(sorted(unknown))}; "
            "it has repository and branch."
        )
    address, branch = told.get("repository", ""), told.get("branch", "main")
    if address == "":
        return None
    found = ADDRESS.fullmatch(address) if isinstance(address, str) else None
    if found is None or found[2].endswith(".git") or found[2] in (".", ".."):
        raise ValueError(
            f"pyproject.toml, [tool.lessons]: repository = {address!r} is no address of a repository. Write "
            '"https://github.com/OWNER/NAME", without .git and without a slash at the end, or "" for none.'
        )
    if not isinstance(branch, str) or not BRANCH.fullmatch(branch):
        raise ValueError(
            f"pyproject.toml, [tool.lessons]: branch = {branch!r} is no name of a branch without slashes."
        )
    return Repository(found[1], found[2], branch)


def links(found, path):
    """Markdown links that open a lesson on Binder and on Colab. Plain words: a badge would be loaded from its host."""
    inside = f"notebooks/{path.name}"
    return f"[Binder]({found.binder(inside)}) · [Colab]({found.colab(inside)})"


def hint(found):
    """The README's words on what a lesson needs that is opened alone; empty without a repository."""
    if found is None:
        return ""
    return f"""\
**Open them elsewhere.** The links behind the lessons lead to Binder, which makes the whole series from `binder/`,
and to Colab, which opens the one notebook alone. There a lesson needs the series beside it: run this in a cell above
the others. (Colab has a torch of its own, so the last digits may differ. Neither has been tried with these lessons.)

```python
!git clone --depth 1 --branch {found.branch} https://github.com/{found.owner}/{found.name}
%cd {found.name}/notebooks
%pip install --quiet {pinned("hypothesis")}
```
"""


def pinned(package):
    """The line of requirements.txt that pins this package. Raises ValueError if there is none."""
    text = (lessons.ROOT / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{package}==\S+$", text, re.M)
    if found is None:
        raise ValueError(f"requirements.txt does not pin {package}, which a lesson on Colab needs.")
    return found[0]
