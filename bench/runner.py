"""Carries out a plan: one process per job, side by side, resumable, nothing half-written ever counted.

    RUN/jobs/CAPTURE/METHOD/seedN/          a finished job: images, model, record.json, log.txt
    RUN/jobs/CAPTURE/METHOD/.seedN.partial  a job at work; renamed into place when it is whole

The same command again finds finished jobs by their identity and does only the rest.
"""

import errno
import fcntl
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal

from bench.environment import ROOT
from bench.job import LOG, RECORD, hashes, headline, preamble
from bench.plan import Job
from datasets.capture import Capture
from datasets.errors import InputError
from reports import records

State = Literal["waiting", "running", "ok", "failed", "skipped", "kept"]


@dataclass
class Progress:
    """Where one job stands, as shown. psnr: means by track, once scored. reason: of a failure or skip.

    since: when what it does now began (monotonic seconds), as the one who shows it has noted.
    """

    job: Job
    state: State = "waiting"
    done: int = 0
    total: int = 0
    what: str = ""
    since: float = 0.0
    since_what: str = ""
    psnr: dict[str, float] = field(default_factory=dict)
    train_s: float | None = None
    reason: str = ""


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if need be) against a second run; raises InputError if it is taken or unwritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be written: {error.strerror}.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"Another run is writing into {folder}; wait for it or name another --out.") from None
        yield


def run(
    jobs: list[Job],
    captures: Mapping[str, Capture],
    out: Path,
    workers: int,
    lpips_weights: Path | None,
    show: Callable[[list[Progress]], None],
) -> list[Progress]:
    """Do what is left of `jobs` in the locked folder `out`, `workers` at a time; how each ended.

    `captures` by name. `show` is called whenever something changed. KeyboardInterrupt stops the jobs and
    goes on to the caller; finished jobs stay.
    """
    board = [Progress(job) for job in jobs]
    todo = []
    for progress in board:
        action = _settle(progress, captures, out, lpips_weights)
        if action:
            todo.append((progress, action))
    show(board)
    events: queue.Queue[tuple[Progress, dict[str, Any]]] = queue.Queue()
    at_work: list[tuple[Progress, Worker]] = []
    try:
        while todo or at_work:
            waiting = []
            for progress, action in todo:
                clean = next((other for other in board if other.job is progress.job.clean), None)
                if clean and clean.state in ("failed", "skipped"):
                    progress.state, progress.reason = "failed", f"{clean.job.entry.name}, which it re-blurs, failed"
                    capture = captures[progress.job.capture_name]
                    where = out / progress.job.folder
                    write_unfinished(progress.job, capture, where, "failed", "NoCleanImages", progress.reason)
                elif len(at_work) == workers or (clean and clean.state in ("waiting", "running")):
                    waiting.append((progress, action))
                else:
                    at_work.append((progress, Worker(progress, action, out, lpips_weights, events)))
            todo = waiting
            if not at_work:
                break
            progress, event = events.get()
            if event["event"] == "progress":
                progress.done, progress.total, progress.what = event["done"], event["total"], event["what"]
            else:
                (worker,) = (w for p, w in at_work if p is progress)
                at_work = [(p, w) for p, w in at_work if p is not progress]
                worker.close(event, captures[progress.job.capture_name])
            show(board)
    finally:
        for _, worker in at_work:
            worker.stop()
    return board


def _settle(progress: Progress, captures: Mapping[str, Capture], out: Path, lpips_weights: Path | None) -> str | None:
    """What is to be done for a job ("fit", "score" or None), with `progress` set where it is settled."""
    job, folder = progress.job, out / progress.job.folder
    capture_has_truth = captures[job.capture_name].has_truth
    if job.skip:
        progress.state, progress.reason = "skipped", job.skip
        write_unfinished(job, captures[job.capture_name], folder, "skipped", "Unavailable", job.skip)
        return None
    bring_back(folder, job.id)
    finished = finished_record(folder, job.id)
    if finished is None:
        return "fit"
    weights = lpips_digest(lpips_weights)
    used = next((m.weights_sha256 for name, m in finished.metrics.items() if name.endswith("lpips")), None)
    if weights and weights != used and capture_has_truth:
        return "score"
    shown = headline(finished)
    progress.state, progress.psnr, progress.train_s = "kept", shown["psnr"], shown["train_s"]
    return None


def finished_record(folder: Path, identity: str) -> records.Record | None:
    """The record of a finished job of that identity whose files are all as it left them, else None."""
    try:
        record = records.load(folder / RECORD)
    except records.RecordError:
        return None  # absent, or damaged: the job is done anew
    if record.status != "ok" or record.identity.id != identity:
        return None
    found = hashes(folder)
    return record if all(found.get(name) == digest for name, digest in record.files.items()) else None


@cache
def lpips_digest(weights: Path | None) -> str | None:
    """SHA-256 of the network that LPIPS would use here, None without one.

    Raises LpipsWeightsError for a file that is no backbone.
    """
    from bench import lpips_backbone

    try:
        return lpips_backbone.sha256(lpips_backbone.read(lpips_backbone.locate(weights)))
    except lpips_backbone.LpipsUnavailable:
        return None


