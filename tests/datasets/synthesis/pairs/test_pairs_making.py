"""Folders of pairs, resuming and bad input, with a stand-in for Blender that renders a disk in no time."""

import errno
import fcntl
import os
import threading
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from datasets import pairs, store
from datasets.errors import InputError
from datasets.pairs import open_pairs
from datasets.synthesis import blender
from datasets.synthesis.pairs import making
from datasets.synthesis.pairs.making import make_pairs
from datasets.synthesis.pairs.order import Order

ORDER = Order(seed=5, size=16, per_object=3, samples={"sharp": 1, "defocused": 1}, measured_every=2)


def facts(take):
    return {
        **{"f_number": 2.0, "focal_length": 60.0, "focus_distance": 100.0, "pixel_pitch": 0.5, "fx": 300.0},
        **{"backdrop": {"top": [0.1, 0.1, 0.1], "bottom": [0.2, 0.2, 0.2]}, "brightness": 0.9},
        "sensor": {"full_well": 50.0, "read_noise": 2.0} if take else None,
    }


def draw(path, seed, take, kind):
    size = ORDER.size
    y, x = np.mgrid[:size, :size] + 0.5
    inside = np.hypot(x - size / 2, y - size / 2) < size / 3
    noise = np.random.default_rng([seed, take, len(kind)]).uniform(0, 0.1, (size, size))
    alpha = inside.astype(np.float32)
    gray = (alpha * (0.4 + noise)).astype(np.float32)
    planes = {f"ViewLayer.Combined.{c}": gray for c in "RGB"} | {"ViewLayer.Combined.A": alpha}
    planes["ViewLayer.Depth.Z"] = np.where(inside, 101.0 + take, 1e10).astype(np.float32)
    header = {"compression": OpenEXR.NO_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, planes).write(str(path))


@pytest.fixture
def studio(monkeypatch):
    """Stands in for the workers: which jobs they had, and the object at which one of them is killed."""

    class Studio:
        def __init__(self):
            self.jobs, self.killed_at, self.lock = [], None, threading.Lock()

        def events(self, module, arguments, log):
            job = store.read_json(Path(arguments[0]))
            with self.lock:
                self.jobs.append(job)
            yield {"event": "ready", "blender": "5.0.1"}
            yield {"event": "built", "triangles": 1, "strands": 0, "digest": f"digest of {job['seed']}"}
            for take in range(job["takes"]):
                if take and job["seed"] == self.killed_at:
                    raise InputError("The Blender process was killed.")
                kinds = [*job["samples"], *(f"{kind} again" for kind in job["samples"] if take in job["measured"])]
                files = {kind: f"{job['folder']}/{take}.{n}.exr" for n, kind in enumerate(kinds)}
                for kind, path in files.items():
                    draw(path, job["seed"], take, kind)
                yield {"event": "rendered", "take": take, "facts": facts(take), "files": files, "seconds": 0.1}
            yield {"event": "done", "cpu_seconds": 2.0}

    studio = Studio()
    monkeypatch.setattr(blender, "events", studio.events)
    return studio


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != making.TIMING}


def test_pairs_are_what_was_rendered(studio, tmp_path):
    result = make_pairs(4, tmp_path / "pairs", ORDER)
    assert (result.count, result.outcome) == (4, "created")
    opened = open_pairs(tmp_path / "pairs", verify=True)
    assert [(pair.facts["object_seed"], pair.facts["take"]) for pair in opened] == [
        *((5_000_000, take) for take in range(3)),
        (5_000_001, 0),
    ]
    clean, noisy = opened[0], opened[1]
    inside = clean.mask == 255
    assert 0.2 < inside.mean() < 0.5
    assert clean.facts["sensor"] is None
    # r = (D / 2) fx (1 / d0 - 1 / d), with D = f / N = 30 mm and v = 60 (1 + 60 / 40) = 150 mm.
    expected = 15 * (150 / 0.5) * (1 / 100 - 1 / 101)
    assert np.allclose(clean.coc[inside], expected, rtol=1e-3)
    assert not clean.coc[~inside].any()
    assert clean.facts["largest_coc_px"] == pytest.approx(2 * expected, abs=0.02)
    # The sharp picture's brightest percentile is exposed to 0.9 of linear light: 0.95 of sRGB.
    assert np.quantile(clean.sharp[inside], 0.99) == pytest.approx(0.954 * 255, abs=2)
    assert noisy.photograph[inside].std() > 2 * noisy.sharp[inside].std()
    assert np.array_equal(clean.sharp[0, 0], clean.photograph[0, 0])  # the backdrop


