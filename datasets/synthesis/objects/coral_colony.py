"""How a branching stony coral grows: branches that fork and shun each other, corallites in rows around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from datasets.synthesis.objects.chitin import unit

_STEP = 0.22  # mm of growth at a time
_GOLDEN = np.pi * (3 - 5**0.5)


@dataclass(frozen=True)
class Branch:
    """A branch: its axis [N, 3] mm from the fork it grew from to its tip, and its radius there [N] mm."""

    axis: np.ndarray
    radius: np.ndarray


@dataclass(frozen=True)
class Corallites:
    """The cups of the polyps.

    foot, mouth [C, 3] mm: where the tube starts inside its branch, and the middle of its rounded end; axis [C, 3]:
    unit, out of the mouth; radius [C] mm; axial [C]: whether it leads a branch.
    """

    foot: np.ndarray
    mouth: np.ndarray
    axis: np.ndarray
    radius: np.ndarray
    axial: np.ndarray


def branches(rng: np.random.Generator, foot: np.ndarray) -> list[Branch]:
    """A colony that grows upwards from foot [3] mm: main branches, each forking up to twice."""
    grown: list[Branch] = []
    stems = int(rng.integers(4, 6))
    start = rng.uniform(0, 2 * np.pi)
    growing = []
    for stem in range(stems):
        azimuth = start + 2 * np.pi * stem / (stems - 1) + rng.normal(0, 0.15)
        # The last one stands in the middle.
        lean = np.radians(rng.uniform(36, 52)) if stem < stems - 1 else np.radians(rng.uniform(0, 12))
        towards = np.array([np.cos(azimuth) * np.sin(lean), np.sin(azimuth) * np.sin(lean), np.cos(lean)])
        root = foot + 0.42 * towards * [1, 1, 0]
        growing.append((root, towards, 0.36, rng.uniform(1.5, 2.1), 0))
    while growing:
        root, towards, radius, length, order = growing.pop(0)
        axis = _grown(root, towards, length, grown, rng)
        tip_radius = radius * (0.80 if order < 2 else 0.68)
        t = np.linspace(0, 1, len(axis))
        swelling = 1 + 0.05 * np.sin(rng.uniform(0, 6) + 5 * t)
        grown.append(Branch(axis, (radius + (tip_radius - radius) * t) * swelling))
        if order < 2:
            heading = unit(axis[-1] - axis[-2])
            across = unit(np.cross(heading, rng.standard_normal(3)))
            forks = 2 if rng.random() < 0.85 or order == 0 else 1
            for side in (1, -1)[:forks]:
                angle = np.radians(rng.uniform(24, 44))
                away = unit(np.cos(angle) * heading + side * np.sin(angle) * across)
                growing.append(
                    (axis[-1], away, tip_radius * 0.93, rng.uniform(0.9, 1.55) * (1 - 0.12 * order), order + 1)
                )
    return grown


def _grown(
    root: np.ndarray, towards: np.ndarray, length: float, others: list[Branch], rng: np.random.Generator
) -> np.ndarray:
    """Axis [N, 3] mm of a branch that turns to the light and away from what stands already."""
    axis = [root]
    crowd = np.concatenate([branch.axis[2:] for branch in others]) if others else np.full((1, 3), 99.0)
    wander = rng.normal(0, 0.06, 3)
    for _ in range(max(3, round(length / _STEP))):
        tip = axis[-1]
        off = tip + 0.4 * towards - crowd
        near = np.linalg.norm(off, axis=1)
        shun = (off * (np.clip(1.5 - near, 0, None) / np.maximum(near, 0.2))[:, None]).sum(axis=0)
        wander = 0.7 * wander + rng.normal(0, 0.05, 3)
        towards = unit(towards + 0.06 * np.array([0, 0, 1.0]) + wander + 0.05 * np.clip(shun, -2, 2))
        axis.append(tip + _STEP * towards)
    return np.array(axis)


def corallites(colony: list[Branch], rng: np.random.Generator, pitch: float = 0.066) -> Corallites:
    """Cups around all branches in leaning, irregular rows, one each `pitch` mm of branch; one leads each tip.

    Young ones near a tip are short and lean towards it; old ones are wide and sunk.
    """
    points = np.concatenate([branch.axis for branch in colony])
    owner = np.repeat(np.arange(len(colony)), [len(branch.axis) for branch in colony])
    thickness = np.concatenate([branch.radius for branch in colony])
    tree = cKDTree(points)
    starts = np.array([branch.axis[0] for branch in colony])
    rows = []
    for number, branch in enumerate(colony):
        arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(branch.axis, axis=0), axis=1))])
        tangent = np.gradient(branch.axis, arc, axis=0)
        leads = not (np.linalg.norm(starts - branch.axis[-1], axis=1) < 1e-9).any()
        first = unit(np.cross(tangent[0], rng.standard_normal(3)))
        turn = rng.uniform(0, 6.28)
        for at in np.arange(0.05, arc[-1] - (0.04 if leads else 0.0), pitch):
            along = unit([np.interp(at, arc, tangent[:, k]) for k in range(3)])
            middle = np.array([np.interp(at, arc, branch.axis[:, k]) for k in range(3)])
            radius = np.interp(at, arc, branch.radius)
            turn += _GOLDEN + rng.normal(0, 0.16)
            first = unit(first - along * (first @ along))
            out = np.cos(turn) * first + np.sin(turn) * np.cross(along, first)
            youth = np.clip(1 - (arc[-1] - at) / 0.9, 0, 1) if leads else 0.0
            size = rng.uniform(0.112, 0.142) * (1 - 0.22 * youth) * (0.82 if rng.random() < 0.15 else 1)
            lean = rng.uniform(0.45, 0.85) + 0.5 * youth
            stands = rng.uniform(0.13, 0.30) * (1 - 0.35 * youth)
            axis = unit(out + lean * along)
            foot = middle + 0.70 * radius * out
            mouth = middle + (radius + 0.02) * out + stands * axis
            # A cup that would open inside another branch does not form.
            _, index = tree.query(mouth, k=8)
            foreign = index[owner[index] != number]
            if len(foreign) and (np.linalg.norm(points[foreign] - mouth, axis=1) < thickness[foreign] + 0.16).any():
                continue
            rows.append((foot, mouth, axis, size, False))
        if leads:
            axis = unit(branch.axis[-1] - branch.axis[-2])
            rows.append((branch.axis[-1], branch.axis[-1] + 0.30 * axis, axis, 0.19, True))
    return Corallites(*(np.array(column) for column in zip(*rows, strict=True)))
