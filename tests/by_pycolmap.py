"""pycolmap's own word, from a process of its own (its library does not go together with others' PNGs)."""

import json
import subprocess
import sys
from typing import Any


def by_pycolmap(program: str, *arguments: object) -> Any:
    """What `program` assigns to `answer`, as JSON; it finds pycolmap, np, json and its `arguments` as texts."""
    before = "import json, sys\nimport numpy as np, pycolmap\narguments = sys.argv[1:]"
    source = f"{before}\n{program}\nprint(json.dumps(answer))"
    done = subprocess.run([sys.executable, "-c", source, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


READ_MODEL = """
found = pycolmap.Reconstruction(arguments[0])
answer = {
    "images": {
        image.name: {
            "w2c": image.cam_from_world().matrix().tolist(),
            "camera": [image.camera.model_name, image.camera.width, image.camera.height, image.camera.params.tolist()],
        }
        for image in found.images.values()
    },
    "points": [[*point.xyz.tolist(), *point.color.tolist()] for _, point in sorted(found.points3D.items())],
    "cameras": found.num_cameras(),
}
"""