def test_the_manifest_tells_hashes_seeds_digests_noise_and_what_is_disjoint(studio, tmp_path):
    make_pairs(6, tmp_path / "pairs", ORDER)
    manifest = store.read_json(tmp_path / "pairs" / pairs.MANIFEST)
    assert (manifest["count"], manifest["seed"], manifest["size"]) == (6, 5, 16)
    first, second = (manifest["shards"][f"shard-0000{i}.npz"] for i in range(2))
    assert (second["object_seed"], second["digest"]) == (5_000_001, "digest of 5000001")
    assert first["sha256"] == store.sha256(tmp_path / "pairs" / "shard-00000.npz")
    # Uniform noise of 0.1 in linear light, twice; one object in two is measured, on its first pair.
    assert "noise_floor_db" not in second
    assert manifest["noise_floor_db"]["pairs_measured"] == 1
    assert 20 < manifest["noise_floor_db"]["sharp"] < 40
    assert set(manifest["disjoint"]["benchmark_objects"]) >= {"beetle", "seed"}
    assert store.read_json(tmp_path / "pairs" / making.TIMING)["pairs_rendered"] == 6


def test_any_number_of_jobs_and_any_way_to_a_count_give_the_same_bytes(studio, tmp_path):
    make_pairs(8, tmp_path / "two", ORDER, jobs=2)
    make_pairs(8, tmp_path / "one", ORDER, jobs=1)
    for count in (1, 4, 5, 8):
        assert make_pairs(count, tmp_path / "grown", ORDER).count == count
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "grown")
    asked = len(studio.jobs)
    assert make_pairs(8, tmp_path / "two", ORDER).outcome == "already there"
    assert make_pairs(3, tmp_path / "two", ORDER) == making.PairsResult(tmp_path / "two", 8, "already there")
    assert len(studio.jobs) == asked


def test_a_killed_worker_ends_the_run_what_is_finished_stays_and_the_next_run_makes_the_rest(studio, tmp_path):
    make_pairs(9, tmp_path / "whole", ORDER)
    studio.killed_at = 5_000_002
    with pytest.raises(InputError, match="killed"):
        make_pairs(9, tmp_path / "out", ORDER, jobs=1)
    assert len(open_pairs(tmp_path / "out", verify=True)) == 6
    assert not list((tmp_path / "out").glob("attempt-*"))
    studio.killed_at = None
    studio.jobs.clear()
    make_pairs(9, tmp_path / "out", ORDER)
    assert [job["seed"] for job in studio.jobs] == [5_000_002]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_first_failure_leaves_nothing_behind(studio, tmp_path):
    studio.killed_at = 5_000_000
    with pytest.raises(InputError, match="killed"):
        make_pairs(3, tmp_path / "out", ORDER, jobs=1)
    assert not (tmp_path / "out").exists()


def test_a_shard_that_was_moved_but_not_entered_when_all_was_killed_is_made_again(studio, tmp_path):
    make_pairs(6, tmp_path / "out", ORDER)
    whole = contents(tmp_path / "out")
    manifest = store.read_json(tmp_path / "out" / pairs.MANIFEST)
    del manifest["shards"]["shard-00001.npz"]
    store.write_json(tmp_path / "out" / pairs.MANIFEST, manifest)
    (tmp_path / "out" / "attempt-of-the-dead").mkdir()
    make_pairs(6, tmp_path / "out", ORDER)
    assert contents(tmp_path / "out") == whole


