"""Wrong logins: how many of them get an answer, who is held up by them and who is not."""

import asyncio
import threading
import time

import pytest
from argon2 import PasswordHasher

from edge.page.access.accounts.audit_log import FAILURES_A_MINUTE
from edge.page.access.accounts.lanes import MOST_WAITING, Lane
from edge.page.access.accounts.passwords import Passwords
from edge.page.access.accounts.throttle import MOST_KEYS, Throttle
from edge.page.problems import Problem
from tests.edge.page.access.site import API, PASSWORD, Site, problem


@pytest.mark.slow
def test_a_thousand_wrong_logins(site: Site) -> None:
    """One a second for 1,000 s: few are even looked at, none gets in, and who is known logs in meanwhile."""
    known, local, stranger = site.browser("192.0.2.1"), site.browser("127.0.0.1"), site.browser("192.0.2.66")
    assert known.log_in("otto").status_code == 201
    known.delete(f"{API}/session")
    answers = []
    for _ in range(1000):
        answers.append(stranger.log_in("otto", "a wrong password").status_code)
        site.pass_time(1)
    assert set(answers) == {401, 429}
    assert 15 <= answers.count(401) <= 30  # five, then after 1, 2, 4 ... 60 s
    right = stranger.log_in("otto")  # the right one gets in no earlier
    assert problem(right) == (429, "too-many-logins") and 1 <= int(right.headers["retry-after"]) <= 60
    assert known.log_in("otto").status_code == 201, "a browser that logged in before"
    assert local.log_in("otto").status_code == 201, "the machine itself"
    site.pass_time(61)
    assert site.browser("192.0.2.2").log_in("otto").status_code == 201
    entries = site.access.audit.newest(2000)
    failed = [each for each in entries if each["what"] == "login-failed"]
    assert len(failed) <= (1000 // 60 + 2) * (FAILURES_A_MINUTE + 1)
    told = sum(int(each["detail"].split()[0]) if "more in that minute" in each["detail"] else 1 for each in failed)
    assert told == 1001, "every one is counted"


def test_an_address_that_tries_many_names_is_held_up_and_others_are_not(site: Site) -> None:
    stranger = site.browser("192.0.2.66")
    answers = [stranger.log_in(f"name-{number}", "x").status_code for number in range(20)]
    assert answers == [401] * 5 + [429] * 15
    assert site.browser("192.0.2.67").log_in("otto").status_code == 201


def test_addresses_of_one_ipv6_network_count_as_one(site: Site) -> None:
    answers = [site.browser(f"2001:db8::{number:x}").log_in(f"n{number}", "x").status_code for number in range(20)]
    assert answers == [401] * 5 + [429] * 15
    assert site.browser("2001:db8:0:1::1").log_in("otto").status_code == 201


def test_a_right_password_of_one_s_own_does_not_clear_an_address(site: Site) -> None:
    stranger = site.browser("192.0.2.66")
    answers = []
    for number in range(8):
        answers.append(stranger.log_in(f"name-{number}", "x").status_code)
        stranger.log_in("lena")
        stranger.cookies.clear()
    assert answers == [401] * 5 + [429] * 3


def test_a_known_device_of_one_user_is_unknown_for_another(site: Site) -> None:
    browser = site.browser()
    browser.log_in("lena")
    browser.delete(f"{API}/session")
    answers = [browser.log_in("otto", "x").status_code for _ in range(8)]
    assert answers == [401] * 5 + [429] * 3
    assert browser.log_in("lena").status_code == 201
    known = [browser.log_in("lena", "x").status_code for _ in range(8)]
    assert known == [401] * 5 + [429] * 3, "a stolen device is held up as well"
    site.pass_time(9)
    assert browser.log_in("lena").status_code == 201


def test_an_unknown_name_is_refused_in_the_same_words_and_by_the_same_work(site: Site, monkeypatch) -> None:
    work: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, stored: str, password: str) -> bool:
        work.append(stored.rsplit("$", 2)[0])
        return bool(verify(self, stored, password))

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    known, unknown = site.browser("192.0.2.1"), site.browser("192.0.2.2")
    answers = [known.log_in("otto", "x"), unknown.log_in("nobody", "x")]
    assert answers[0].json() == answers[1].json() and answers[0].status_code == answers[1].status_code == 401
    assert len(work) == 2 and work[0] == work[1], "one verification each, with the same parameters"


def test_an_unknown_name_takes_as_long(site: Site) -> None:
    passwords = Passwords(passes=2, memory_kib=8192)
    stored = passwords.hash(PASSWORD)

    def took(hashed: str | None) -> float:
        times = []
        for _ in range(7):
            start = time.process_time()
            assert not passwords.verify(hashed, "x")
            times.append(time.process_time() - start)
        return sorted(times)[len(times) // 2]

    assert 0.5 < took(None) / took(stored) < 2.0
    assert not passwords.verify(None, PASSWORD)


def test_the_throttle_is_bounded_and_forgets() -> None:
    now = [0.0]
    throttle = Throttle(now=lambda: now[0])
    for number in range(MOST_KEYS * 3):
        throttle.take([f"user {number}"], 60)
    assert len(throttle) == MOST_KEYS
    waits = []
    for _ in range(12):
        waits.append(throttle.take(["user anna"], 60))
        now[0] += waits[-1]
    assert waits == [0, 0, 0, 0, 0, 1, 0, 2, 0, 4, 0, 8]
    now[0] += 900 + 61
    assert throttle.take(["user anna"], 60) == 0 and throttle.take(["user anna"], 60) == 0


def test_one_verification_at_a_time_in_a_lane_and_few_wait() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def work() -> bool:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.01)
        with lock:
            running[0] -= 1
        return True

    async def flood() -> list[object]:
        lane = Lane()
        return await asyncio.gather(*(lane.run(work) for _ in range(40)), return_exceptions=True)

    done = asyncio.run(flood())
    assert most[0] == 1
    assert done.count(True) == MOST_WAITING
    refused = [each for each in done if isinstance(each, Problem)]
    assert len(refused) == 40 - MOST_WAITING and {each.status for each in refused} == {503}


def test_a_client_that_leaves_lets_nobody_in_early() -> None:
    """Cancelled while argon2 computes: the memory is still in use, so the lane is."""
    running, most, lock = [0], [0], threading.Lock()

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1

    async def leave() -> None:
        lane = Lane()
        for _ in range(4):
            task = asyncio.create_task(lane.run(work))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await lane.run(work)

    asyncio.run(leave())
    assert most[0] == 1


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "<script>alert(1)</script>", "'; DROP TABLE users; --", "\0"])
def test_names_that_are_none_get_in_nowhere(site: Site, name: str) -> None:
    assert site.browser().log_in(name, "x").status_code in (401, 422)
    assert site.browser().log_in("otto").status_code == 201
