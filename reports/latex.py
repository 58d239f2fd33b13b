"""The leaderboard for a paper, in LaTeX with booktabs: a table per track, best first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reports.cells import full_name, mean, seeds, spread
from reports.columns import HEADINGS, RANKED, formatted
from reports.records import Record
from reports.rows import Row, best_first, rows

TRACKS = {
    "Novel views": ("psnr", "ssim", "lpips", "train_s"),
    "Novel views without sharp twins": ("in_focus_psnr", "train_s"),
    "Deblurring": ("deblur_psnr", "deblur_ssim", "deblur_lpips"),
    "Kernel accuracy": ("identity_psnr", "reblur_psnr", "ceiling_psnr", "coc_mae_px"),
}

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "–": "--",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def tables(records: Iterable[Record]) -> str:
    """Environments `table` to \\input; they need the package booktabs. Bold is the best, and whatever is tied with it;
    italics are controls and oracles. Raises RecordError where the records cannot stand in one table."""
    found = rows(records)
    made = [_table(title, columns, found) for title, columns in TRACKS.items()]
    return "% needs \\usepackage{booktabs}\n\n" + "\n\n".join(text for text in made if text) + "\n"


def escaped(text: object) -> str:
    """`text` as LaTeX sets it, whatever it holds."""
    return "".join(SPECIAL.get(character, character) for character in str(text))


def _table(title: str, columns: Sequence[str], table: Sequence[Row]) -> str:
    lead = next(column for column in columns if column in RANKED)
    scored = sorted((row for row in table if row.scores[lead]), key=lambda row: (*best_first(row, lead), row.method))
    if not scored:
        return ""
    lines = [
        [_named(row), escaped(seeds(row, lead)), *(_cell(row, column, lead) for column in columns)] for row in scored
    ]
    header = ["method", "seeds", *(HEADINGS[column] for column in columns)]
    captures = max(row.captures for row in scored)
    about = (
        f"{title}; {captures} capture{'s' if captures != 1 else ''}. $\\pm$ is half the 95\\,\\% interval over views."
    )
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{about}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r"\toprule",
            " & ".join(escaped(heading) for heading in header) + r" \\",
            r"\midrule",
            *(" & ".join(line) + r" \\" for line in lines),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _named(row: Row) -> str:
    name = escaped(full_name(row.method, row.changed))
    return name if row.competes else rf"\textit{{{name}}}"


def _cell(row: Row, column: str, lead: str) -> str:
    if column in row.costs:
        return escaped(formatted(column, row.costs[column]))
    text = escaped(mean(row, column))
    if column != lead:
        return text
    if row.ranks.get(lead) == 1:
        text = rf"\textbf{{{text}}}"
    return text + escaped(spread(row, column))