def test_while_a_shard_grows_the_manifest_never_promises_what_is_not_there(studio, tmp_path, monkeypatch):
    out = tmp_path / "out"
    make_pairs(4, out, ORDER)

    def write_and_look(path, document):
        write(path, document)
        if path.name == pairs.MANIFEST:
            assert len(open_pairs(out, verify=True)) >= 3

    write = store.write_json
    monkeypatch.setattr(store, "write_json", write_and_look)
    make_pairs(6, out, ORDER)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda out: make_pairs(0, out, ORDER), "0 pairs"),
        (lambda out: make_pairs(-3, out, ORDER), "-3 pairs"),
        (lambda out: make_pairs(2, out, ORDER, jobs=0), "0 jobs"),
        (lambda out: make_pairs(2, out, Order(size=8)), "from 16 to 1024"),
        (lambda out: make_pairs(2, out, Order(size=5000)), "from 16 to 1024"),
        (lambda out: make_pairs(2, out, Order(seed=-1)), "from 0 to 999"),
    ],
)
def test_orders_that_make_no_sense_are_refused(tmp_path, refused, make, says):
    with refused(says):
        make(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_anything_else_in_it_is_not_touched(studio, tmp_path, refused):
    (tmp_path / "attempt-to-write-a-novel").mkdir()
    (tmp_path / "attempt-to-write-a-novel" / "chapter").write_text("mine")
    for document in (None, {"recipe": {}}):
        if document is not None:
            store.write_json(tmp_path / pairs.MANIFEST, document)
        with refused("no training pairs", "choose another --out"):
            make_pairs(2, tmp_path, ORDER)
    assert (tmp_path / "attempt-to-write-a-novel" / "chapter").read_text() == "mine"
    assert studio.jobs == []


@pytest.mark.parametrize(
    ("other", "says"),
    [(Order(seed=6, size=16, per_object=3), "seed: 5 there, 6 here"), (Order(seed=5, size=32), "size: 16 there")],
)
def test_pairs_of_another_order_are_not_mixed(studio, tmp_path, refused, other, says):
    make_pairs(2, tmp_path / "out", ORDER)
    with refused(says, "choose another --out"):
        make_pairs(4, tmp_path / "out", other)


def test_pairs_of_another_generator_are_not_mixed(studio, tmp_path, refused):
    make_pairs(2, tmp_path / "out", ORDER)
    manifest = store.read_json(tmp_path / "out" / pairs.MANIFEST)
    store.write_json(tmp_path / "out" / pairs.MANIFEST, {**manifest, "generator_hash": "another"})
    with refused("another version of the generator"):
        make_pairs(4, tmp_path / "out", ORDER)


def test_a_damaged_shard_is_named_and_made_anew_once_it_is_deleted(studio, tmp_path, refused):
    make_pairs(6, tmp_path / "out", ORDER)
    whole = contents(tmp_path / "out")
    path = tmp_path / "out" / "shard-00001.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with refused("shard-00001.npz has changed", "delete"):
        make_pairs(6, tmp_path / "out", ORDER)
    path.unlink()
    make_pairs(6, tmp_path / "out", ORDER)
    assert contents(tmp_path / "out") == whole


def test_a_folder_in_use_is_refused(studio, tmp_path, refused):
    make_pairs(2, tmp_path / "out", ORDER)
    folder = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with refused("Another run"):
        make_pairs(4, tmp_path / "out", ORDER)
    os.close(folder)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path, refused):
    (tmp_path / "file").write_text("not a folder")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with refused("cannot be written"):
            make_pairs(2, out, ORDER)


def test_a_full_disk_is_one_sentence_and_what_is_finished_stays(studio, tmp_path, refused, monkeypatch):
    make_pairs(3, tmp_path / "out", ORDER)
    before = contents(tmp_path / "out")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pairs, "write_shard", full)
    with refused("is full", "what is finished is kept"):
        make_pairs(6, tmp_path / "out", ORDER)
    assert contents(tmp_path / "out") == before
