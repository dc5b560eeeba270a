"""Runs the script of a component in node, where its functions compute the same numbers as in a browser."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import playwright

from viz.components.component import assets

DRIVER = Path(playwright.__file__).parent / "driver" / "node"  # the node that playwright comes with
NODE = str(DRIVER) if DRIVER.exists() else shutil.which("node")
DOM = (Path(__file__).parent / "viz" / "components" / "dom.js").read_text("utf-8")


def run(component: str, expression: str, **values: Any) -> Any:
    """The value of a JavaScript expression behind the script of a component, in which the values are known by name.

    What is passed and returned goes through JSON: a number that is not finite comes back as None. The document is a
    stand-in that keeps elements and their attributes, and lays nothing out (dom.js).
    """
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items())
    script = f"{DOM}\n{assets(component)['js']}\n{constants}console.log(JSON.stringify({expression}));"
    command = [NODE, "--input-type=module", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
