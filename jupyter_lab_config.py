# JupyterLab for these lessons: on this machine only, and it asks nobody on the network for anything.
# `make lab` and the plain command in the README both pass this file with --config. The token stays on.
from pathlib import Path

root = Path(__file__).resolve().parent
c = get_config()  # noqa: F821  (JupyterLab puts it there)

c.ServerApp.ip = "localhost"
c.ServerApp.root_dir = str(root)
c.LabApp.default_url = "/lab/tree/notebooks/00_tensors.ipynb"
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
c.LabApp.app_settings_dir = str(root / "lab-settings")  # does not ask whether news are wanted
