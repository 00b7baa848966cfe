"""What the machine lacks when somebody applies or builds: a large send buffer, a newer nft, space on a disk.
Each time one sentence, and the old ruleset or the old file stands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support import small_send_buffer
from support.bare_gateway import OTHER, SITE, Namespace, apply
from support.command import NFCOMPILE
from support.lab import cannot

ENTRIES = "".join(
    f"      10.{n >> 8 & 255}.{n & 255}.1: 20.{n >> 8 & 255}.{n & 255}.1\n" for n in range(16_000)
)
LARGE = f"""version: 1
interfaces: {{inside: [lan0], outside: [wan0]}}
pools:
  servers:
    type: static
    priority: 1
    global_map:
{ENTRIES}"""

ORDINARY_USER = """
cd "$0" || exit 77
printf '%s' "$SITE" | "$@" || exit 78
nft -a list ruleset >before
"$@" <large.yaml
status=$?
nft -a list ruleset >after
exit $status
"""


def test_a_ruleset_larger_than_the_send_buffer(tmp_path: Path) -> None:
    """The root of a user namespace may make the buffer no larger than wmem_max, which is wmem_default on most
    machines; some 14,000 elements fit into that."""
    (tmp_path / "large.yaml").write_text(LARGE)
    with_small_buffer = [sys.executable, "-P", small_send_buffer.__file__]
    command = [*with_small_buffer, *NFCOMPILE, "apply", "-", "-q", "--state-dir", str(tmp_path / "state")]

    ran = shell(["unshare", "-Urn"], ORDINARY_USER, tmp_path, command)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "nfcompile: error: the ruleset is larger than what this user may send to the kernel at once (sysctl "
        "net.core.wmem_default, with newer nft wmem_max); run as root, outside of user namespaces\n"
    )
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text() != ""


def shell(
    namespace: Sequence[str], script: str, where: Path, command: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """Run a script in namespaces of its own."""
    ran = subprocess.run(
        [*namespace, "sh", "-c", script, str(where), *command],
        env=os.environ | {"SITE": SITE},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode == 77 or "unshare failed" in ran.stderr:
        cannot(f"no namespace, or no tmpfs in it: {ran.stderr}")
    assert ran.returncode != 78, ran.stderr
    return ran


# ---- the library


def beside(tmp_path: Path, module: str) -> dict[str, str]:
    """An environment in which this is the Python package 'nftables', and the real one `the_real_one`."""
    import nftables

    (tmp_path / "the_real_one.py").write_text(Path(nftables.__file__).read_text())
    (tmp_path / "nftables.py").write_text(module)
    return os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ['PYTHONPATH']}"}


OLDER_LIBRARY = """
import ctypes
class Nftables:
    def __init__(self):
        ctypes.CDLL("libnftables.so.1").nft_ctx_of_the_next_version
"""

OLDER_NFT = """
import re, the_real_one
class Nftables(the_real_one.Nftables):
    '''Does not read `snat ip prefix to`: here it is a word that no nft knows.'''
    def cmd(self, line):
        file = re.fullmatch('include "(.*)"', line)
        if file:
            with open(file[1], "r+") as ruleset:
                text = ruleset.read().replace("snat ip prefix to", "snat ip prefixed to")
                ruleset.seek(0)
                ruleset.write(text)
        return super().cmd(line)
"""


def applied_with(
    gateway: Namespace, tmp_path: Path, module: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Apply another site with such a library."""
    command = [*NFCOMPILE, "apply", "-", "--netns", gateway.path, "--state-dir", str(tmp_path), *arguments]
    return subprocess.run(
        command, input=OTHER, env=beside(tmp_path, module), capture_output=True, text=True, check=False
    )


def test_a_library_older_than_its_binding_is_one_sentence(gateway: Namespace, tmp_path: Path) -> None:
    assert apply(gateway, "-q", "--state-dir", str(tmp_path)).returncode == 0
    before = gateway.nft("-a", "list", "ruleset")

    ran = applied_with(gateway, tmp_path, OLDER_LIBRARY)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(
        "nfcompile: error: libnftables.so.1 on this machine is older than the Python package 'nftables'"
    )
    assert "undefined symbol: nft_ctx_of_the_next_version" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert gateway.nft("-a", "list", "ruleset") == before


