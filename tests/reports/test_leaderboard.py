"""Leaderboards follow from records alone: means, ranks, reasons for dashes, and the same bytes always."""

import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_records import FAILURE, HASH, ORACLE, contest, job

from reports import leaderboard, records

COLUMNS = (
    "method,status,oracle,captures,seeds,psnr,ssim,lpips,mask_psnr,deblur_psnr,deblur_ssim,deblur_lpips,"
    "reblur_psnr,identity_psnr,coc_mae_px,train_s,peak_mb,gaussians"
)


def by_method(found):
    return {row.method: row for row in leaderboard.rows(found)}


def section(text, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |^\[\^|\Z)", text, re.MULTILINE | re.DOTALL)[1]


def line_of(text, method):
    return next(line for line in text.splitlines() if line.startswith("|") and method in line)


def test_the_csv_has_exactly_the_agreed_columns_and_one_line_per_method():
    text = leaderboard.leaderboard_csv(contest())
    header, *lines = text.splitlines()
    assert header == COLUMNS
    assert len(lines) == 6
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows["3dgs"]["psnr"] == "25.5"
    assert rows["3dgs"]["train_s"] == "61.26"
    assert rows["3dgs"]["deblur_psnr"] == ""
    assert rows["joint"]["gaussians"] == "5000"
    assert rows["sharp-3dgs"]["oracle"] == "true"
    assert (rows["broken"]["status"], rows["broken"]["psnr"], rows["broken"]["seeds"]) == ("failed", "", "0")
    assert rows["cuda-only"]["status"] == "skipped"


def test_rows_are_best_first_and_those_without_a_number_last():
    methods = [row.method for row in leaderboard.rows(contest())]
    assert methods == ["sharp-3dgs", "joint", "3dgs", "rl", "broken", "cuda-only"]


def test_controls_and_oracles_are_listed_but_not_ranked():
    rows = by_method(contest())
    assert rows["sharp-3dgs"].ranks == {}
    assert rows["joint"].ranks == {"psnr": 1}
    assert rows["3dgs"].ranks == {"psnr": 2}
    assert rows["rl"].ranks == {"deblur_psnr": 1}


def test_methods_that_the_views_do_not_tell_apart_share_a_rank():
    found = [
        job("a", novel={"psnr": [30, 31, 32, 33]}),
        job("b", novel={"psnr": [30.2, 30.7, 32.3, 32.7]}),
        job("c", novel={"psnr": [20, 21, 22, 23]}),
    ]
    rows = by_method(found)
    assert [rows[name].ranks["psnr"] for name in "abc"] == [1, 1, 3]


@given(st.permutations(range(6)))
@settings(max_examples=8, deadline=None)
def test_the_bytes_do_not_depend_on_the_order_of_the_records(order):
    found = contest()
    shuffled = [found[place] for place in order]
    assert leaderboard.markdown(shuffled) == leaderboard.markdown(found)
    assert leaderboard.leaderboard_csv(shuffled) == leaderboard.leaderboard_csv(found)
    assert leaderboard.results_csv(shuffled) == leaderboard.results_csv(found)


def test_the_same_files_come_from_records_that_went_through_the_disk(tmp_path):
    for number, record in enumerate(contest()):
        records.save(record, tmp_path / str(number) / "record.json")
    paths = leaderboard.write(tmp_path, contest())
    first = [path.read_bytes() for path in paths]
    assert [path.name for path in paths] == ["leaderboard.md", "leaderboard.csv", "results.csv"]
    leaderboard.write(tmp_path, records.find(tmp_path))
    assert [path.read_bytes() for path in paths] == first


def test_results_are_tidy_and_enough_to_recompute_the_leaderboard():
    found = contest()
    lines = list(csv.DictReader(io.StringIO(leaderboard.results_csv(found))))
    assert list(lines[0]) == ["capture", "method", "seed", "track", "view", "metric", "value"]
    own = [float(line["value"]) for line in lines if (line["method"], line["metric"]) == ("3dgs", "lpips")]
    assert np.mean(own) == pytest.approx(by_method(found)["3dgs"].scores["lpips"].mean)


def test_seeds_are_averaged_within_a_view_and_their_spread_is_given():
    found = [job("a", seed=seed, novel={"psnr": np.array([30, 32]) + offset}) for seed, offset in ((0, 0), (1, 1))]
    row = by_method(found)["a"]
    assert (row.seeds, row.scores["psnr"].mean, row.scores["psnr"].n) == (2, 31.5, 2)
    assert row.seed_spread["psnr"] == pytest.approx(np.std([31, 32], ddof=1))
    assert "2 (s.d. 0.71)" in leaderboard.markdown(found)


def test_captures_with_different_views_weigh_the_same():
    found = [
        job("a", "beetle", novel={"psnr": [20, 20]}, times={"train_s": 10.0}),
        job("a", "seed", novel={"psnr": [30] * 6}, times={"train_s": 30.0}),
        job("b", "beetle", novel={"psnr": [21, 21.1]}),
        job("b", "seed", novel={"psnr": [28, 28.1, 28, 28, 28, 28]}),
    ]
    rows = by_method(found)
    assert (rows["a"].captures, rows["a"].scores["psnr"].mean, rows["a"].costs["train_s"]) == (2, 25.0, 20.0)
    wins = section(leaderboard.markdown(found), "By capture")
    assert "| method | wins | beetle | seed |" in wins
    assert line_of(wins, "| a |").startswith("| a | 1 | 20.00 | **30.00** |")
    assert line_of(wins, "| b |").startswith("| b | 1 | **21.05** | 28.02 |")


def test_one_capture_has_no_table_of_wins():
    assert "## By capture" not in leaderboard.markdown(contest())


def test_a_method_that_failed_on_one_capture_is_failed_and_unranked_and_says_what_its_mean_covers():
    found = [
        job("a", "easy", novel={"psnr": [40, 41]}),
        job("a", "hard", failure=FAILURE),
        job("b", "easy", novel={"psnr": [39, 40]}),
        job("b", "hard", novel={"psnr": [20, 21]}),
    ]
    rows = by_method(found)
    assert (rows["a"].status, rows["a"].captures, rows["a"].done, rows["a"].jobs) == ("failed", 1, 1, 2)
    assert (rows["a"].ranks, rows["b"].ranks) == ({}, {"psnr": 1})
    text = leaderboard.markdown(found)
    assert "failed (1 of 2 jobs done)" in line_of(text, "| a |")
    assert "over 2 of 4 views" in text
    assert "- hard / a / seed 0: failed: the loss became NaN (Diverged, step 70)" in text


def test_half_scored_values_of_a_failed_job_count_nowhere():
    found = [job("a", novel={"psnr": [30, 31]}, failure=FAILURE), job("b", novel={"psnr": [20, 21]})]
    assert by_method(found)["a"].scores["psnr"] is None
    assert "a," not in leaderboard.results_csv(found)


def test_every_dash_has_its_reason_in_a_footnote():
    text = leaderboard.markdown(contest())
    assert "it restores photographs only" in text
    assert "failed: the loss became NaN" in text
    assert r"skipped: it needs a \| CUDA device" in text
    used = set(re.findall(r"\[\^(\d+)\](?!:)", text))
    assert used == set(re.findall(r"^\[\^(\d+)\]:", text, re.MULTILINE))
    table = section(text, "Novel views")
    assert re.search(r"\| – \[\^\d+\] \|", line_of(table, "broken"))


def test_lpips_that_could_not_be_computed_says_how_to_get_it():
    found = [job("a", novel={"psnr": [30, 31]}, unavailable={"lpips": "pass --lpips-weights FILE.npz"})]
    assert by_method(found)["a"].notes["lpips"] == "pass --lpips-weights FILE.npz"


def test_the_most_precise_reason_is_taken():
    reasons = {"psnr": "metric", "deblur": "track", "deblur.psnr": "both"}
    row = by_method([job("a", unavailable=reasons)])["a"]
    assert (row.notes["deblur_psnr"], row.notes["psnr"], row.notes["deblur_ssim"]) == (
        "both",
        "metric",
        "track",
    )


def test_numbers_are_shown_with_the_digits_of_their_kind():
    assert leaderboard.formatted("psnr", 31.4159) == "31.42"
    assert leaderboard.formatted("deblur_lpips", 0.12345) == "0.123"
    assert leaderboard.formatted("train_s", 61.26) == "61.3"
    assert leaderboard.formatted("gaussians", 20000) == "20,000"
    assert leaderboard.formatted("ssim", None) == "–"
    assert leaderboard.formatted("oracle", True) == "yes"
    assert leaderboard.formatted("method", "3dgs") == "3dgs"


def test_the_markdown_shows_what_the_numbers_rest_on():
    text = leaderboard.markdown(contest())
    capture = line_of(section(text, "Captures"), "demo")
    assert "| 26.12 | – | – | median 2.25, max 5.00 | 0.44 |" in capture
    assert re.search(r"\| 1 \| joint \| faithful \| ok \| 1 \| 1 \| 27\.55 ± \d\.\d\d \| – ", text)
    assert line_of(section(text, "Novel views"), "sharp-3dgs").startswith("| – | *sharp-3dgs* | control, oracle |")
    assert "- lpips: version 1" in section(text, "Metrics")
    assert "EPYC, device cpu, 1 thread a job, Python 3.11.9, numpy 1.26.4" in section(text, "Environment")
    assert "NaN (Diverged, step 70)" in section(text, "Failed and skipped")
    assert "## Kernel accuracy" not in text


def test_every_table_has_as_many_cells_in_each_line():
    for block in leaderboard.markdown(contest()).split("\n\n"):
        if block.startswith("| "):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def kernel_values(**tracks):
    """Values of {track: {metric: values by view}}, an underscore in a track's name for its hyphen."""
    return [
        {"track": track.replace("_", "-"), "view": f"{view:04d}", "metric": metric, "value": float(value)}
        for track, metrics in tracks.items()
        for metric, by_view in metrics.items()
        for view, value in enumerate(by_view)
    ]


def subsection(text, title):
    return re.search(rf"^### {title}\n(.*?)(?=^##|^\[\^|\Z)", text, re.MULTILINE | re.DOTALL)[1]


def knows_blur(method, reblur, spread="gather", **changes):
    """The record of a method with a model of the blur, `reblur` dB by training view."""
    coc = {"coc_mae_px": [0.4, 0.5], "coc_mae_inner_px": [0.3, 0.4], "coc_corr": [0.91, 0.93]}
    base = {"identity_psnr": [26, 27], "reblur_psnr": reblur, "ceiling_psnr": [44, 45], "reblur_ssim": [0.9, 0.92]}
    values = kernel_values(
        kernel=base | coc | {"coc_mae_0_1_px": [0.2, 0.2], "coc_mae_8_up_px": [2.5]},
        kernel_test={name: [value[0] - 1] for name, value in (base | coc).items()},
        kernel_paper=base | {"identity_ssim": [0.8, 0.9]},
    )
    return job(method, values=values, blur={"spread": spread}, **changes)


def test_lens_data_is_marked_and_the_kernel_track_has_its_tables():
    found = [
        knows_blur("joint", [36, 37]),
        knows_blur("lens", [40, 42], "scatter", about={"uses_optics": True}),
        job("3dgs", novel={"psnr": [24, 25]}, unavailable={"kernel": "the contestant has no model of the blur"}),
    ]
    text = leaderboard.markdown(found)
    training = subsection(text, "Training views")
    assert "| lens | faithful, lens data | scatter | ok | 1 | 1 | 26.50 ±" in training
    numbers = re.findall(r"\d+\.\d+(?= ±)", line_of(training, "| joint |"))
    assert numbers == ["26.50", "36.50", "44.50", "0.910", "0.45", "0.35", "0.920"]
    assert re.search(r"\| 3dgs \| faithful \| – \| ok \|.* – \[\^\d+\] \|$", line_of(training, "3dgs"))
    assert "the contestant has no model of the blur" in text
    held_out = subsection(text, "Held-out views †")
    assert "input of the method's estimate of its focus" in held_out
    assert "| 25.00 | 39.00 | 43.00 | -0.100 |" in line_of(held_out, "| lens |")
    assert "0.850 ±" in line_of(subsection(text, "The seed paper's protocol †"), "| joint |")
    bins = line_of(subsection(text, "CoC error by amount of blur"), "| joint |")
    assert bins.startswith("| joint | 0.20 ±")
    assert bins.endswith("| 2.50 |")


def test_models_of_the_blur_are_ranked_by_what_they_re_blur():
    found = [knows_blur("a", [36, 37.1]), knows_blur("b", [36.2, 36.8]), knows_blur("c", [30, 31])]
    rows = by_method([*found, knows_blur("known", [50, 51], about=ORACLE)])
    assert [rows[name].ranks["reblur_psnr"] for name in "abc"] == [1, 1, 3]
    assert rows["a"].ranks["paper_reblur_psnr"] == 1
    assert rows["known"].ranks == {}
    assert [row.spread for row in rows.values()] == ["gather"] * 4


def test_the_seed_papers_own_re_blur_stands_under_ours_as_other_data():
    kernel = {"data": "its Table 2", "identity_psnr": 37.24, "reblur_psnr": 42.58, "reblur_ssim": 0.989}
    about = {"published": {"data": "its Table 1", "psnr": 32.5, "kernel": kernel}}
    text = leaderboard.markdown([knows_blur("joint", [36, 37], about=about)])
    table = subsection(text, "The seed paper's protocol †")
    line = line_of(table, "published for other data")
    assert line.startswith("| – | *joint, published for other data (its Table 2)* | – |")
    assert line.endswith("| 37.24 | 42.58 | – | – | 0.989 | – | – |")
    assert "| psnr 32.5 (its Table 1) |" in section(text, "Contestants")
    assert "published for other data" not in subsection(text, "Training views")


def test_memory_that_was_measured_in_two_ways_is_not_averaged():
    found = [
        job("a", seed=seed, memory={"peak_mb": 100.0, "of": of})
        for seed, of in enumerate(("process", "cuda allocator"))
    ]
    row = by_method(found)["a"]
    assert row.costs["peak_mb"] is None
    assert "not in one way" in row.notes["peak_mb"]


def test_an_empty_run_has_an_empty_leaderboard(tmp_path):
    leaderboard.write(tmp_path, [])
    assert (tmp_path / "leaderboard.csv").read_text() == COLUMNS + "\n"
    assert "No jobs yet" in (tmp_path / "leaderboard.md").read_text()


def test_all_failed_is_a_leaderboard_too():
    text = leaderboard.markdown([job("broken", failure=FAILURE)])
    assert "## Novel views" not in text
    assert "## Failed and skipped" in text


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({}, "two records of demo / a / seed 0"),
        ({"content_hash": "f" * 64, "seed": 1}, "two captures are named 'demo'"),
        ({"metrics": {"psnr": {"version": "2"}}, "seed": 1}, "'psnr' was computed in two versions"),
    ],
)
def test_records_that_cannot_stand_in_one_table_are_refused(other, reason):
    first, second = job("a", novel={"psnr": [30, 31]}), job("a", novel={"psnr": [30, 31]}, **other)
    with pytest.raises(records.RecordError, match=reason):
        leaderboard.rows([first, second])


