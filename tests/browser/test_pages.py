"""The Meetings pages in a real Airflow: complete, safe, usable by everybody, and showing what one may see."""

import json
import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE, RECRUITER

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.timeout(1500)

PAGE = "/plugin/meetings"
HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script>'


@pytest.fixture(scope="session")
def runs(desk):
    """Runs of both DAGs: one that waits, one that has failed."""
    found = {}
    for dag_id in ("interviews", "visits"):
        desk.api.unpause(dag_id)
        found[dag_id] = desk.api.trigger(dag_id)
    assert desk.api.wait_for_run("visits", found["visits"], seconds=600) == "failed"
    deadline = time.monotonic() + 600
    while desk.api.count("interviews", found["interviews"], "book", "success") != 30:
        assert time.monotonic() < deadline
        time.sleep(1)
    wanted = {"move": "success", "cancel": "success", "wait": "deferred"}
    desk.api.wait_for_states("interviews", found["interviews"], wanted, seconds=600)
    return found


def tab_of(runs, dag_id):
    """The address of a run's tab."""
    return f"/dags/{dag_id}/runs/{runs[dag_id]}/plugin/run-meetings"


def frame(page):
    """What the tab, or the page, shows."""
    return page.frame_locator("iframe[title=Meetings]")


def booked(desk, runs):
    """The ids of the meetings that the mapped task has booked."""
    path = f"/dags/interviews/dagRuns/{runs['interviews']}/taskInstances/book/xcomEntries/return_value"
    return [
        desk.api._call("GET", path, params={"deserialize": "true", "map_index": number})["value"]["id"]
        for number in range(30)
    ]


def test_the_tab_has_a_row_for_each_meeting_and_task(desk, runs):
    """Thirty bookings, a change, a cancellation, and the sensor that waits: no row is missing."""
    with desk.page(f"/dags/interviews/runs/{runs['interviews']}", height=820) as page:
        page.get_by_role("link", name="Meetings").last.click()
        shown = frame(page)
        expect(shown.get_by_role("status")).to_contain_text("32 meetings")
        expect(shown.get_by_role("status")).to_contain_text("30 created")
        shown.get_by_role("button", name="Open all").click()
        links = shown.get_by_role("link", name=re.compile("^Open"))
        expect(links).to_have_count(32)
        hrefs = [link.get_attribute("href") for link in links.all()]
        ids = booked(desk, runs)
        assert sorted([*ids, ids[0], ids[1]]) == sorted(href.rpartition("=")[2] for href in hrefs)
        moved = shown.get_by_role("region", name="Meetings of task move")
        expect(moved).to_contain_text("location: Room 5")
        expect(shown.get_by_role("region", name="Meetings of task cancel")).to_contain_text("deleted")
        expect(shown.get_by_role("region", name="Meetings of task wait")).to_contain_text("Waits for meetings.")
        shown.get_by_role("button", name=re.compile("^book")).click()
        desk.shoot(page, "meetings-tab")


def test_a_set_is_folded_and_can_be_opened(desk, runs):
    """Thirty rows are folded; a search opens what it finds; the keyboard alone is enough."""
    with desk.page(tab_of(runs, "interviews")) as page:
        shown = frame(page)
        fold = shown.get_by_role("button", name=re.compile("^book"))
        expect(fold).to_have_attribute("aria-expanded", "false")
        fold.focus()
        page.keyboard.press("Enter")
        expect(fold).to_have_attribute("aria-expanded", "true")
        rows = shown.get_by_role("region", name="Meetings of task book").get_by_role("row")
        expect(rows).to_have_count(31)
        page.keyboard.press("Space")
        expect(rows).to_have_count(0)
        shown.get_by_role("searchbox").fill("Room 5")
        expect(shown.get_by_role("button", name=re.compile("^book"))).to_have_count(0)
        expect(shown.get_by_role("region")).to_have_count(1)


