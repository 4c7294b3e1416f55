"""What looks like a patient's name is refused; what laboratories call slides and operators is not."""

import pytest

from edge.commissioning.patient_names import like_a_patient, operator_hint, patient_hint


@pytest.mark.parametrize(
    "name", ["Jane Doe", "Doe_Jane", "DOE-JANE", "JaneDoe", "Doe,Jane.3", "Åsa Öberg", "S1_Jane_Doe"]
)
def test_two_words_like_a_name_are_refused(name: str) -> None:
    assert like_a_patient(name) == "two words like a name"


@pytest.mark.parametrize("name", ["S_2019-03-07", "07.03.2019", "3/7/2019", "B20190307"])
def test_a_date_is_refused_but_where_days_of_sessions_stand(name: str) -> None:
    assert like_a_patient(name) == "a date, which may be one of birth"
    assert like_a_patient(name, dates=False) is None


@pytest.mark.parametrize(
    "name", ["S-0412", "QC-1", "WBC-Malignant-Pre", "ALL-IDB", "Slide_Left", "s1", "H12345678", "CML-7-B", "2026-1182"]
)
def test_names_of_slides_pass(name: str) -> None:
    assert patient_hint("slide", name) is None


def test_the_hint_says_what_to_write_instead() -> None:
    hint = patient_hint("slide", "Jane Doe")
    assert hint is not None
    assert hint.startswith("slide must not name a patient; 'Jane Doe' has two words like a name")
    assert "S-0412" in hint


@pytest.mark.parametrize("operator", ["", "technician", "night shift", "mta-2", "JD", "J.D.", "jd", "A B"])
def test_roles_and_initials_pass(operator: str) -> None:
    assert operator_hint(operator) is None


@pytest.mark.parametrize("operator", ["Schmidt", "Jane Doe", "Dr Doe", "JANE DOE", "x" * 33, "born 2001-02-03"])
def test_names_of_operators_are_refused(operator: str) -> None:
    assert "initials (JD)" in (operator_hint(operator) or "")
