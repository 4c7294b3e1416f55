"""Users, roles, tokens, one-time secrets and the audit log."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from edge.errors import NobodyCanLogIn, PageFolderError, UsageError
from edge.page.access.access import Access
from edge.page.access.accounts.audit_log import FAILURES_A_MINUTE, FILES, AuditLog
from edge.page.access.accounts.database import FILE, Database
from edge.page.access.accounts.once import VALID_S
from edge.page.access.guard import CSRF
from edge.settings.page import PageSettings
from tests.edge.page.access.site import API, PASSWORD, Browser, Site, problem

NEW = "eleven quiet microtomes"


@pytest.fixture
def empty(tmp_path: Path) -> Site:
    """A page that nobody ever started."""
    return Site(tmp_path / "page")


@pytest.fixture
def anna(site: Site) -> Browser:
    browser = site.browser()
    browser.log_in("anna")
    return browser


def first(browser: Browser, secret: str, name: str = "anna", password: str = PASSWORD):
    return browser.post(f"{API}/session/first", json={"secret": secret, "name": name, "password": password})


def test_the_first_secret_makes_one_account_that_administers(empty: Site) -> None:
    browser = empty.browser()
    assert browser.get(f"{API}/session").json()["first"] is False
    secret, expires = empty.access.first_secret("root")
    assert len(secret.replace("-", "")) == 25 and expires == empty.wall + VALID_S
    assert browser.get(f"{API}/session").json()["first"] is True
    assert problem(first(browser, secret, password="short")) == (422, "weak-password")  # spends nothing
    assert problem(first(browser, secret, name="no name")) == (422, "wrong-name")
    answer = first(browser, f" {secret.lower().replace('-', ' ')} ")
    assert answer.status_code == 201 and answer.json()["user"] == {"name": "anna", "role": "administer"}
    assert browser.who() == "anna" and browser.get(f"{API}/session").json()["first"] is False
    assert problem(first(empty.browser("192.0.2.3"), secret, "eve")) == (401, "wrong-secret")
    with pytest.raises(UsageError, match="--reset-password NAME"):
        empty.access.first_secret("root")


def test_a_first_secret_expires_and_a_newer_one_ends_it(empty: Site) -> None:
    one, _ = empty.access.first_secret("root")
    two, _ = empty.access.first_secret("root")
    assert problem(first(empty.browser(), one)) == (401, "wrong-secret")
    empty.pass_time(VALID_S)
    assert problem(first(empty.browser(), two)) == (401, "wrong-secret")
    assert empty.browser().get(f"{API}/session").json()["first"] is False
    three, _ = empty.access.first_secret("root")
    assert first(empty.browser(), three).status_code == 201


def test_a_secret_is_guessed_as_slowly_as_a_password(empty: Site) -> None:
    empty.access.first_secret("root")
    answers = [first(empty.browser(), f"AAAAA-{number:05}").status_code for number in range(8)]
    assert answers == [401] * 5 + [429] * 3


def test_a_stranger_who_guesses_does_not_hold_up_the_first_start(empty: Site) -> None:
    secret, _ = empty.access.first_secret("root")
    for number in range(8):
        first(empty.browser("192.0.2.66"), f"AAAAA-{number:05}")
    assert first(empty.browser("192.0.2.1"), secret).status_code == 201


def test_a_user_is_invited_and_sets_a_password_of_their_own(site: Site, anna: Browser) -> None:
    answer = anna.post(f"{API}/users", json={"name": "ben", "role": "operate"})
    assert answer.status_code == 201 and answer.json()["user"]["pending"]
    secret = answer.json()["secret"]
    assert site.browser().log_in("ben").status_code == 401
    assert problem(first(site.browser(), secret, "otto")) == (401, "wrong-secret"), "another's"
    ben = site.browser()
    assert first(ben, secret, "ben", NEW).json()["user"] == {"name": "ben", "role": "operate"}
    assert site.browser().log_in("ben", NEW).status_code == 201
    assert problem(first(site.browser(), secret, "ben", NEW)) == (401, "wrong-secret"), "once"
    listed = anna.get(f"{API}/users").json()["items"]
    assert [(each["name"], each["role"], each["pending"]) for each in listed] == [
        ("anna", "administer", False),
        ("ben", "operate", False),
        ("lena", "look", False),
        ("otto", "operate", False),
    ]
    assert "argon2" not in json.dumps(listed)


def test_a_password_is_reset_by_who_administers_or_at_the_machine(site: Site, anna: Browser) -> None:
    otto = site.browser()
    otto.log_in("otto")
    secret = anna.patch(f"{API}/users/otto", json={"reset": True}).json()["secret"]
    assert otto.who() is None and site.browser().log_in("otto").status_code == 401
    assert first(site.browser(), secret, "otto", NEW).status_code == 201
    assert problem(anna.patch(f"{API}/users/anna", json={"reset": True})) == (409, "own-password")
    code, _ = site.access.reset_password("anna", "root")
    assert anna.who() is None
    browser = site.browser()
    assert first(browser, code, "anna", NEW).status_code == 201 and browser.who() == "anna"
    with pytest.raises(UsageError, match=r"must name a user of the page \(anna, lena, otto\); got 'nemo'"):
        site.access.reset_password("nemo", "root")


def test_names_are_taken_for_good_and_once(site: Site, anna: Browser) -> None:
    assert problem(anna.post(f"{API}/users", json={"name": "OTTO", "role": "look"})) == (409, "name-taken")
    assert anna.delete(f"{API}/users/otto").status_code == 204
    again = anna.post(f"{API}/users", json={"name": "otto", "role": "look"})
    assert problem(again) == (409, "name-taken") and "stands in the record" in again.json()["detail"]
    assert problem(anna.post(f"{API}/users", json={"name": "demo", "role": "look"})) == (409, "name-taken")
    assert problem(anna.delete(f"{API}/users/otto")) == (404, "no-user")
    for name in ("<b>x</b>", "../x", "a b", "-x", "x\n", "ä"):
        assert problem(anna.post(f"{API}/users", json={"name": name, "role": "look"})) == (422, "wrong-name")


def test_somebody_always_administers(site: Site, anna: Browser) -> None:
    assert problem(anna.delete(f"{API}/users/anna")) == (409, "last-administrator")
    assert problem(anna.patch(f"{API}/users/anna", json={"role": "look"})) == (409, "last-administrator")
    assert anna.who() == "anna", "nothing of it happened"
    site.user("zoe", "administer")
    assert anna.delete(f"{API}/users/anna").status_code == 204 and anna.who() is None


def test_a_token_is_shown_once_and_needs_no_csrf(site: Site, anna: Browser) -> None:
    answer = anna.post(f"{API}/tokens", json={"label": "lims", "role": "administer", "days": 30})
    secret, made = answer.json()["secret"], answer.json()["token"]
    assert secret.startswith("leukoscope_") and made["owner"] == "anna" and made["used"] is None
    program = site.browser()
    program.headers["Authorization"] = f"Bearer {secret}"
    assert program.get(f"{API}/session").json()["user"] == {"name": "anna/lims", "role": "administer"}
    assert program.post(f"{API}/users", json={"name": "ben", "role": "look"}).status_code == 201
    assert problem(program.post(f"{API}/tokens", json={"label": "x", "role": "look"})) == (403, "token")
    [listed] = anna.get(f"{API}/tokens").json()["items"]
    assert listed["used"] is not None and secret not in json.dumps(listed)
    assert [each["by"] for each in anna.get(f"{API}/audit").json()["items"]][:2] == ["anna/lims", "anna"]
    assert anna.delete(f"{API}/tokens/{made['id']}").status_code == 204
    assert problem(program.get(f"{API}/users")) == (401, "login-required")
    assert problem(anna.delete(f"{API}/tokens/{made['id']}")) == (404, "no-token")


def test_a_token_ends_in_time_and_never_does_more_than_its_owner(site: Site, anna: Browser) -> None:
    site.user("zoe", "administer")
    secret = anna.post(f"{API}/tokens", json={"label": "lims", "role": "administer", "days": 1}).json()["secret"]
    program = site.browser()
    program.headers["Authorization"] = f"Bearer {secret}"
    site.access.users.set_role(site.access.users.named("anna"), "look")
    assert program.get(f"{API}/session").json()["user"]["role"] == "look"
    assert problem(program.get(f"{API}/users")) == (403, "role-required")
    site.pass_time(86_400)
    assert program.who() is None


def test_a_token_that_holds_not_is_not_helped_by_a_cookie(anna: Browser) -> None:
    for wrong in ("Bearer leukoscope_x", "Bearer ", "Basic YW5uYTp4", "leukoscope_x"):
        assert problem(anna.get(f"{API}/users", headers={"Authorization": wrong})) == (401, "login-required")


def test_the_audit_log_says_what_happened_and_to_whom(site: Site, anna: Browser) -> None:
    site.browser("192.0.2.66").log_in("otto", "wrong")
    anna.post(f"{API}/users", json={"name": "ben", "role": "look"})
    anna.patch(f"{API}/users/ben", json={"role": "operate"})
    anna.patch(f"{API}/users/ben", json={"reset": True})
    anna.delete(f"{API}/users/ben")
    anna.delete(f"{API}/session")
    anna.log_in("anna")
    items = anna.get(f"{API}/audit").json()["items"]
    assert [(each["what"], each["by"], each["detail"]) for each in reversed(items)] == [
        ("login", "anna", ""),
        ("login-failed", "otto", "wrong password"),
        ("user-added", "anna", "ben (look)"),
        ("role-changed", "anna", "ben: look -> operate"),
        ("password-reset", "anna", "ben"),
        ("user-removed", "anna", "ben"),
        ("logout", "anna", ""),
        ("login", "anna", ""),
    ]
    assert {each["address"] for each in items} == {"192.0.2.9", "192.0.2.66"}
    page = anna.get(f"{API}/audit", params={"limit": 3}).json()
    assert page["items"] == items[:3] and page["next"] == str(items[2]["number"])
    rest = anna.get(f"{API}/audit", params={"limit": 100, "cursor": page["next"]}).json()
    assert rest == {"items": items[3:], "next": None}


def test_the_audit_log_is_bounded_and_bears_a_power_cut(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, now=lambda: 0.0, most_bytes=1000)
    for number in range(150):
        log.add("login", f"user-{number}", "192.0.2.1", 'a "quoted"\nline')
    files = sorted(tmp_path.glob("audit*.jsonl"))
    assert len(files) == FILES and all(path.stat().st_size < 1200 for path in files)
    numbers = [each["number"] for each in log.newest(1000)]
    assert numbers == list(range(150, 150 - len(numbers), -1)) and FILES * 5 <= len(numbers) < 100
    with (tmp_path / "audit.jsonl").open("ab") as stream:
        stream.write(b'{"number": 151, "utc')
    log.add("login", "after the cut")
    assert [each["by"] for each in log.newest(2)] == ["after the cut", "user-149"]


def test_a_flood_of_failures_displaces_nothing(tmp_path: Path) -> None:
    now = [0.0]
    log = AuditLog(tmp_path, now=lambda: now[0])
    log.add("user-added", "anna")
    for _ in range(3):
        for number in range(500):
            log.failed("x" * 500, "192.0.2.1", f"{number}")
        now[0] += 60
    log.add("login", "anna")
    entries = log.newest(1000)
    assert len(entries) == 2 + 3 * (FAILURES_A_MINUTE + 1)
    assert sum(each["detail"] == f"{500 - FAILURES_A_MINUTE} more in that minute" for each in entries) == 3
    assert max(len(each["by"]) for each in entries) == 64


def test_a_page_that_others_reach_needs_somebody_who_can_log_in(tmp_path: Path) -> None:
    site = Site(tmp_path / "page", {"host": "0.0.0.0"})
    with pytest.raises(NobodyCanLogIn, match="run `edge page --first-secret` first"):
        site.access.require_ready()
    site.access.first_secret("root")
    site.access.require_ready()
    site.pass_time(VALID_S)
    with pytest.raises(NobodyCanLogIn):
        site.access.require_ready()
    site.user("anna", "administer")
    site.access.require_ready()
    Site(tmp_path / "loopback").access.require_ready()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_a_demo_is_on_loopback_alone(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="served on loopback alone; got"):
        Access(PageSettings(host=host, folder=tmp_path), demo=True)
    assert list(tmp_path.iterdir()) == []
    for mine in ("127.0.0.1", "::1", "localhost", "127.0.0.2"):
        assert Access(PageSettings(host=mine, folder=tmp_path), demo=True).demo


def test_a_file_of_users_that_is_damaged_or_newer_is_said(tmp_path: Path) -> None:
    db = Database(tmp_path / "one")
    db._writer.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(PageFolderError, match="written by another version"):
        Database(tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / FILE).write_bytes(b"no database at all, " * 100)
    with pytest.raises(PageFolderError, match="file is not a database"):
        Database(tmp_path / "two")
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / FILE).symlink_to("/etc/passwd")
    with pytest.raises(PageFolderError, match="symbolic links"):
        Database(tmp_path / "three")


def test_a_full_disk_lets_nobody_in_and_throws_nobody_out(disk_of, monkeypatch) -> None:
    disk = disk_of("1m")
    site = Site(disk / "page")
    site.user("anna", "administer")
    browser = site.browser()
    assert browser.log_in("anna").status_code == 201
    with (disk / "filler").open("wb") as filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(os.urandom(65536))
            filler.flush()
    answers = [site.browser().log_in("anna") for _ in range(3)]
    refused = [each for each in answers if each.status_code != 201]
    assert refused and problem(refused[0]) == (503, "page-folder")
    site.pass_time(120)
    assert browser.who() == "anna"
    (disk / "filler").unlink()
    assert site.browser().log_in("anna").status_code == 201


def test_another_process_makes_a_secret_while_the_page_runs(empty: Site, tmp_path: Path) -> None:
    """As root does with `edge page --first-secret`: the running page takes it at once."""
    import sys

    script = (
        "import sys; from pathlib import Path; from edge.page.access.access import Access;"
        "from edge.settings.page import PageSettings;"
        "print(Access(PageSettings(folder=Path(sys.argv[1]))).first_secret('root')[0])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(empty.folder)], capture_output=True, text=True, check=True)
    empty.access.once._now = __import__("time").time  # the other process's clock is the machine's
    browser = empty.browser()
    answer = first(browser, done.stdout.strip())
    assert answer.status_code == 201 and answer.json()["user"]["name"] == "anna"
    assert [each["what"] for each in empty.access.audit.newest(5)] == ["first-account", "first-secret"]
    browser.headers[CSRF] = answer.json()["csrf"]
    assert browser.get(f"{API}/users").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_what_root_makes_belongs_to_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    access = Access(PageSettings(host="0.0.0.0", folder=folder))
    access.first_secret("root")
    made = {path.name: path.stat().st_uid for path in folder.iterdir()}
    assert {"access.sqlite", "access.sqlite-wal", "access.sqlite-shm", "audit.jsonl", "key.pem"} <= set(made)
    assert set(made.values()) == {65534}
    access.close()
