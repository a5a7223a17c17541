"""Which stored values are those that were sent, whatever a vendor's editor and database have done to them."""

import pytest

from airflow_provider_meetings.vendors.hiringcenter import HiringCenter
from airflow_provider_meetings.vendors.matching import matches, same_id, same_number, same_text

SENT = "Café <b>d'Or</b> \U0001f600 & Co\nroom 5"


@pytest.mark.parametrize(
    "stored",
    [
        SENT,
        "  Café <b>d'Or</b> \U0001f600 & Co room 5 ",
        "CAFÉ <B>D'OR</B> \U0001f600 & CO\r\nROOM 5",
        "Café &lt;b&gt;d&#39;Or&lt;/b&gt; \U0001f600 &amp; Co\nroom 5",
        "Café &amp;lt;b&amp;gt;d&amp;#39;Or&amp;lt;/b&amp;gt; \U0001f600 &amp;amp; Co room 5",
        "Café <b>d'Or</b> ? & Co\nroom 5",
        "Café <b>d'Or</b> ???? & Co\nroom 5",
        "Café <b>d'Or</b> \ufffd\ufffd & Co\nroom 5",
        "Café <b>d'Or</b>  & Co\nroom 5",
        "Café <b>d'Or</b>",
        "Cafe <b>d'Or</b> & Co room 5",
        "Café <b>d\u2019Or</b> \U0001f600 & Co\nroom 5",
        "Café d'Or \U0001f600 & Co room 5",
    ],
)
def test_a_text_that_was_tampered_with_is_the_one_that_was_sent(stored):
    """Or else the meeting of a lost create is not found, and made a second time."""
    assert same_text(SENT, stored)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("Visit 1", "Visit 2"),
        ("Visit", "Visit 1"),
        ("Visit", ""),
        ("", "Visit"),
        ("\U0001f600", "\U0001f389"),
        ("\U0001f600", "!"),
        ("\U0001f600 Visit", "Call"),
        ("Visit \U0001f600", "Call"),
        ("...", "???"),
        ("a < b and c > d", "a d"),
        ("会議", "会"),
        ("Visit", None),
    ],
)
def test_another_text_is_another(sent, stored):
    """Letters and digits count, and signs where there is nothing else."""
    assert not same_text(sent, stored)


@pytest.mark.parametrize("stored", [7, "7", 7.0])
def test_a_number_is_one_in_any_spelling(stored):
    """JSON has one kind of number."""
    assert same_number(7, stored)
    assert same_id("7", stored)


@pytest.mark.parametrize("stored", [8, "7a", 7.5, None, True])
def test_another_number_is_another(stored):
    """Nothing is rounded."""
    assert not same_number(7, stored)
    assert not same_id("7", stored)


@pytest.mark.parametrize("stored", ["Visit 5?", "Visit \U0001f600 5", "<b>Visit</b> 5", "Vi\u0301sit 5"])
def test_signs_count_where_a_difference_may_be_meant(stored):
    """What finds a lost meeting does not hide what somebody has written into one since."""
    comparable = HiringCenter.comparable_fields
    assert matches({"location": "Visit 5"}, {"location": stored}, comparable)
    assert not matches({"location": "Visit 5"}, {"location": stored}, comparable, strict=True)
    assert matches({"location": "Visit 5"}, {"location": " visit 5"}, comparable, strict=True)