def made(method="a", seed=0, source="a" * 64, file=None, environment=None, **changes):
    """The record of a job, with what it was made from and on."""
    record = job(method, seed=seed, **({"novel": {"psnr": [30, 31]}} | changes))
    parts = {"source": source} | ({"file": file} if file else {})
    return record.model_copy(
        update={
            "identity": records.Identity(id=HASH[:16], parts=parts),
            "environment": record.environment.model_copy(update=environment or {}),
        }
    )


@pytest.mark.parametrize(
    ("other", "first", "second"),
    [
        ({"about": {"version": "2"}}, "version 1", "version 2"),
        ({"about": {"preset": "paper", "config_hash": "f" * 64}}, "preset quick", "preset paper"),
        ({"about": {"config_hash": "f" * 64}}, "configuration 0123456789ab", "configuration ffffffffffff"),
        ({"source": "b" * 64}, "source hash aaaaaaaaaaaa", "source hash bbbbbbbbbbbb"),
        ({"file": "b" * 64}, "no file hash", "file hash bbbbbbbbbbbb"),
        ({"environment": {"device": "cuda"}}, "device cpu", "device cuda"),
        ({"environment": {"rasterizer": "gsplat"}}, "no rasterizer", "rasterizer gsplat"),
    ],
)
def test_one_method_made_in_two_ways_is_not_averaged_and_the_sentence_tells_what_to_do(other, first, second):
    with pytest.raises(records.RecordError) as caught:
        leaderboard.rows([made(seed=1, **other), made(seed=0)])
    assert str(caught.value) == (
        f"the records of 'a' cannot be averaged, as demo / a / seed 0 was made with {first} and demo / a / seed 1 "
        f"with {second}: run the first command again, with the settings of the last, for all their captures and "
        "seeds, or report them from two folders"
    )


