"""The first line of the README on a machine with nothing but Python.

It asks the package registry, and installs: ``pytest tests/long/demo_from_clone.py``.
"""

import os
import signal
import subprocess
from pathlib import Path

import requests
from conftest import ROOT
from conftest import project_files
from pages import blocks
from servers.running import free_port


def test_the_demo_line_runs_from_a_clone(tmp_path: Path) -> None:
    """On a machine with nothing but Python: environment, installation, and a demo that answers."""
    (line,) = [block.code.strip() for block in blocks("README.md") if block.mark == "demo-command"]
    for name in project_files():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    port = free_port()
    running = subprocess.Popen(
        ["sh", "-c", f"{line} --port {port} --issuer-port {free_port()}"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        while line := running.stdout.readline():
            if line.startswith(f"curl -i http://127.0.0.1:{port}/public"):
                break
        answer = requests.get(f"http://127.0.0.1:{port}/orders", timeout=10)
        assert answer.json() == {"error": "No token provided"}
    finally:
        os.killpg(running.pid, signal.SIGINT)
        try:
            out, _ = running.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            out, _ = running.communicate()
    assert out.strip() == "stopped"
