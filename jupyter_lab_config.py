# JupyterLab for these lessons: on this machine only, and it asks nobody on the network for anything.
# `make lab` and the plain command in the README both pass this file with --config. The token stays on.
c = get_config()  # noqa: F821  (JupyterLab puts it there)

c.ServerApp.ip = "localhost"
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
