"""One learner's server in the trial of a class: the lessons' own JupyterLab, signed in to the hub.

It runs in the environment of the lessons. JupyterHub's packages come last on the path, so they replace none of
theirs; and the kernels do not see them at all.
"""

import os
import sys

sys.path.append(os.environ.pop("CLASS_PACKAGES"))

from jupyterhub.singleuser import main

main()