def test_the_links_lead_there(desk, runs):
    """Although Airflow's frame may not navigate: the log in Airflow itself, the meeting in a tab of its own."""
    with desk.page(tab_of(runs, "interviews")) as page:
        shown = frame(page).get_by_role("region", name="Meetings of task move")
        link = shown.get_by_role("link", name=re.compile("^Open"))
        with page.expect_popup() as opened:
            link.click()
        expect(opened.value).to_have_url(link.get_attribute("href"))
        assert opened.value.evaluate("opener") is None
        shown.get_by_role("link", name=re.compile("^Log")).click()
        page.wait_for_url(re.compile("/dags/interviews/runs/[^/]+/tasks/move"))


def test_a_meeting_is_text(desk, runs):
    """A title that is markup is shown as it is, and does nothing."""
    with desk.page(tab_of(runs, "visits")) as page:
        alarms = []
        page.on("dialog", lambda dialog: alarms.append(dialog.message))
        page.on("console", lambda message: alarms.append(message.text) if message.type == "error" else None)
        shown = frame(page)
        shown.get_by_role("button", name="Open all").click()
        expect(shown.get_by_text(HOSTILE).first).to_be_visible()
        assert 0 == shown.locator("img").count()
        assert "Meetings of this run" == shown.locator("body").evaluate("() => document.title")
        page.goto(desk.home.url + PAGE)
        frame(page).get_by_role("button", name="Later").wait_for()
        expect(frame(page).get_by_text(HOSTILE).first).to_be_visible()
        assert [] == alarms


@pytest.mark.usefixtures("runs")
def test_the_page_tells_what_there_is(desk):
    """The coming days as an agenda and as a week, what failed, who waits, what is watched; and the filters."""
    with desk.page("/", height=900) as page:
        page.goto(desk.home.url + PAGE)
        shown = frame(page)
        expect(shown.get_by_role("status")).to_have_text("34 meetings")
        expect(shown.get_by_role("listitem").filter(has_text="visits / missing")).to_contain_text(
            "There is no such meeting"
        )
        waiting = shown.get_by_role("listitem").filter(has_text="interviews / wait")
        expect(waiting).to_contain_text("meetingType: in person, and never")
        expect(waiting).to_contain_text("until")
        expect(
            shown.get_by_role("listitem").filter(has_text="meetings://hiringcenter_pages/interviews")
        ).to_be_visible()
        # The docs show another part of it than the title that is none.
        shown.get_by_role("searchbox").fill("Springfield")
        expect(shown.get_by_role("status")).to_have_text("3 meetings")
        desk.shoot(page, "meetings-page")
        shown.get_by_role("searchbox").fill("")
        expect(shown.get_by_role("status")).to_have_text("34 meetings")
        for label, option, count in (
            ("Connection", "builderprime_pages", 4),
            ("DAG", "interviews", 30),
            ("Outcome", "deleted", 1),
        ):
            box = shown.get_by_label(label, exact=True)
            box.select_option(option)
            expect(shown.get_by_role("status")).to_have_text(f"{count} meeting{'s' * (count > 1)}")
            box.select_option("")
        shown.get_by_role("searchbox").fill("room 5")
        expect(shown.get_by_role("status")).to_have_text("1 meeting")
        shown.get_by_role("searchbox").fill("nothing has this")
        expect(shown.get_by_text("No meeting of these days passes the filters.")).to_be_visible()
        shown.get_by_role("button", name="Clear the filters").click()
        expect(shown.get_by_role("status")).to_have_text("34 meetings")
        shown.get_by_role("button", name="Week").click()
        expect(shown.get_by_role("button", name="Week")).to_have_attribute("aria-pressed", "true")
        expect(shown.get_by_role("heading", level=3)).to_have_count(7)


