"""What tests of the device share: drawn slides for the virtual microscope."""

from collections.abc import Callable, Iterator

import pytest

from edge.cameras.sim_settings import SimSettings
from edge.cameras.sim_view import Specimen, draw_specimen


@pytest.fixture(scope="session")
def specimens() -> Callable[[SimSettings, tuple[int, int]], Specimen]:
    """`draw_specimen`, which draws each slide once a session."""
    drawn: dict[tuple[object, ...], Specimen] = {}

    def draw(settings: SimSettings, size: tuple[int, int]) -> Specimen:
        key = (settings.recipe, settings.seed, settings.debris, settings.empty > 0, size)
        if key not in drawn:
            drawn[key] = draw_specimen(settings, size)
        return drawn[key]

    return draw


@pytest.fixture(scope="module")
def drawn_once(specimens: Callable[[SimSettings, tuple[int, int]], Specimen]) -> Iterator[None]:
    """Slides that tests look at through `sim:` are drawn once; drawing takes most of their time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.cameras.simulated.draw_specimen", specimens)
        yield
