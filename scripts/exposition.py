"""What the exporter serves for a site that is live, once, to stdout; in a network namespace of its own."""

import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NFCOMPILE = [sys.executable, "-c", "from nfcompile.cli import main; main()"]


def main() -> None:
    """Apply an example in a scratch namespace, and scrape an exporter beside it."""
    site = ROOT / "examples/isp/site.yaml"
    with tempfile.TemporaryDirectory() as state:
        holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        try:
            place = ["--netns", f"/proc/{holder.pid}/ns/net", "--state-dir", state]
            subprocess.run([*NFCOMPILE, "apply", site, "-q", *place], check=True, stdout=subprocess.DEVNULL)
            _scrape([*NFCOMPILE, "exporter", str(site), *place, "--listen", "127.0.0.1:0"])
        finally:
            holder.kill()


def _scrape(command: list[str]) -> None:
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as exporter:
        assert exporter.stderr is not None
        try:
            while not (line := exporter.stderr.readline()).startswith("serving "):
                if not line:
                    sys.exit("the exporter did not start")
            with urllib.request.urlopen(line.split()[-1], timeout=60) as answer:
                print(answer.read().decode(), end="")
        finally:
            exporter.terminate()


main()
