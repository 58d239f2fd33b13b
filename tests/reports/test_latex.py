"""The leaderboard in LaTeX: what ranks first is bold, and nothing in a name breaks a table."""

import re

from made_records import contest, job

from reports import latex


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.endswith(r"\\")]


def test_the_best_is_bold_and_a_control_is_not():
    lines = lines_of(latex.tables(contest()))
    (header, sharp, joint, floor), (_, restored) = lines[:4], lines[4:]
    assert header.startswith(r"method & seeds & PSNR $\uparrow$ & SSIM")
    assert sharp.startswith(r"\textit{sharp-3dgs} & 1 & 36.50 $\pm$")
    assert joint.startswith(r"joint & 1 & \textbf{27.55} $\pm$")
    assert joint.endswith(r"& -- & 0.215 & -- \\")
    assert floor.startswith(r"3dgs & 1 & 25.50 $\pm$")
    assert floor.endswith(r"61.3 \\")
    assert restored.startswith(r"rl & 1 & \textbf{26.50}")


def test_every_line_has_the_columns_that_are_declared():
    text = latex.tables(contest())
    tables = text.split(r"\begin{tabular}")[1:]
    assert len(tables) == 2
    for table in tables:
        columns = len(re.match(r"\{([lr]+)\}", table)[1])
        assert {line.count(" & ") + 1 for line in lines_of(table)} == {columns}


def test_special_characters_are_set_as_they_are():
    text = latex.tables([job("a_b & 100 % \\ {#}", novel={"psnr": [20, 21]})])
    assert r"a\_b \& 100 \% \textbackslash{} \{\#\}" in text


def test_a_contest_without_numbers_is_no_table():
    assert "tabular" not in latex.tables([job("broken", failure={"class": "X", "reason": "y"})])
