"""Long work shows a line on a terminal, and nothing in a pipe; it leaves the terminal as it was."""

import subprocess
import sys
import time

import pytest

from support.sites import GOOD, HEAD, ROOT
from support.terminal import AT_ONCE, HIDE, SHOW, VERB, on_terminal, verb_on_terminal

WORK = """
import sys, time
from nfcompile.cli import progress
from nfcompile.cli.exit_status import guarded
from nfcompile.cli.options import Options

progress.DELAY_SECONDS = 0.05
{at_once}
def work():
    with progress.working("proving [bold]site.yaml", Options(quiet={quiet}), rows={rows}):
        time.sleep({seconds})
    return 0
sys.exit(guarded(work))
"""


def work(seconds=0.1, quiet=False, rows=False, stdout=None, interrupt=b"", at_once=False):
    """What a terminal on stderr (and on stdout) got of some work, and the exit status."""
    program = WORK.format(seconds=seconds, quiet=quiet, rows=rows, at_once=AT_ONCE if at_once else "")
    return on_terminal([sys.executable, "-c", program], interrupt, stdout=stdout)


def test_a_line_appears_and_vanishes():
    got, code = work(at_once=True)

    assert code == 0
    assert b"proving [bold]site.yaml" in got
    assert got.count(HIDE) == got.count(SHOW) == 1
    assert got.rstrip(b"\r\n").endswith(b"\x1b[2K") or b"\x1b[2K" in got.rpartition(b"proving")[2]


def test_an_interrupt_leaves_the_cursor():
    got, code = work(seconds=60, interrupt=b"proving")

    assert code == 130
    assert got.rfind(SHOW) > got.rfind(HIDE)
    assert b"Traceback" not in got


@pytest.mark.parametrize("options", [{"seconds": 0.0}, {"quiet": True}, {"rows": True}])
def test_short_work_quiet_and_rows_on_a_terminal_show_nothing(options):
    assert work(**{"seconds": 0.3, **options}) == (b"", 0)


def test_rows_into_a_file_show_the_line():
    got, _ = work(rows=True, stdout=subprocess.DEVNULL, at_once=True)

    assert b"proving" in got


def test_a_pipe_gets_nothing():
    program = WORK.format(seconds=0.5, quiet=False, rows=False, at_once=AT_ONCE)
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"", b"")
    assert time.monotonic() - begun >= 0.5


FORK = """
import os, signal, sys, threading
from nfcompile.cli import progress
from nfcompile.cli.options import Options
from nfcompile.kernel import netns

begun, forked = threading.Event(), threading.Event()
class SlowDisk:
    def find_spec(name, path=None, target=None):
        if name == "inspect":
            begun.set()
            forked.wait(0.5)
def imports():
    signal.alarm(20)  # a child that waits for ever
    import inspect
    return inspect.__name__
def fork():
    child = os_fork()
    forked.set()
    return child
os_fork, os.fork = os.fork, fork
netns._unshare = lambda: None
sys.modules.pop("inspect", None)
sys.meta_path.insert(0, SlowDisk)
progress.DELAY_SECONDS = 0
with progress.working("applying", Options()):
    begun.wait()
    assert netns.in_scratch(imports) == "inspect"
"""
"""Work that forks while the line's thread imports a module, which the child needs too."""


def test_a_child_is_not_forked_amid_an_import():
    got, code = on_terminal([sys.executable, "-c", FORK])

    assert code == 0, got


# Each verb. The site is large where Ctrl-C has to meet it at work.

ENTRIES = "".join(
    f"      10.{n >> 8}.{n & 255}.0/24: 172.{16 + (n >> 8)}.{n & 255}.0/24\n" for n in range(16_000)
)
LARGE = f"{HEAD}pools:\n  p:\n    type: static\n    priority: 1\n    global_map:\n{ENTRIES}"
RULES = "*nat\n" + "".join(
    f"-A POSTROUTING -s 10.{n >> 8}.{n & 255}.0/24 -o wan0 -j SNAT --to-source 203.0.113.{n % 250}\n"
    for n in range(16_000)
)
MILLION = GOOD.replace("203.0.113.0/30", "203.0.0.0/16").replace("100.64.0.0/24", "100.64.0.0/12")
VERBS = {
    "prove": (("prove", "large.yaml"), b"proving large.yaml"),
    "diff": (("diff", "large.yaml", "other.yaml"), b"compiling large.yaml"),
    "import": (("import", "iptables", "rules.v4", "-o", "new.yaml"), b"reading rules.v4"),
    "lookup": (("lookup", "million.yaml", "--bulk", "questions.csv"), b"answering"),
    "mappings": (("mappings", "million.yaml"), b"listing"),
    "build": (("build", "large.yaml"), b"compiling large.yaml"),
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The working directory, with what the verbs read."""
    monkeypatch.chdir(tmp_path)
    texts = {
        "isp.yaml": (ROOT / "examples/isp/site.yaml").read_text(),
        "large.yaml": LARGE,
        "other.yaml": LARGE.replace("10.0.0.0/24:", "10.200.0.0/24:"),
        "rules.v4": RULES + "COMMIT\n",
        "million.yaml": MILLION,
        "questions.csv": "addr,port\n" + "203.0.0.1,3100\n" * 200_000,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_ctrl_c_ends_each_verb_at_work(verb, files):
    arguments, words = VERBS[verb]
    got, code = verb_on_terminal(*arguments, interrupt=words)

    assert code == 130
    assert words in got
    assert got.rfind(SHOW) > got.rfind(HIDE)
    assert b"Traceback" not in got
    assert not (files / "new.yaml").exists()


@pytest.mark.parametrize("kind", ["xterm", "dumb"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("lookup", "small.yaml", "--bulk", "few.csv"),
        ("mappings", "small.yaml"),
        ("mappings", "small.yaml", "--format", "json"),
    ],
    ids=["lookup", "csv", "json"],
)
def test_rows_go_to_stdout_while_the_line_is_shown(arguments, kind, files):
    (files / "small.yaml").write_text(GOOD)
    (files / "few.csv").write_text("addr,port\n203.0.113.1,3100\n")
    with open("rows", "wb") as rows:
        got, code = on_terminal([sys.executable, "-c", VERB, *arguments], stdout=rows.fileno(), kind=kind)

    assert code == 0
    assert b"100.64.0." in (files / "rows").read_bytes()
    assert b"100.64.0." not in got


@pytest.mark.parametrize(
    "arguments",
    [("diff", "small.yaml", "isp.yaml"), ("mappings", "small.yaml"), ("import", "iptables", "small.v4")],
    ids=lambda words: words[0],
)
def test_no_verb_shows_anything_in_a_pipe(arguments, files):
    (files / "small.yaml").write_text(GOOD)
    (files / "small.v4").write_text(RULES.partition("\n-A POSTROUTING -s 10.0.1.")[0] + "\nCOMMIT\n")
    done = subprocess.run([sys.executable, "-c", VERB, *arguments], capture_output=True, check=False)

    assert done.returncode == 0
    assert b"\x1b" not in done.stderr + done.stdout


def test_work_within_work_has_one_line(files):
    """diff compiles the other site while it compares."""
    (files / "a.yaml").write_text(GOOD)
    got, code = verb_on_terminal("diff", "a.yaml", "isp.yaml")

    assert code == 0
    assert b"comparing" in got
    assert b"compiling isp.yaml" not in got
    assert got.count(HIDE) == got.count(SHOW) == 2
