"""The page of a leaderboard: charts that say what the records say, tables as in the Markdown, nothing unescaped."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from made_records import contest, job

from reports import leaderboard, page, records
from reports.page import charts

PUBLISHED = Path(__file__).resolve().parents[2] / "reports" / "published"


class Reader(HTMLParser):
    """Text of the cells of all tables, of scripts by id, and the ids of elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.scripts: dict[str, str] = {}
        self.ids: list[str] = []
        self.tags: list[str] = []
        self._inside: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        self.tags.append(tag)
        self.ids += [of["id"]] if "id" in of else []
        if tag in ("td", "th", "script"):
            self._inside.append((tag, of.get("id", "")))
            if tag != "script":
                self.cells.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th", "script"):
            self._inside.pop()

    def handle_data(self, data):
        if self._inside and self._inside[-1][0] == "script":
            name = self._inside[-1][1]
            self.scripts[name] = self.scripts.get(name, "") + data
        elif self._inside:
            self.cells[-1] += data


def read(found, images=None, sheets=(), absent=()):
    return Reader(page.html(found, images or {}, sheets, absent))


@pytest.fixture(scope="module")
def demo() -> list[records.Record]:
    return records.find(PUBLISHED / "demo")


def test_the_tables_are_those_of_the_markdown(demo):
    cells = read(demo).cells
    markdown = leaderboard.markdown(demo)
    lines = [line for line in markdown.splitlines() if line.startswith("| ") and not line.startswith("| :--")]
    expected = [cell.strip() for line in lines for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    plain = [re.sub(r" ?\[\^(\d+)\]", r" \1", cell).replace("`", "").replace(r"\|", "|") for cell in expected]
    plain = [re.sub(r"^\*(.*)\*$", r"\1", cell).replace("&lt;", "<") for cell in plain]
    assert len(plain) > 500
    assert cells[: len(plain)] == plain


def test_every_job_has_its_command(demo):
    found = read(demo)
    for record in demo:
        assert f"jobs-{record.method.name}" in found.ids
        assert found.cells.count(shlex.join(record.command)) == 1


def test_the_same_records_give_the_same_page_in_any_order(demo):
    small = [record for record in demo if record.method.name in ("3dgs", "joint", "sharp-3dgs")]
    assert page.html(small, {}, [], []) == page.html(reversed(small), {}, [], [])


def test_what_looks_like_a_tag_is_text():
    views = {"capture": {"v</script><b>": [["<b>", "a.png"]]}}
    scores = {"novel": {"psnr": [20, 21]}, "times": {"train_s": 3}}
    hostile = [job("3dgs", "c<b>", **scores), job("<b>&$x^^$", "c<b>", **scores)]
    found = read(hostile, views, [("<b>", "x.png")], ["<b> is absent"])
    assert "b" not in found.tags
    assert json.loads(found.scripts["images"]) == views
    assert "<b>&$x^^$" in found.cells
    assert "jobs-<b>&$x^^$" in found.ids
    assert found.tags.count("svg") == 2


def test_differences_are_paired_and_best_first():
    found = contest()
    table = leaderboard.rows(found)
    reference = charts.reference_of(table, "psnr")
    assert reference == "3dgs"
    differences = charts.against(found, table, "psnr", reference)
    assert list(differences) == ["sharp-3dgs", "joint"]
    assert differences["sharp-3dgs"].mean == pytest.approx(11)
    assert differences["joint"].mean == pytest.approx(2.05)
    low, high = differences["joint"].low, differences["joint"].high
    assert low is not None
    assert high is not None
    assert 1.9 < low < 2.05 < high < 2.2  # far narrower than the views lie apart


def test_without_the_floor_the_worst_is_compared_with():
    table = leaderboard.rows([record for record in contest() if record.method.name != "3dgs"])
    assert charts.reference_of(table, "psnr") == "joint"
    assert charts.reference_of(table, "deblur_psnr") == "rl"
    assert charts.reference_of(table, "in_focus_psnr") is None


def svg_texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_bars_name_every_method_that_is_compared(demo):
    table = leaderboard.rows(demo)
    scored = [row.method for row in table if row.scores["psnr"]]
    svg = charts.differences(charts.against(demo, table, "psnr", "3dgs"), "3dgs", ["sharp-3dgs"])
    names = [text for text in svg_texts(svg) if text in scored]
    assert names == [method for method in scored if method != "3dgs"]


def test_quality_against_cost_shows_who_has_both(demo):
    table = leaderboard.rows(demo)
    both = {row.method for row in table if row.scores["psnr"] and row.costs["train_s"]}
    texts = svg_texts(charts.quality_against_cost(table, ["sharp-3dgs"]))
    assert both <= set(texts)
    assert "input" not in texts
    assert charts.quality_against_cost(leaderboard.rows(contest()), []) == ""  # one alone has a time


def test_unbeaten_are_those_that_nothing_cheaper_reaches():
    points = [(3, 30), (1, 20), (2, 19), (2, 25), (4, 30), (2, 25), (9, 31)]
    assert charts.unbeaten(points) == [(1, 20), (2, 25), (3, 30), (9, 31)]


def test_a_page_of_failures_has_tables_alone():
    failed = [job("broken", failure={"class": "Diverged", "reason": "the loss became NaN"})]
    found = read(failed, absent=["No images."])
    assert "svg" not in found.tags
    assert "img" not in found.tags
    assert any("failed" in cell for cell in found.cells)