def test_nobody_sees_a_dag_that_is_not_theirs(desk, runs):
    """The recruiter may read `interviews`: of `visits` neither page nor tab nor any answer tells a thing."""
    with desk.page("/", user=RECRUITER) as page:
        answers = []
        page.on("response", lambda answer: answers.append(answer) if "/meetings/api/" in answer.url else None)
        page.goto(desk.home.url + PAGE)
        shown = frame(page)
        expect(shown.get_by_role("status")).to_have_text("30 meetings")
        expect(shown.get_by_text("You may not read assets.")).to_be_visible()
        assert not [answer.url for answer in answers if "visits" in answer.text()]
        page.goto(f"{desk.home.url}/meetings/run?dag_id=visits&run_id={runs['visits'].replace('+', '%2B')}")
        expect(page.get_by_role("alert")).to_contain_text("You may not see this.")
        assert HOSTILE not in page.content()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1180, 400])
def test_everybody_can_use_them(desk, runs, axe, theme, width):
    """Axe finds nothing, in the light and in the dark, on a wide and on a narrow window, with everything opened."""
    for path in (PAGE, tab_of(runs, "interviews"), tab_of(runs, "visits")):
        with desk.page(path, theme=theme, width=width, height=900) as page:
            shown = frame(page)
            shown.get_by_role("button", name="Refresh").wait_for()
            if path == PAGE:
                expect(shown.get_by_role("status")).to_have_text("34 meetings")
            else:
                shown.get_by_role("button", name="Open all").click()
            inner = page.locator("iframe[title=Meetings]").element_handle().content_frame()
            assert theme == inner.evaluate("document.documentElement.dataset.theme")
            assert inner.evaluate("document.documentElement.scrollWidth <= innerWidth")
            # A script of the test, which the page's own policy would refuse in the page.
            found = inner.evaluate(
                axe + "; axe.run(document, {resultTypes: ['violations']}).then((all) => all.violations)"
            )
            assert [] == [(one["id"], one["nodes"][0]["html"]) for one in found]
            if width == 1180 and theme == "dark" and path == PAGE:
                desk.shoot(page, "meetings-page-dark")


@pytest.mark.usefixtures("runs")
def test_nothing_leaves_the_host(desk):
    """Neither for a font nor for a picture; and what the pages send is allowed to do nothing else."""
    with desk.page("/") as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(desk.home.url + PAGE)
        frame(page).get_by_role("status").wait_for()
        ours = [url for url in asked if "/meetings/" in url]
        assert len(ours) >= 5
        assert [] == [url for url in asked if url.startswith("http") and not url.startswith(desk.home.url)]
        answer = page.goto(f"{desk.home.url}/meetings/")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.usefixtures("runs")
def test_what_is_wrong_is_said(desk):
    """A run that is not there, and an API server that fails: a sentence each, and a way on."""
    with desk.page("/meetings/run?dag_id=interviews&run_id=no-such-run") as page:
        expect(page.get_by_role("alert")).to_contain_text("There is no such DAG run.")
        page.route("**/meetings/api/**", lambda route: route.fulfill(status=500, body="{}"))
        page.goto(f"{desk.home.url}/meetings/")
        expect(page.get_by_role("alert").first).to_contain_text("answered with status 500")
        page.unroute_all()
        again = page.get_by_role("button", name="Try again")
        for left in range(again.count(), 0, -1):  # a button goes with what it has loaded
            again.first.click()
            expect(again).to_have_count(left - 1)
        expect(page.get_by_role("status")).to_contain_text("34 meetings")


def test_airflow_knows_the_plugin(desk):
    """Both views, through the entry point; nothing failed to load."""
    (ours,) = [one for one in desk.api._call("GET", "/plugins")["plugins"] if one["name"] == "meetings"]
    assert ["nav", "dag_run"] == [view["destination"] for view in ours["external_views"]]
    assert "airflow-provider-meetings" in ours["source"]
    assert [] == desk.api._call("GET", "/plugins/importErrors")["import_errors"]
    assert json.dumps(ours)