def write_unfinished(
    job: Job,
    capture: Capture,
    folder: Path,
    status: Literal["failed", "skipped"],
    kind: str,
    reason: str,
    step: int | None = None,
    log: Path | None = None,
) -> None:
    """Leave a record of a job that gave no result; an older finished result is moved aside, not lost."""
    described = {**vars(job), "id": job.id, "command": job.command}
    record = records.Record.model_validate(
        {
            **preamble(described, capture, job.entry, None),
            "status": status,
            "error": {"class": kind, "reason": " ".join(reason.split()), "step": step},
        }
    )
    make_way(folder)
    folder.mkdir(parents=True)
    if log is not None and log.exists():
        shutil.copyfile(log, folder / LOG)
    records.save(record, folder / RECORD)


def bring_back(folder: Path, identity: str) -> None:
    """If a result of `identity` was put aside by `make_way`, let it and what is in its place change places."""
    aside = _aside(folder, identity)
    if aside.is_dir() and finished_record(folder, identity) is None and finished_record(aside, identity) is not None:
        waiting = aside.with_name(f"{aside.name}.waiting")
        aside.rename(waiting)
        make_way(folder)
        waiting.rename(folder)


def _aside(folder: Path, identity: str) -> Path:
    return folder.with_name(f".{folder.name}.{identity[:8]}")


def make_way(folder: Path) -> None:
    """Free `folder`: a record of a failure goes, a finished result of another identity is kept, hidden."""
    if not folder.exists():
        return
    try:
        record = records.load(folder / RECORD)
    except records.RecordError:
        record = None
    if record is not None and record.status != "ok":
        shutil.rmtree(folder)
        return
    aside = _aside(folder, record.identity.id if record else "damaged")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)


class Worker:
    """The process of one job, and the thread that listens to it."""

    def __init__(
        self,
        progress: Progress,
        action: str,
        out: Path,
        lpips_weights: Path | None,
        events: "queue.Queue[tuple[Progress, dict[str, Any]]]",
    ) -> None:
        self.progress, self.action, self.events = progress, action, events
        job = progress.job
        self.final = out / job.folder
        self.partial = self.final.with_name(f".{self.final.name}.partial")
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        work = self.final if action == "score" else self.partial
        request = {
            "action": action,
            "folder": str(work.resolve()),
            "capture": job.capture_argument,
            "method": job.method_argument,
            "seed": job.seed,
            "preset": job.preset,
            "changed": job.changed,
            "device": job.device,
            "configs": job.configs,
            "parts": job.parts,
            "id": job.id,
            "command": job.command,
            "clean": {"folder": str((out / job.clean.folder).resolve()), "id": job.clean.id} if job.clean else None,
            "lpips_weights": str(lpips_weights) if lpips_weights else None,
        }
        self.request = self.partial.with_name(f"{self.partial.name}.json")
        self.request.write_text(json.dumps(request))
        self.log = (self.partial / LOG).open("w")
        self.process = subprocess.Popen(
            # -P: a folder `methods` where the user happens to stand is not ours.
            [sys.executable, "-P", "-m", "bench.job", str(self.request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment_of(job.device),
            start_new_session=True,  # Ctrl-C comes to the runner alone, which then stops the jobs
        )
        progress.state = "running"
        assert self.process.stdout is not None
        threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True).start()

    def _listen(self, stream: IO[str]) -> None:
        last: dict[str, Any] = {}
        for line in stream:
            event = json.loads(line)
            if event["event"] == "progress":
                self.events.put((self.progress, event))
            else:
                last = event
        code = self.process.wait()
        if not last or (last["event"] == "done" and code != 0):
            last = {"event": "failed", "kind": "Killed", "reason": _death(code), "step": None}
        self.events.put((self.progress, last))

    def close(self, event: Mapping[str, Any], capture: Capture) -> None:
        """Put what the finished process left into its place."""
        self.log.close()
        progress, job = self.progress, self.progress.job
        if event.get("kind") == "DiskFull":
            self._tidy()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.partial))
        if event["event"] == "done":
            if self.action == "fit":
                make_way(self.final)
                self.partial.rename(self.final)
            progress.state, progress.psnr, progress.train_s = "ok", event["psnr"], event["train_s"]
        else:
            progress.state, progress.reason = "failed", event["reason"]
            if self.action == "fit":
                log = self.partial / LOG
                kind, step = event["kind"], event["step"]
                write_unfinished(job, capture, self.final, "failed", kind, event["reason"], step, log)
        self._tidy()

    def stop(self) -> None:
        """End the process now and take away what it had begun."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # and whatever a contestant has started
        self.process.wait()
        self.log.close()
        self._tidy()

    def _tidy(self) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.request.unlink(missing_ok=True)


def _death(code: int) -> str:
    if code == -9:
        return "Its process was killed (signal 9), as the system does when memory runs out."
    if code < 0:
        return f"Its process died of signal {-code}."
    return f"Its process ended with exit code {code} and without a word."


def environment_of(device: str) -> dict[str, str]:
    """Environment of a job: on CPU one thread each, as jobs run side by side; idle OpenMP threads must sleep, or
    two pools spin against each other."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    common = {**os.environ, "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1", "PYTHONPATH": path}
    if device == "cuda":
        return common
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return {**common, **one, "CUDA_VISIBLE_DEVICES": ""}
