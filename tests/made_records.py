"""Records of jobs that never ran, for tests of what is made from records."""

from reports import records

HASH = "0123456789abcdef" * 4


def environment():
    """Where a job ran; a new dictionary each time, as tests change it."""
    return {
        "packages": {"numpy": "1.26.4"},
        "python": "3.11.9",
        "cpu": "EPYC",
        "threads": 1,
        "device": "cpu",
    }


def job(
    method, capture="demo", seed=0, content_hash=HASH, novel=None, deblur=None, failure=None, status="ok", **changes
):
    """The record of a job; `novel` and `deblur` are {metric: values by view}."""
    values = [
        {"track": track, "view": f"{view:04d}", "metric": metric, "value": float(value)}
        for track, metrics in (("novel", novel or {}), ("deblur", deblur or {}))
        for metric, by_view in metrics.items()
        for view, value in enumerate(by_view)
    ]
    about = {
        "name": method,
        "title": method.upper(),
        "version": "1",
        "status": "faithful",
        "oracle": False,
        "citation": "",
        "licence": "",
        "trained_on": "nothing",
        "outputs": [],
        "config": {},
        "config_hash": HASH,
        "preset": "quick",
        "uses_optics": False,
    }
    record = {
        "identity": {"id": HASH[:16], "parts": {}},
        "capture": {
            "name": capture,
            "content_hash": content_hash,
            "difficulty": {"psnr_photograph_sharp": 26.12, "coc_radius_px": {"max": 5.0, "median": 2.25}},
            "unfocused_px": 0.444,
            "views_train": 28,
            "views_test": 4,
        },
        "method": about | changes.pop("about", {}),
        "environment": environment(),
        "command": ["bench"],
        "seed": seed,
        "values": values,
        "metrics": {name: {"version": "1"} for name in {value["metric"] for value in values}},
        "status": "failed" if failure else status,
        "error": failure,
    }
    return records.Record.model_validate(record | changes)


FAILURE = {"class": "Diverged", "reason": "the loss became NaN", "step": 70}
ORACLE = {"oracle": True, "status": "control"}


def contest():
    """A control, two methods, a restorer without novel views, one that broke, one that cannot run here."""
    return [
        job(
            "3dgs",
            novel={"psnr": [24, 25, 26, 27], "lpips": [0.3, 0.31, 0.32, 0.33]},
            times={"train_s": 61.26},
        ),
        job("joint", novel={"psnr": [26, 27.1, 28, 29.1], "lpips": [0.2, 0.21, 0.22, 0.23]}, gaussians=5000),
        job("sharp-3dgs", novel={"psnr": [35, 36, 37, 38]}, about=ORACLE),
        job("rl", deblur={"psnr": [26, 26.5, 27]}, unavailable={"novel": "it restores photographs only"}),
        job("broken", failure=FAILURE),
        job("cuda-only", status="skipped", error={"class": "NoCuda", "reason": "it needs a | CUDA device"}),
    ]
