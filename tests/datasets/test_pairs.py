"""Reading training pairs: what comes back, what is held out, and what is refused in one sentence."""

import time

import numpy as np
import pytest

from datasets import pairs, store
from datasets.pairs import Shard, open_pairs, write_shard

SIZE = 8


def shard(seed, count=2):
    rng = np.random.default_rng(seed)
    photograph, sharp = rng.integers(0, 256, (2, count, SIZE, SIZE, 3), dtype=np.uint8)
    mask = rng.integers(0, 256, (count, SIZE, SIZE), dtype=np.uint8)
    coc = rng.normal(0, 4, (count, SIZE, SIZE)).astype(np.float16)
    return Shard(photograph, sharp, mask, coc, tuple({"object_seed": seed, "take": i} for i in range(count)))


@pytest.fixture
def folder(tmp_path):
    """Three objects with two pairs each."""
    entries = {}
    for seed in range(3):
        name = f"shard-{seed:05d}.npz"
        write_shard(tmp_path / name, shard(seed))
        entries[name] = {"pairs": 2, "sha256": store.sha256(tmp_path / name)}
    store.write_json(tmp_path / pairs.MANIFEST, {"kind": pairs.KIND, "size": SIZE, "shards": entries})
    return tmp_path


def changed(folder, **changes):
    manifest = store.read_json(folder / pairs.MANIFEST)
    store.write_json(folder / pairs.MANIFEST, {**manifest, **changes})


def test_pairs_come_back_as_they_were_written_one_by_one_and_all_in_order(folder):
    opened = open_pairs(folder, verify=True)
    assert (len(opened), opened.size) == (6, SIZE)
    third = opened[3]
    for name in ("photograph", "sharp", "mask", "coc"):
        assert np.array_equal(getattr(third, name), getattr(shard(1), name)[1])
        assert getattr(third, name).dtype == getattr(shard(1), name).dtype
    assert third.facts == {"object_seed": 1, "take": 1}
    assert [(pair.facts["object_seed"], pair.facts["take"]) for pair in opened] == [(i // 2, i % 2) for i in range(6)]
    assert opened[-1].facts == opened[5].facts
    assert [pair.facts for pair in opened[4:]] == [opened[4].facts, opened[5].facts]
    with pytest.raises(IndexError):
        opened[6]


def test_what_is_held_out_shares_no_object_with_what_is_trained_on(folder, refused):
    training, validation = open_pairs(folder).held_out(every=3)
    seeds = [{pair.facts["object_seed"] for pair in part} for part in (training, validation)]
    assert seeds == [{1, 2}, {0}]
    assert len({training.content_hash, validation.content_hash, open_pairs(folder).content_hash}) == 3
    with refused("too few", "1 object"):
        validation.held_out(every=3)


def test_equal_shards_are_equal_files_whenever_they_are_written(folder, monkeypatch):
    later = time.time() + 1e7
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(later))
    write_shard(folder / "again.npz", shard(1))
    assert (folder / "again.npz").read_bytes() == (folder / "shard-00001.npz").read_bytes()


def test_a_folder_without_pairs_is_refused(tmp_path, refused):
    with refused("no folder", "bench synth pairs"):
        open_pairs(tmp_path / "nowhere")
    with refused("no training pairs"):
        open_pairs(tmp_path)
    store.write_json(tmp_path / pairs.MANIFEST, {"recipe": {}})
    with refused("no training pairs"):
        open_pairs(tmp_path)
    store.write_json(tmp_path / pairs.MANIFEST, {"kind": pairs.KIND, "size": SIZE, "shards": {}})
    with refused("no finished pairs"):
        open_pairs(tmp_path)


@pytest.mark.parametrize(
    "shards", [None, [], {"a.npz": None}, {"a.npz": {"pairs": 2}}, {"a.npz": {"pairs": "2", "sha256": "x"}}]
)
def test_a_manifest_that_is_damaged_is_refused(folder, refused, shards):
    changed(folder, shards=shards)
    with refused("manifest.json is damaged"):
        open_pairs(folder)


def test_missing_shards_are_named_and_changed_ones_where_they_are_verified(folder, refused):
    (folder / "shard-00002.npz").unlink()
    with refused("shard-00002.npz is missing"):
        open_pairs(folder)
    write_shard(folder / "shard-00002.npz", shard(9))
    assert len(open_pairs(folder)) == 6
    with refused("shard-00002.npz has changed", "delete"):
        open_pairs(folder, verify=True)


def test_a_truncated_shard_is_named_when_it_is_read(folder, refused):
    path = folder / "shard-00001.npz"
    whole = path.read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        pairs._read_shard.cache_clear()
        with refused("shard-00001.npz", "truncated"):
            open_pairs(folder)[2]


def test_a_shard_of_another_shape_is_named_when_it_is_read(folder, refused):
    write_shard(folder / "shard-00000.npz", shard(0, count=3))
    with refused("shard-00000.npz is damaged", "photograph"):
        open_pairs(folder)[0]
    changed(folder, size=2 * SIZE)
    with refused("shard-00001.npz is damaged"):
        open_pairs(folder)[2]