def test_captures_of_a_method_made_in_two_ways_are_not_averaged_either():
    with pytest.raises(records.RecordError, match="hard / a / seed 0 with source hash bbbbbbbbbbbb"):
        leaderboard.rows([made(capture="easy"), made(capture="hard", source="b" * 64)])


def test_a_refused_table_leaves_the_old_files_as_they_are(tmp_path):
    before = [path.read_bytes() for path in leaderboard.write(tmp_path, [made()])]
    with pytest.raises(records.RecordError):
        leaderboard.write(tmp_path, [made(), made(seed=1, source="b" * 64)])
    assert [(tmp_path / name).read_bytes() for name in leaderboard.FILES] == before


def test_a_job_that_failed_before_it_could_render_stands_beside_one_that_did():
    found = [made(environment={"rasterizer": "gsplat"}), made(seed=1, novel=None, failure=FAILURE)]
    assert by_method(found)["a"].done == 1


def test_methods_made_from_different_sources_share_a_table_that_says_so():
    one = [made("a"), made("a", seed=1), made("c")]
    assert "versions of the source" not in leaderboard.markdown(one)
    text = section(leaderboard.markdown([*one, made("b", source="b" * 64)]), "Environment")
    assert (
        "The methods were made with 2 versions of the source (`aaaaaaaaaaaa`: a, c; `bbbbbbbbbbbb`: b)."
    ) in text.splitlines()


