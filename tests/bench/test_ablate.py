"""`bench ablate`: the studies that a contestant declares, and their tables."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from commandline import MEAN_COLOR, Bench, is_one_sentence

from bench import ablate
from datasets.captures import open_capture
from datasets.errors import InputError
from methods import configuration, contestants
from methods.contestant import Entry

ABLATED = str(Path(__file__).parent / "contestants" / "ablated.py")


def jobs(entry: Entry, tiny: Path, names: Sequence[str] = ()) -> list:
    studies = ablate.studies_of(entry, names)
    return ablate.jobs(studies, [(str(tiny), open_capture(tiny))], (entry.name, entry), [0, 1], "smoke", "cpu", "0")


def builtin_with_studies() -> list[Entry]:
    return [entry for entry in contestants.builtin() if entry.studies]


@pytest.mark.parametrize("entry", builtin_with_studies(), ids=lambda entry: entry.name)
@pytest.mark.parametrize("preset", configuration.PRESETS)
def test_every_declared_ablation_changes_settings_that_exist_to_values_that_are_allowed(
    entry: Entry, preset: str
) -> None:
    for study in entry.studies.values():
        assert set(study.published) <= set(study.rows)
        assert [name for name, changes in study.rows.items() if not changes], "the contestant as it is"
        for changes in study.rows.values():
            configs = configuration.resolve(entry.configs, preset, entry.changes)
            for family, new in configuration.parse_changes(changes).items():
                for key, value in new.items():
                    assert configs[family].get(key) != value, f"{key} = {value} changes nothing"
                configuration.check(family, configs[family] | new)


def test_the_seed_papers_kernel_size_study_varies_k_around_the_size_of_the_method(tiny: Path) -> None:
    entry = contestants.find("joint")
    radii = {
        row: configuration.parse_changes(changes).get("joint", {}).get("kernel_radius", 6)
        for row, changes in entry.studies["kernel-size"].rows.items()
    }
    assert radii == {"K = 2": 2, "K = 4": 4, "K = 6": 6, "K = 8": 8}
    assert all(configuration.read("joint", preset)["kernel_radius"] == 6 for preset in configuration.PRESETS)


def test_studies_share_the_jobs_of_the_same_changes(tiny: Path) -> None:
    entry = contestants.find("joint")
    folders = {job.within for job in jobs(entry, tiny)}
    assert len(folders) == 8  # four components, three other kernel sizes, and the contestant as it is
    assert len(jobs(entry, tiny)) == 2 * len(folders)
    assert {job.within for job in jobs(entry, tiny, ["kernel-size"])} < folders


def test_jobs_differ_in_folder_identity_and_configuration(tiny: Path) -> None:
    found = jobs(contestants.find("joint"), tiny, ["components"])
    assert len({job.folder for job in found}) == len({job.id for job in found}) == len(found)
    without_mask = [job for job in found if job.configs["joint"].get("mask") is False]
    assert [job.changed for job in without_mask] == [("joint.mask=False",)] * 2


def test_an_unknown_study_gets_the_nearest_one() -> None:
    with pytest.raises(InputError, match="did you mean components"):
        ablate.studies_of(contestants.find("joint"), ["component"])


def test_tables_stand_beside_the_published_numbers_and_nothing_finished_is_repeated(
    bench: Bench, tiny: Path, tmp_path: Path
) -> None:
    done = bench("ablate", ABLATED, tiny, "--preset", "smoke", "--out", "out", "--json")
    assert done.returncode == 1, done.stderr
    tables = json.loads(done.stdout)
    assert {name: [row["row"] for row in rows] for name, rows in tables.items()} == {
        "grays": ["as it is", "brighter", "too bright"],
        "more": ["as it is, again", "black"],
    }
    with (tmp_path / "out/grays.csv").open() as file:
        whole, brighter, failed = csv.DictReader(file)
    assert float(brighter["psnr"]) - float(whole["psnr"]) == pytest.approx(float(brighter["difference"]), abs=1e-3)
    assert whole["difference"] == ""
    assert float(whole["published_psnr"]) == 12.34
    assert (failed["status"], failed["psnr"]) == ("failed", "")
    text = (tmp_path / "out/grays.md").read_text()
    assert "too bright" in text
    assert "on other data (another table)" in text
    assert "12.34" in text
    assert "other data" not in (tmp_path / "out/more.md").read_text()
    assert len(list((tmp_path / "out").glob("*/jobs/tiny/one-gray/seed0/record.json"))) == 4
    before = (tmp_path / "out/more.md").read_bytes()
    again = bench("ablate", ABLATED, tiny, "--studies", "more", "--preset", "smoke", "--out", "out")
    assert again.stderr.count("done before") == 2
    assert (tmp_path / "out/more.md").read_bytes() == before


def test_a_contestant_without_ablations_is_told_so_in_one_sentence(bench: Bench, tiny: Path) -> None:
    done = bench("ablate", MEAN_COLOR, tiny)
    assert is_one_sentence(done)
    assert "declares no ablation" in done.stderr
