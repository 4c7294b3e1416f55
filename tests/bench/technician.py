"""A technician at the bench's page: what a person does there, by what a person sees."""

from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.bench.processes import PASSWORD, USER

SOON_MS = 60_000  # for what the instrument has to do first, on a busy machine


@dataclass
class Technician:
    """One person with one browser window.

    Attributes:
        page: the window. url: of the bench.
    """

    page: Page
    url: str

    def sees(self, name: str) -> Locator:
        """A part of the page by its name for tests."""
        return self.page.get_by_test_id(name)

    def opens(self, path: str = "/") -> None:
        self.page.goto(f"{self.url}{path}")
        self.page.wait_for_load_state("load")

    def logs_in(self, name: str = USER, password: str = PASSWORD) -> None:
        """With the password; the bench opens."""
        self.opens("/login")
        self.sees("login-name").fill(name)
        self.sees("login-password").fill(password)
        self.sees("login").click()
        self.page.wait_for_url(f"{self.url}/")

    def logs_in_first(self, secret: str, name: str = USER, password: str = PASSWORD) -> None:
        """With the one-time secret, which makes the account; the bench opens."""
        self.opens("/")
        expect(self.sees("first-form")).to_be_visible()  # opened, where nobody has an account yet
        for field, text in {"secret": secret, "name": name, "password": password, "again": password}.items():
            self.sees(f"first-{field}").fill(text)
        self.sees("first").click()
        self.page.wait_for_url(f"{self.url}/")

    def watches(self) -> None:
        """Waits for a live picture."""
        expect(self.sees("picture")).to_have_attribute("data-state", "live", timeout=SOON_MS)

    def starts(self, slide: str) -> None:
        self.sees("slide-input").fill(slide)
        self.sees("start").click()
        expect(self.sees("slide-name")).to_have_text(slide, timeout=SOON_MS)

    def automatic(self, on: bool) -> None:
        if (self.sees("automatic").get_attribute("aria-checked") == "true") != on:
            self.sees("automatic").click()
        expect(self.sees("automatic")).to_have_attribute("aria-checked", "true" if on else "false", timeout=SOON_MS)

    def judges(self) -> Locator:
        """By the space bar, the hands at the stage; the field's line in the list of the newest."""
        before = self.newest()
        self.page.keyboard.press("Space")
        asked = self.fields().filter(has=self.page.locator(".asked:not(:empty)"))
        expect(asked.first).not_to_have_attribute("data-id", str(before), timeout=SOON_MS)
        return asked.first

    def fields(self) -> Locator:
        """Lines of the newest fields, the newest first."""
        return self.sees("fields-list").locator("li[data-id]")

    def newest(self) -> int:
        """Entry of the newest field that has a verdict; 0 before the first."""
        return int(self.fields().first.get_attribute("data-id") or 0) if self.fields().count() else 0

    def closes(self) -> str:
        """The slide; what it came to, in words."""
        self.sees("close").click()
        expect(self.sees("close-dialog")).to_be_visible()
        finding = self.sees("close-finding").inner_text()
        self.sees("close-confirm").click()
        expect(self.sees("last-closed")).not_to_be_empty(timeout=SOON_MS)
        return finding