def test_an_ablation_is_marked_in_every_table_but_not_in_the_csv():
    ablation = {"preset": "quick with 3dgs.densify=relocate, 3dgs.steps=3"}
    found = [
        job(method, capture, novel={"psnr": [30, 31]}, deblur={"psnr": [20, 21]}, about=about)
        for capture in ("easy", "hard")
        for method, about in (("3dgs", ablation), ("joint", {}))
    ]
    named = "3dgs (3dgs.densify=relocate, 3dgs.steps=3)"
    text = leaderboard.markdown(found)
    for title in ("Novel views", "Deblurring", "Cost", "By capture", "Contestants"):
        assert f"| {named} |" in line_of(section(text, title), "3dgs")
        assert "| joint |" in line_of(section(text, title), "joint")
    assert f"| {named} | faithful, ablation |" in section(text, "Novel views")
    assert f"| {named} |" in leaderboard.brief(found)
    assert leaderboard.leaderboard_csv(found).splitlines()[1].startswith("3dgs,ok,")


def test_the_deblurring_table_shows_the_psnr_on_the_object_and_the_csv_keeps_its_columns():
    found = [job("a", deblur={"psnr": [26, 27], "mask_psnr": [18, 20]}), job("b", deblur={"psnr": [20, 21]})]
    table = section(leaderboard.markdown(found), "Deblurring")
    assert table.count("| PSNR ↑ | SSIM ↑ | LPIPS ↓ | mask PSNR ↑ |") == 1
    assert re.search(r"\| 19\.00 ± \d\.\d\d \|$", line_of(table, "| a |"))
    assert re.search(r"\| – \[\^\d+\] \|$", line_of(table, "| b |"))
    assert leaderboard.leaderboard_csv(found).splitlines()[0] == COLUMNS
    assert ",".join(by_method(found)["a"].cells()) == COLUMNS


