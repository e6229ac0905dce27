"""What the benchmark measures: nginx as the application and as the peers, a private store, and the gateway itself."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.config import load
from gateway.core.assurance import Proof
from gateway.initialise import write_configuration
from gateway.keyring import KeyRing
from gateway.stores.connection import Store
from gateway.stores.embedded import EmbeddedStore
from gateway.stores.tokens import Tokens

BODY_BYTES = 943
LARGEST = 4_000_000_000

_APPLICATION = """
worker_processes 1; daemon off; pid {folder}/application.pid; error_log {folder}/application.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; default_type application/json;
  {temporary}
  server {{
    listen 127.0.0.1:{application};
    location ~ ^/api/demandeurs/(?<id>[0-9]+)$ {{ return 200 '{record}'; }}
    location = /api/demandeurs {{ root {folder}/files; try_files /list-$arg_n.json =404; }}
    location /exports/ {{ root {folder}/files; default_type text/csv; }}
    location /telechargements/ {{ root {folder}/files; default_type application/octet-stream; }}
    location / {{ return 200 '{plain}'; }}
  }}
  server {{ listen 127.0.0.1:{authorizer}; location / {{ return 204; }} }}
}}
"""

_PEERS = """
worker_processes 1; daemon off; pid {folder}/peers.pid; error_log {folder}/peers.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000;
  {temporary}
  upstream application {{ server 127.0.0.1:{application}; keepalive 64; keepalive_requests 100000000; }}
  upstream authorizer {{ server 127.0.0.1:{authorizer}; keepalive 64; keepalive_requests 100000000; }}
  proxy_http_version 1.1; proxy_set_header Connection "";
  server {{ listen 127.0.0.1:{nginx}; location / {{ proxy_pass http://application; }} }}
  server {{
    listen 127.0.0.1:{nginx_auth};
    location / {{ auth_request /auth; proxy_pass http://application; }}
    location = /auth {{
      internal; proxy_pass http://authorizer; proxy_pass_request_body off;
      proxy_set_header Content-Length ""; proxy_set_header Connection "";
    }}
  }}
}}
"""

_HAPROXY = """
global
  nbthread 1
defaults
  mode http
  timeout connect 30s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend bench
  bind 127.0.0.1:{haproxy}
  default_backend application
backend application
  server application 127.0.0.1:{application}
"""

_ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {envoy}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: application}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: application
    connect_timeout: 5s
    type: STATIC
    load_assignment:
      cluster_name: application
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {application}}}}}}}
"""

BUDGETS_OF_FOUR = ("sensitive-hour", "sensitive-day", "everyone-sensitive-hour")
"""With the limit of the proof these are four for a person with a NIR."""


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything running: ports, a token with a fresh proof, and the processes whose CPU is counted.

    ``files``: what is put there the application serves; ``haproxy``, ``envoy``: their processes, where installed.
    """

    folder: Path
    files: Path
    haproxy_port: int
    haproxy: int | None
    envoy_port: int
    envoy: int | None
    nginx_port: int
    nginx_auth_port: int
    gateway_port: int
    host: str
    issuer: str
    token: str
    peers: int
    gateway: int
    store: EmbeddedStore


def processes_of(parent: int) -> list[int]:
    """A process and all of its descendants, as /proc tells them."""
    found = [parent]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def cpu_us(parent: int) -> int:
    """User and system time of a process tree so far, in microseconds."""
    total = 0
    for pid in processes_of(parent):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * 1_000_000 // os.sysconf("SC_CLK_TCK")


def record_template() -> str:
    """A record as the register's interface gives it; nginx fills in the number and what the client says is the NIR."""
    head = (
        '{"id": $id, "numeroFranceTravail": "8256$id", "nir": "$http_bench_nir", "nom": "CORDIER", '
        '"prenom": "Hugues", "dateNaissance": "1991-10-03", "adresse": "12 rue des Lilas", "codePostal": "51100", '
        '"ville": "Reims", "telephone": "0612345678", "email": "hugues.cordier@courriel.example", '
        '"agence": "51001", "situation": "inscrit", "note": "'
    )
    note = "Projet de formation, rappeler la semaine prochaine. "
    written = len(head.replace("$id", "1000001").replace("$http_bench_nir", "1" * 15))
    room = BODY_BYTES - written - len('"}')
    return head + (note * 20)[:room] + '"}'


def plain_body() -> str:
    """A body of the same size that names nobody."""
    return '{"page": "' + "x" * (BODY_BYTES - len('{"page": ""}')) + '"}'


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int, path: str = "/", timeout_s: float = 60.0) -> None:
    """Wait until a server answers with success. Raises ``TimeoutError``."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nobody answers on port {port}")


@contextmanager
def running(*command: str, core: int, log: Path) -> Iterator[int]:
    """A program pinned to one core; its process id."""
    with log.open("wb") as output:
        process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=output, stderr=output)
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def rig(folder: Path, proxy_core: int, load_core: int, budgets: Sequence[str] | None = None) -> Iterator[Rig]:
    """Start everything below ``folder``: proxies on one core, application, store and load on the other.

    ``budgets``: the names of those that the policy keeps; default: the example's.
    """
    names = ("application", "authorizer", "nginx", "nginx_auth", "haproxy", "envoy", "gateway", "admin")
    files = folder / "files"
    files.mkdir()
    folder.chmod(0o711)  # where this runs as root, the application's worker does not
    ports = {name: free_port() for name in names}
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    texts = {
        "folder": folder,
        "temporary": " ".join(f"{kind}_temp_path {folder}/temporary-{kind};" for kind in kinds),
        "record": record_template(),
        "plain": plain_body(),
        **ports,
    }
    with ExitStack() as stack:
        store = EmbeddedStore(folder / "store")
        store.start()
        stack.callback(store.stop)
        store.wait_ready()
        if store.pid is not None:
            os.sched_setaffinity(store.pid, {load_core})
        pids = {}
        for name, template, core in (("application", _APPLICATION, load_core), ("peers", _PEERS, proxy_core)):
            (folder / f"{name}.conf").write_text(template.format(**texts))
            command = ("nginx", "-e", f"{folder}/{name}.log", "-c", f"{folder}/{name}.conf")
            pids[name] = stack.enter_context(running(*command, core=core, log=folder / f"{name}.out"))
        haproxy = None
        if shutil.which("haproxy"):
            (folder / "haproxy.cfg").write_text(_HAPROXY.format(**texts))
            command = ("haproxy", "-db", "-f", f"{folder}/haproxy.cfg")
            haproxy = stack.enter_context(running(*command, core=proxy_core, log=folder / "haproxy.out"))
        envoy = None
        if shutil.which("envoy"):
            (folder / "envoy.yaml").write_text(_ENVOY.format(**texts))
            command = ("envoy", "-c", f"{folder}/envoy.yaml", "--concurrency", "1", "--disable-hot-restart")
            envoy = stack.enter_context(running(*command, core=proxy_core, log=folder / "envoy.out"))
            wait_for(ports["envoy"])
        host = f"localhost:{ports['gateway']}"
        issuer = _configure(folder / "config", store.url, ports, host, budgets)
        token = asyncio.run(_token(folder / "config" / "keys", store.url, issuer))
        command = (sys.executable, "-m", "gateway", "serve", "--config", str(folder / "config"))
        gateway = stack.enter_context(running(*command, core=proxy_core, log=folder / "gateway.out"))
        wait_for(ports["nginx"])
        wait_for(ports["admin"], "/healthz/deep")
        yield Rig(
            folder,
            files,
            ports["haproxy"],
            haproxy,
            ports["envoy"],
            envoy,
            ports["nginx"],
            ports["nginx_auth"],
            ports["gateway"],
            host,
            issuer,
            token,
            pids["peers"],
            gateway,
            store,
        )


def _configure(directory: Path, store_url: str, ports: dict[str, int], host: str, budgets: Sequence[str] | None) -> str:
    """The example's configuration with one worker and budgets that no run exhausts; the issuer of who asks."""
    changes = {
        "port = 8080": f"port = {ports['gateway']}",
        "port = 9090": f"port = {ports['admin']}",
        "workers = 2": "workers = 1",
        "redis://127.0.0.1:6379": store_url,
        "http://127.0.0.1:8001": f"http://127.0.0.1:{ports['application']}",
        "localhost:8080": host,
    }
    write_configuration(directory, {"gateway.toml": changes})
    policy = directory / "policy.toml"
    text = re.sub(r"(?m)^(persons|max_persons|per_seat) = [0-9_]+", rf"\1 = {LARGEST}", policy.read_text())
    if budgets is not None:
        text = re.sub(
            r'(?ms)^\[\[budgets\]\][^\n]*\nname = "([^"]+)".*?(?=^\[|^#|\Z)',
            lambda one: one[0] if one[1] in budgets else "",
            text,
        )
    policy.write_text(text)
    return load(directory).partners["relais-emploi"].issuer


async def _token(keys: Path, store_url: str, issuer: str) -> str:
    store = await Store.connect(store_url)
    try:
        return await token_of(store, KeyRing.load(keys), issuer, "bench")
    finally:
        await store.close()


async def token_of(store: Store, keyring: KeyRing, issuer: str, sub: str) -> str:
    """A token of a user of the example's first partner, with a fresh proof."""
    tokens, now, user = Tokens(store, keyring), store.clock.now(), keyring.user_id(issuer, sub)
    who = {"issuer": issuer, "sub": sub, "partner": "relais-emploi", "name": sub, "login": sub}
    token, token_id = await tokens.issue(**who, expires_at=now + 86_400)
    await tokens.attach_proof(token_id, Proof(f"p_{sub}", "totp", now, user, token_id, f"f_{sub}"))
    return token
