"""Addresses in the vendors' web apps: what is a template, and what comes of it."""

import pytest

from airflow_provider_meetings.connection.web_url import WebUrlTemplate

PAGE = "https://app.example.com/meetings/{id}"


@pytest.mark.parametrize(
    ("template", "url"),
    [
        (PAGE, "https://app.example.com/meetings/42"),
        (f"  {PAGE}  ", "https://app.example.com/meetings/42"),
        ("http://127.0.0.1:8080/#/{id}?tab=1", "http://127.0.0.1:8080/#/42?tab=1"),
        ("https://a.example/{ownerId}/{id}?again={id}", "https://a.example/b%2F%C3%BC%20%3Fx%3D1%26/42?again=42"),
        ("https://a.example/{{x}}/{id}", "https://a.example/{x}/42"),
    ],
)
def test_the_fields_are_filled_in(template, url):
    """Each field stands where its name stood, quoted so that it stays there."""
    assert url == WebUrlTemplate.parse(template).url({"id": 42, "ownerId": "b/ü ?x=1&"})


@pytest.mark.parametrize("meeting_id", [None, "", "  ", ".", "..", True, 4.2, ["42"], {"id": 42}])
def test_a_value_that_is_no_name_makes_no_link(meeting_id):
    """What cannot stand in an address as one piece gives none, rather than the address of something else."""
    assert WebUrlTemplate.parse(PAGE).url({"id": meeting_id}) is None


def test_a_missing_field_makes_no_link():
    """A deleted meeting, say, is only an id."""
    assert WebUrlTemplate.parse("https://a.example/{ownerId}/{id}").url({"id": 42}) is None


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("https://app.example.com/meetings", "{id}"),
        ("https://app.example.com/meetings/{ID}", "{id}"),
        ("https://app.example.com/{{id}}", "{id}"),
        ("javascript:alert({id})", "https://"),
        ("data:text/html,{id}", "https://"),
        ("ftp://app.example.com/{id}", "https://"),
        ("//app.example.com/{id}", "https://"),
        ("app.example.com/{id}", "https://"),
        ("https:///{id}", "host"),
        ("https://{id}.example.com/", "host"),
        ("https://me:secret@app.example.com/{id}", "without a user"),
        ("https://app.example.com/{id", "braces"),
        ("https://[app.example.com/{id}", "braces"),
        ("https://app.example.com/{id.__class__}/{id}", "braces"),
        ("https://app.example.com/{id!r}", "braces"),
        ("https://app.example.com/{id:>9}", "braces"),
        ("https://app.example.com/{}/{id}", "braces"),
        ("https://app.example.com/{0}/{id}", "braces"),
        ("https://app.example.com/my meetings/{id}", "blanks"),
        ("https://app.example.com/ü/{id}", "blanks"),
        (42, "blanks"),
        ({"url": PAGE}, "blanks"),
    ],
)
def test_what_is_no_template_is_refused(template, words):
    """The refusal says what is missing, with an example."""
    with pytest.raises(ValueError, match=r"https://app\.example\.com/meetings/\{id\}") as caught:
        WebUrlTemplate.parse(template)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