def test_published_numbers_stand_beside_the_method_and_name_their_data():
    about = {"published": {"data": "the paper's scenes", "psnr": 31.11, "lpips": 0.113}}
    found = [job("a", novel={"psnr": [30, 31]}, about=about), job("b", novel={"psnr": [20, 21]})]
    table = section(leaderboard.markdown(found), "Contestants")
    assert "| published, on other data |" in table
    assert line_of(table, "| a |").endswith("| lpips 0.113, psnr 31.11 (the paper's scenes) |")
    assert line_of(table, "| b |").endswith("| – |")
    unnamed = leaderboard.markdown([job("a", about={"published": {"psnr": 31.11}})])
    assert "psnr 31.11 (data not named)" in section(unnamed, "Contestants")


def test_the_brief_table_has_both_tracks_side_by_side_and_no_footnotes():
    found = [
        job(
            "a",
            novel={"psnr": [30, 31], "ssim": [0.9, 0.8], "lpips": [0.1, 0.2]},
            deblur={"psnr": [26, 27]},
            times={"train_s": 61.26},
        ),
        job("sharp", novel={"psnr": [40, 41]}, about=ORACLE),
        job("rl", deblur={"psnr": [25, 26]}),
    ]
    assert leaderboard.brief(found).splitlines() == [
        "| rank | method | PSNR ↑ | SSIM ↑ | LPIPS ↓ | deblurred PSNR ↑ | training, s |",
        "| :-- | :-- | --: | --: | --: | --: | --: |",
        "| – | *sharp* | 40.50 | – | – | – | – |",
        "| 1 | a | 30.50 | 0.850 | 0.150 | 26.50 | 61.3 |",
        "| – | rl | – | – | – | 25.50 | – |",
    ]


def test_names_cannot_break_a_table():
    text = leaderboard.markdown([job("a|b<i>", novel={"psnr": [30, 31]})])
    assert r"| a\|b&lt;i> |" in text