def test_an_nft_that_cannot_read_the_ruleset_is_said_at_its_line(gateway: Namespace, tmp_path: Path) -> None:
    # Without a note of what is loaded the second apply has nft read the whole ruleset.
    assert apply(gateway, "-q", "--state-dir", str(tmp_path / "first")).returncode == 0
    before = gateway.nft("-a", "list", "ruleset")

    ran = applied_with(gateway, tmp_path, OLDER_NFT)

    assert (ran.returncode, ran.stdout) == (1, "")
    said = ran.stderr.splitlines()
    assert said[0].startswith(
        "<stdin>:8:3-6: error: this machine's nft cannot read what this line asks for: "
    )
    assert "syntax error" in said[0]
    assert "nft 1.0.2 or later reads it" in ran.stderr
    assert gateway.nft("-a", "list", "ruleset") == before


WITHOUT_LIBRARY = """
library=$(ldconfig -p | sed -n 's/.*libnftables.so.1 .*=> //p' | head -1)
mount --bind "$BROKEN" "$library" || exit 77
"$@"
"""


@pytest.mark.parametrize("verb", ["apply", "diff"])
def test_a_library_that_cannot_be_loaded_is_one_sentence(
    gateway: Namespace, tmp_path: Path, verb: str
) -> None:
    """An empty file in the place of the library."""
    assert apply(gateway, "-q", "--state-dir", str(tmp_path)).returncode == 0
    before = gateway.nft("-a", "list", "ruleset")
    (tmp_path / "empty").touch()
    (tmp_path / "site.yaml").write_text(OTHER)
    command = [*NFCOMPILE, verb, str(tmp_path / "site.yaml"), "--netns", gateway.path]
    script = WITHOUT_LIBRARY.replace("$BROKEN", str(tmp_path / "empty"))

    ran = shell(["unshare", "-m"], script, tmp_path, command)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("nfcompile: error: libnftables.so.1 ")
    assert "install the distribution's libnftables" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert gateway.nft("-a", "list", "ruleset") == before


# ---- a full disk

FULL = """
mount -t tmpfs -o size=64k tmpfs "$0" || exit 77
cd "$0" || exit 77
[ "$OLD" = "" ] || printf '%s' "$OLD" >file
cat /dev/zero >zeros 2>/dev/null
truncate -s "-$FREE" zeros
printf '%s' "$SITE" | "$@"
status=$?
rm zeros
ls -A
[ -e file ] && cat file
exit $status
"""


@pytest.mark.parametrize("pages", range(0, 6))
@pytest.mark.parametrize(
    ("words", "old"),
    [
        (("build", "-", "-o", "file"), "the old ruleset\n"),
        (("build", "-", "-o", "file"), ""),
        (("init", "file"), ""),
    ],
    ids=["build", "build anew", "init"],
)
def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, words: tuple[str, ...], old: str, pages: int
) -> None:
    """With any number of free pages, on a disk of its own."""
    site = {"SITE": SITE, "OLD": old, "FREE": str(4096 * pages)}
    command = ["unshare", "-m", "sh", "-c", FULL, str(tmp_path), *NFCOMPILE, *words]
    ran = subprocess.run(command, env=os.environ | site, capture_output=True, text=True, check=False)
    if ran.returncode == 77:
        cannot("no tmpfs can be mounted here")

    stands = f"file\n{old}" if old else ""
    if ran.returncode == 0:
        *_, names, content = ran.stdout.partition("file\n")
        assert names
        assert len(content) > 1000
        assert ran.stderr == ""
        assert pages > 0
        return
    assert (ran.returncode, ran.stdout) == (2, stands)
    assert ran.stderr == "nfcompile: error: cannot write 'file': No space left on device\n"
    assert pages < 5


def test_a_file_that_may_not_grow_is_one_sentence(tmp_path: Path) -> None:
    """`ulimit -f`: the other way in which a write ends in the middle."""
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "file").write_text("the old ruleset\n")
    command = ["sh", "-c", 'ulimit -f 1; exec "$@"', sys.executable, *NFCOMPILE, "build", "-o", "file"]

    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "nfcompile: error: cannot write 'file': File too large\n"
    assert (tmp_path / "file").read_text() == "the old ruleset\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "site.yaml"]
