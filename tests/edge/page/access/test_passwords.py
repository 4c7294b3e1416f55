"""Passwords: which are taken, and how they are hashed."""

import pytest

from edge.page.access.accounts import passwords as module
from edge.page.access.accounts.passwords import FEWEST_PASSES, MEMORY_KIB, Passwords, measured_passes, require_password
from edge.page.problems import Problem
from tests.edge.page.access.site import Site


@pytest.mark.parametrize("password", ["seven violet stages", "Zelle-Kern-Plasma 7", "ü" * 2 + "nterm Mikroskop liegt"])
def test_passwords_that_are_taken(password: str) -> None:
    assert require_password("anna", password) == password


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "a" * 257,
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "password1234",
        "leukoscope123",
        "annaannaanna12",
        "Anna2026Anna",
    ],
)
def test_passwords_that_are_refused(password: str) -> None:
    with pytest.raises(Problem) as refused:
        require_password("anna", password)
    assert (refused.value.status, refused.value.name) == (422, "weak-password")


def test_a_hash_is_argon2id_with_at_least_what_owasp_asks() -> None:
    """OWASP's password storage cheat sheet: 19 MiB and two passes, one lane."""
    stored = Passwords().hash("seven violet stages")
    assert stored.startswith(f"$argon2id$v=19$m={MEMORY_KIB},t={FEWEST_PASSES},p=1$")
    assert MEMORY_KIB >= 19 * 1024 and FEWEST_PASSES >= 2
    assert 2 * MEMORY_KIB <= 64 * 1024, "two at once"
    assert Passwords().verify(stored, "seven violet stages") and not Passwords().verify(stored, "seven violet stage")


def test_composed_and_decomposed_letters_are_one_password() -> None:
    passwords = Passwords(1, 64)
    assert passwords.verify(passwords.hash("Nachtdienst mit Kälte"), "Nachtdienst mit Ka\u0308lte")


@pytest.mark.parametrize(("each_s", "passes"), [(0.01, 8), (0.05, 5), (0.125, 2), (3.0, 2)])
def test_passes_are_measured_and_never_fewer_than_two(monkeypatch, each_s: float, passes: int) -> None:
    clock = iter([0.0, each_s * FEWEST_PASSES])
    monkeypatch.setattr(module.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(module.Passwords, "hash", lambda self, password: "")
    assert measured_passes() == passes


def test_a_hash_of_older_parameters_is_replaced_at_the_next_login(site: Site) -> None:
    before = site.access.users.named("otto").password
    site.access.passwords = Passwords(passes=2, memory_kib=128)
    browser = site.browser()
    assert browser.log_in("otto").status_code == 201 and browser.who() == "otto"
    after = site.access.users.named("otto").password
    assert before is not None and "m=64,t=1" in before and after is not None and "m=128,t=2" in after
    assert site.browser().log_in("otto").status_code == 201
