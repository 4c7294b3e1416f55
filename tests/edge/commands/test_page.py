"""`edge page`: its options, what it says when it cannot serve, and how it ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.commands.page import page
from edge.errors import LeukoscopeError, SettingsError, UsageError
from edge.page.serving import listen
from edge.settings.bench import DEFAULT_SOCKET
from tests.paths import ROOT


def profile(folder: Path, text: str) -> str:
    (folder / "edge.toml").write_text(text)
    return str(folder / "edge.toml")


def test_options_come_before_the_profile(tmp_path: Path) -> None:
    text = '[page]\nhost = "0.0.0.0"\nport = 1234\n[bench]\nsocket = "/srv/i.sock"\n[record]\nfolder = "/srv/record"\n'
    by_profile = page(config=profile(tmp_path, text))
    assert (by_profile.settings.page.host, by_profile.settings.page.port) == ("0.0.0.0", 1234)
    assert (by_profile.socket, by_profile.settings.store) == (Path("/srv/i.sock"), Path("/srv/record"))
    given = page(config=profile(tmp_path, text), host="127.0.0.1", port="0", socket="/x", store="/y")
    assert (given.settings.page.host, given.settings.page.port) == ("127.0.0.1", 0)
    assert (given.socket, given.settings.store) == (Path("/x"), Path("/y"))
    assert page(config=profile(tmp_path, "")).socket == DEFAULT_SOCKET


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": "65536"}, "--port must be at most 65535"),
        ({"port": "x"}, "--port must be a whole number"),
        ({"first_secret": True, "reset_password": "anna"}, "takes one of"),
        ({"demo": True, "first_secret": True}, "needs no secret"),
    ],
)
def test_wrong_options_are_said(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        page(config=profile(tmp_path, ""), **options)  # type: ignore[arg-type]
    (tmp_path / "record").write_bytes(b"notes")
    with pytest.raises(UsageError, match=r"--store must be a folder; .*record is a file"):
        page(config=profile(tmp_path, ""), store=str(tmp_path / "record"))
    with pytest.raises(SettingsError, match=r"page\.host"):
        page(config=profile(tmp_path, ""), host="lab-3")


def test_without_the_extra_it_says_which_one(tmp_path: Path) -> None:
    code = "import sys; sys.modules['fastapi'] = None; import edge.cli; edge.cli.main()"
    words = [sys.executable, "-c", code, "page", "--config", profile(tmp_path, "")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 4
    cure = "pip install '.[page]' in a clone of Leukoscope"
    assert done.stderr == f"error: the page needs fastapi, which is not installed: {cure}\n"


def test_a_page_without_a_login_is_for_this_machine_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="loopback alone"):
        page(demo=True, socket="/x", host="0.0.0.0", config=profile(tmp_path, "")).execute()


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    settings = profile(tmp_path, f'[page]\nfolder = "{tmp_path}/page"\n')
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LeukoscopeError, match=f"{port}.*in use"):
            page(port=str(port), config=settings).execute()


@pytest.mark.parametrize("signals", [1, 2], ids=["once", "twice"])  # as `timeout`, or an impatient hand, gives it
def test_ctrl_c_ends_it_with_0_and_no_traceback(signals: int, tmp_path: Path) -> None:
    settings = profile(tmp_path, f'[page]\nfolder = "{tmp_path}/page"\n')
    words = [sys.executable, "-m", "edge.cli", "page", "--port", "0", "--config", settings]
    words += ["--socket", str(tmp_path / "none")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    assert any(line.startswith("bench page: http://127.0.0.1:") for line in process.stderr)
    for _ in range(signals):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 0 and "Traceback" not in rest
