"""JupyterHub's settings for the trial of a class: on this machine only, one password, servers as local processes.

classroom.py starts `jupyterhub --config` with this file and says the rest in environment variables. All of its
learners run as one user and could read each other's files: it is a trial, and no hub for a class.
"""

import os

folder = os.environ["CLASS_FOLDER"]
learners = f"{folder}/learners/{{username}}"
c = get_config()  # noqa: F821  (JupyterHub puts it there)

c.JupyterHub.bind_url = os.environ["CLASS_URL"]
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = int(os.environ["CLASS_HUB_PORT"])
c.JupyterHub.db_url = f"sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{folder}/cookie_secret"
c.JupyterHub.cleanup_servers = True
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['CLASS_PROXY_PORT']}"
c.ConfigurableHTTPProxy.command = [os.environ["CLASS_PROXY"]]
c.ConfigurableHTTPProxy.pid_file = f"{folder}/proxy.pid"

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["CLASS_PASSWORD"]
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = learners
c.Spawner.notebook_dir = f"{learners}/series"
c.Spawner.cmd = [os.environ["CLASS_PYTHON"], f"{os.environ['CLASS_TOOLS']}/class_server.py"]
c.Spawner.args = ["--config=series/jupyter_lab_config.py"]  # a server starts in its learner's home
c.Spawner.args += ["--allow-root"] if os.getuid() == 0 else []
c.Spawner.environment = {"CLASS_PACKAGES": os.environ["CLASS_PACKAGES"]}
c.Spawner.poll_interval = 5  # seconds until the hub sees that a server is gone
c.Spawner.start_timeout = c.Spawner.http_timeout = 300  # ten at once, on two cores
c.JupyterHub.init_spawners_timeout = 1

# The trial looks at the learners' servers through the hub, as a teacher may.
c.JupyterHub.services = [{"name": "trial", "api_token": os.environ["CLASS_TOKEN"]}]
c.JupyterHub.load_roles = [
    {
        "name": "trial",
        "scopes": ["list:users", "read:users", "read:servers", "access:servers"],
        "services": ["trial"],
    }
]
