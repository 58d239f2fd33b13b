"""Peak memory is that of the process itself."""

import subprocess
import sys

from methods.cost import process_peak


def test_a_child_does_not_inherit_the_peak_of_its_parent() -> None:
    ballast = bytearray(400 * 2**20)
    ballast[:: 2**12] = b"x" * len(ballast[:: 2**12])
    assert process_peak() > 400
    code = "from methods.cost import process_peak; print(process_peak())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(child.stdout) < 150
